"""Files of the documents in the project of an imaginary user."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.docs.shell import environment, run


def save(text: str, project: Path) -> Path:
    """Write a block under the name that its first line, a comment, gives it."""
    name = text.partition("\n")[0].removeprefix("# ")
    assert name.endswith(".py"), f"the block begins with {name!r}, not with the name of a file"
    file = project / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def run_user_tests(project: Path) -> str:
    """Run the tests of the project as a user would, and return what pytest prints."""
    (project / "pytest.ini").write_text("[pytest]\npythonpath = .\n", encoding="utf-8")
    return run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "tests"],
        cwd=project,
        env=environment(AIRFLOW__CORE__DAGS_FOLDER=str(project / "dags")),
    )
