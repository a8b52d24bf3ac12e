"""Shell commands of the documents: split, checked without side effects, or run."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.conftest import REPOSITORY

#: Programs of this environment come first.
BIN = Path(sys.executable).parent

#: What the documents may use of curl, for machines that have none.
_CURL = """#!{python}
import argparse
import sys
import urllib.request

parser = argparse.ArgumentParser()
parser.add_argument("-s", action="store_true")
parser.add_argument("-X")
parser.add_argument("-d")
parser.add_argument("url")
given = parser.parse_args()
data = given.d.encode() if given.d is not None else None
request = urllib.request.Request(given.url, data, method=given.X or ("POST" if data is not None else "GET"))
opener = urllib.request.build_opener(urllib.request.ProxyHandler({{}}))
sys.stdout.write(opener.open(request, timeout=60).read().decode())
"""


def commands(text: str) -> list[list[str]]:
    """The commands of a block as words, comments left out and continued lines joined."""
    lines = text.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def environment(**changes: str) -> dict[str, str]:
    """The environment in which commands of a document run."""
    path = os.pathsep.join([str(BIN), os.environ.get("PATH", "")])
    # The tests may run under make themselves, whose flags are no business of the commands.
    kept = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    return {**kept, "PATH": path, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", **changes}


def with_curl(folder: Path) -> dict[str, str]:
    """An environment that has a curl."""
    found = environment()
    if shutil.which("curl", path=found["PATH"]) is None:
        program = folder / "curl"
        program.write_text(_CURL.format(python=sys.executable), encoding="utf-8")
        program.chmod(0o755)
        found["PATH"] = os.pathsep.join([found["PATH"], str(folder)])
    return found


def run(script: str | list[Any], cwd: Path = REPOSITORY, env: dict[str, str] | None = None) -> str:
    """Run a shell script, or a command given as words, and return what it prints.

    :raises AssertionError: it failed.
    """
    words = ["sh", "-eu", "-c", script] if isinstance(script, str) else script
    done = subprocess.run(
        words, cwd=cwd, env=env or environment(), capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def check_make(words: list[str]) -> str:
    """Let make say what it would do; return that."""
    assert words[0] == "make"
    goals = [word for word in words[1:] if "=" not in word]
    listed = run(["make", "help"])
    assert all(f"make {goal} " in listed for goal in goals), f"{goals} is not among the listed targets"
    return run(["make", "-n", *words[1:]])
