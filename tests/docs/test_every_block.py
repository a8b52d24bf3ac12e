"""No block of a document is without a test that executes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.docs import (
    documents,
    test_audiences_guide,
    test_emulator_guide,
    test_identities_guide,
    test_readme,
    test_readme_waits,
    test_testing_guide,
)
from tests.docs.markdown import Document

pytestmark = pytest.mark.packaging

#: Importing the modules has filled the documents' accounts.
ACCOUNTANTS = (
    test_readme,
    test_readme_waits,
    test_emulator_guide,
    test_testing_guide,
    test_identities_guide,
    test_audiences_guide,
)


@pytest.mark.parametrize(
    "document",
    [documents.README, documents.GUIDE, documents.TESTING, documents.IDENTITIES, documents.AUDIENCES],
    ids=lambda document: document.path.name,
)
def test_every_block_is_executed(document: Document) -> None:
    assert document.blocks
    assert not document.forgotten()


def test_every_document_is_known() -> None:
    all_of_them = (
        documents.README,
        documents.GUIDE,
        documents.TESTING,
        documents.IDENTITIES,
        documents.AUDIENCES,
        documents.COVERAGE,
        documents.API_COVERAGE,
    )
    known = {document.path for document in all_of_them}
    assert known == {REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")}


def test_a_new_block_would_be_noticed(tmp_path: Path) -> None:
    file = tmp_path / "new.md"
    file.write_text("# One\n\n```sh\nmake one\n```\n\n## Two\n\n```python\npass\n```\n", encoding="utf-8")
    document = Document(file)
    document.executed("One")
    assert document.forgotten() == ["new.md:9 (Two, python)"]
