"""The documents that the tests read, each once, because every document keeps account of its executed blocks."""

from __future__ import annotations

from tests.conftest import REPOSITORY
from tests.docs.markdown import Document

README = Document(REPOSITORY / "README.md")
GUIDE = Document(REPOSITORY / "docs" / "emulator.md")
TESTING = Document(REPOSITORY / "docs" / "testing.md")
IDENTITIES = Document(REPOSITORY / "docs" / "identities.md")
AUDIENCES = Document(REPOSITORY / "docs" / "audiences-and-uploads.md")

#: Written from the test run, see tests/evidence.
COVERAGE = Document(REPOSITORY / "docs" / "emulator-coverage.md")
#: Written from tests/evidence/api.py, see tests/client/test_every_operation.py.
API_COVERAGE = Document(REPOSITORY / "docs" / "api-coverage.md")
