"""Files of the documents in the project of an imaginary user."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.docs.shell import environment, run
from tests.users import plugin_options


def save(text: str, project: Path) -> Path:
    """Write a block under the name that its first line, a comment, gives it; "continued" adds to what is there."""
    first, _, rest = text.partition("\n")
    name, _, continued = first.removeprefix("# ").removeprefix("-- ").partition(", ")
    assert name.endswith((".py", ".sql")), f"the block begins with {first!r}, not with the name of a file"
    file = project / name
    if continued:
        assert continued == "continued"
        text = f"{file.read_text(encoding='utf-8')}\n\n{rest}"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def run_user_tests(project: Path) -> str:
    """Run the tests of the project as a user would, and return what pytest prints."""
    (project / "pytest.ini").write_text("[pytest]\npythonpath = .\n", encoding="utf-8")
    return run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *plugin_options(), "tests"],
        cwd=project,
        env=environment(AIRFLOW__CORE__DAGS_FOLDER=str(project / "dags")),
    )
