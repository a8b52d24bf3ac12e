"""Make, or bring up to date, the virtual environment of the checkout. Needs nothing but Python.

``python3 scripts/bootstrap.py`` makes ``.venv`` with the packages of the newest lock file in ``requirements/``;
``--airflow 2.11.2`` makes ``.venv-2.11.2`` from that release's lock file. Both install this package editable. A second
run looks at a stamp and returns at once; an environment left half-made by a crash is made anew.

Packages come through ``uv`` when it can be had, since it is ten times faster, else through ``pip``. Settings of pip on
this machine (mirrors, extra indexes, certificates) are handed on to uv.

Only syntax of Python 3.8 here, so that an old interpreter gets as far as the message that says what is needed.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
#: In an environment this script made, or began to make. Its content is the stamp of a finished one.
STAMP = "made-by-bootstrap"
UV = "uv>=0.8"
_PROBE = "import sys; print('%d.%d' % sys.version_info[:2], sys.implementation.name)"


class BootstrapError(Exception):
    """What stands in the way, and what the user can do about it."""


def say(text: str) -> None:
    """Tell the user about a step, at once."""
    print(f"[bootstrap] {text}", file=sys.stderr, flush=True)


# --- lock files and interpreters ---------------------------------------------------------------------------------


def version_key(version: str) -> Tuple[int, ...]:
    """Sort key of a version like ``3.10.2``."""
    return tuple(int(part) for part in version.split("."))


def locked_versions(requirements: Path = REQUIREMENTS) -> List[str]:
    """Airflow releases that have a lock file, oldest first."""
    names = [path.name[len("airflow-") : -len(".txt")] for path in requirements.glob("airflow-*.txt")]
    return sorted(names, key=version_key)


def supported_pythons(lock: Path) -> List[str]:
    """Python versions a lock file is for, from its first line, ``# python: 3.11 3.12``."""
    first = lock.read_text(encoding="utf-8").split("\n", 1)[0]
    match = re.match(r"# python: ((?:\d+\.\d+ ?)+)$", first)
    if not match:
        raise BootstrapError(f"{lock} does not begin with '# python: 3.11 ...'. Write it anew with 'make lock'.")
    return match.group(1).split()


def probe(command: str) -> Optional[str]:
    """Version (``3.12``) of a CPython interpreter, ``None`` when it is not there, does not run, or is no CPython."""
    path = shutil.which(command)
    if path is None:
        return None
    try:
        result = subprocess.run([path, "-c", _PROBE], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = result.stdout.split()
    return words[0] if result.returncode == 0 and words[1:] == ["cpython"] else None


def choose_python(supported: Sequence[str], wanted: Optional[str]) -> str:
    """Find an interpreter.

    :param supported: versions the lock file is for.
    :param wanted: interpreter named by the user (``PYTHON=...``), which is then the only one considered.
    :returns: command or path of the interpreter.
    """
    choices = ", ".join(supported)
    if wanted:
        found = probe(wanted)
        if found in supported:
            return wanted
        what = f"is CPython {found}" if found else "is no CPython that runs"
        raise BootstrapError(f"PYTHON={wanted} {what}; this lock file is for Python {choices}.")
    for command in [sys.executable, *(f"python{version}" for version in supported), "python3", "python"]:
        if probe(command) in supported:
            return command
    raise BootstrapError(
        f"No Python {choices} found on the PATH. Install one, or name it: make ... PYTHON=/path/to/python{supported[-1]}"
    )


# --- the environment ---------------------------------------------------------------------------------------------


def python_of(venv: Path) -> Path:
    """Interpreter inside an environment."""
    return venv / "bin" / "python"


def fingerprint(*paths: Path, words: Sequence[str] = ()) -> str:
    """Hash of some files and words."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    digest.update("\0".join(words).encode())
    return digest.hexdigest()


@dataclass(frozen=True)
class Stamp:
    """What an environment was made from.

    :param packages: hash of the lock file and the place: when they change, the environment is made anew.
    :param project: hash of what else matters: when only that changes, the packages are installed again.
    :param python: version of its interpreter.
    """

    packages: str
    project: str
    python: str

    @classmethod
    def wanted(cls, venv: Path, lock: Path, python: str) -> Stamp:
        """The stamp an environment should have now."""
        project = fingerprint(ROOT / "pyproject.toml", Path(__file__))
        return cls(fingerprint(lock, words=[str(venv)]), project, python)

    @classmethod
    def of(cls, venv: Path) -> Optional[Stamp]:
        """The stamp of a finished environment, ``None`` when there is none, or only half of one."""
        try:
            words = (venv / STAMP).read_text(encoding="utf-8").split()
        except OSError:
            return None
        return cls(*words) if len(words) == 3 and python_of(venv).exists() else None

    def write(self, venv: Path) -> None:
        """Say that the environment is finished."""
        new = venv / f"{STAMP}.new"
        new.write_text(f"{self.packages}\n{self.project}\n{self.python}\n", encoding="utf-8")
        new.replace(venv / STAMP)


def is_current(venv: Path, lock: Path, wanted: Optional[str]) -> bool:
    """Is the environment finished, made from these files, and with the interpreter the user names, if any?"""
    found = Stamp.of(venv)
    if found is None or (wanted is not None and found.python != probe(wanted)):
        return False
    return found == Stamp.wanted(venv, lock, found.python)


def can_be_kept(venv: Path, lock: Path, interpreter: str) -> bool:
    """Has the environment the right packages but for a change of the project itself?"""
    found = Stamp.of(venv)
    if found is None:
        return False
    return found.packages == Stamp.wanted(venv, lock, found.python).packages and found.python == probe(interpreter)


def create(venv: Path, interpreter: str, supported: Sequence[str]) -> None:
    """Make an empty environment, or keep one that the user made there and that fits.

    :param venv: where.
    :param interpreter: Python to make it with.
    :param supported: versions the lock file is for.
    """
    ours = (venv / STAMP).exists()
    if venv.exists() and not ours:
        found = probe(str(python_of(venv)))
        if found in supported:
            say(f"installing into the environment that is at {venv} already")
            return
        if found:
            raise BootstrapError(
                f"{venv} is an environment of Python {found}, made by somebody else; this lock file is for Python "
                f"{', '.join(supported)}. Move it away."
            )
    if venv.exists():
        shutil.rmtree(venv)
    venv.mkdir(parents=True)
    (venv / STAMP).touch()  # before anything else: what has this file and no stamp in it is half-made
    say(f"making {venv} with {interpreter} ({probe(interpreter)})")
    command = [interpreter, "-m", "venv"]
    attempt = subprocess.run([*command, str(venv)], capture_output=True, text=True, check=False)
    if attempt.returncode:
        # Debian and Ubuntu leave ensurepip out of python3; without pip an environment can be made all the same.
        say("this Python cannot put pip into an environment (no ensurepip); going on without")
        for leftover in ("bin", "lib", "lib64", "include", "pyvenv.cfg"):
            remove(venv / leftover)
        run([*command, "--without-pip", str(venv)], hint=attempt.stdout + attempt.stderr)


def remove(path: Path) -> None:
    """Delete a file, a link or a directory, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif path.exists() or path.is_symlink():
        path.unlink()


def run(command: Sequence[str], env: Optional[Dict[str, str]] = None, hint: str = "") -> None:
    """Run a command, show what it prints only when it fails."""
    result = subprocess.run(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT, check=False
    )
    if result.returncode:
        text = (result.stdout + hint).strip()
        raise BootstrapError(f"'{' '.join(command)}' failed with exit code {result.returncode}:\n{text}")


# --- installers --------------------------------------------------------------------------------------------------


def pip_settings(pip: Sequence[str]) -> Dict[str, str]:
    """Settings pip uses on this machine; those of the environment win over ``[install]``, these over ``[global]``."""
    result = subprocess.run([*pip, "config", "list"], capture_output=True, text=True, check=False)
    settings: Dict[str, str] = {}
    for section in ("global.", "install.", ":env:."):
        for line in result.stdout.splitlines():
            key, separator, value = line.partition("=")
            if separator and key.startswith(section):
                settings[key[len(section) :]] = str(ast.literal_eval(value))
    return settings


def uv_environment(settings: Dict[str, str], environ: Dict[str, str]) -> Dict[str, str]:
    """Say pip's settings in uv's words.

    :param settings: what :func:`pip_settings` found.
    :param environ: variables of this process. Where they configure uv's indexes already, they are left alone.
    :returns: variables for uv.
    """
    env = {**environ, "UV_PYTHON_DOWNLOADS": "never"}
    if "cert" in settings:
        env.setdefault("SSL_CERT_FILE", settings["cert"])
    if "proxy" in settings:
        env.setdefault("ALL_PROXY", settings["proxy"])
    if "trusted-host" in settings:
        env.setdefault("UV_INSECURE_HOST", " ".join(settings["trusted-host"].split()))
    own = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_CONFIG_FILE")
    if any(name in environ for name in own):
        return env
    if "index-url" in settings:
        env["UV_DEFAULT_INDEX"] = settings["index-url"].strip()
    if "extra-index-url" in settings:
        # pip takes the best version of all indexes; uv, left alone, the first index that knows the name.
        env["UV_INDEX"] = " ".join(settings["extra-index-url"].split())
        env.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    if "find-links" in settings:
        env["UV_FIND_LINKS"] = ",".join(settings["find-links"].split())
    if settings.get("no-index", "").lower() in ("1", "true", "yes"):
        env["UV_NO_INDEX"] = "1"
    return env


def find_pip(venv: Path, interpreter: str) -> Optional[List[str]]:
    """The pip inside the environment, else one of the machine that can be pointed at it, else ``None``."""
    inside = [str(python_of(venv)), "-m", "pip"]
    outside = [interpreter, "-m", "pip", "--python", str(python_of(venv))]
    for command in (inside, outside):
        if subprocess.run([*command, "--version"], capture_output=True, check=False).returncode == 0:
            return command
    return None


def find_uv(venv: Path, pip: Optional[List[str]]) -> Optional[str]:
    """The uv inside the environment, installed there by pip when it can be, else one on the PATH, else ``None``."""
    inside = venv / "bin" / "uv"
    if not inside.exists() and pip:
        with contextlib.suppress(BootstrapError):
            run([*pip, "install", "--quiet", "--disable-pip-version-check", UV])
    return str(inside) if inside.exists() else shutil.which("uv")


def installers(venv: Path, interpreter: str) -> Iterator[Tuple[str, List[str], Dict[str, str]]]:
    """The ways to install packages, best first: name, command up to ``install``, variables."""
    pip = find_pip(venv, interpreter)
    uv = find_uv(venv, pip)
    if uv:
        env = uv_environment(pip_settings(pip) if pip else {}, dict(os.environ))
        yield "uv", [uv, "pip", "install", "--python", str(python_of(venv))], env
    if pip:
        yield "pip", [*pip, "install", "--disable-pip-version-check"], dict(os.environ)
    if not uv and not pip:
        raise BootstrapError(
            "This Python has neither ensurepip nor pip, and there is no uv. Install one of them; on Debian and "
            "Ubuntu: apt-get install python3-venv (or python3-pip)."
        )


def install(venv: Path, interpreter: str, lock: Path) -> None:
    """Install the lock file and this package, by the first installer that can."""
    failures = []
    for name, command, env in installers(venv, interpreter):
        say(f"installing {lock.relative_to(ROOT)} with {name}")
        try:
            run([*command, "--no-deps", "--requirement", str(lock)], env)
            run([*command, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)], env)
        except BootstrapError as error:
            failures.append(str(error))
            say(f"{name} could not install the packages")
        else:
            return
    raise BootstrapError("\n".join(failures))


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Let a second bootstrap of this checkout wait until the first is done (``make -j``, two terminals)."""
    import fcntl

    handle = os.open(ROOT, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks: go on without
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def bootstrap(version: str, venv: Path, wanted: Optional[str]) -> None:
    """Make the environment ready.

    :param version: Airflow release, one that has a lock file.
    :param venv: where the environment is, or is to be.
    :param wanted: interpreter named by the user, or ``None``.
    """
    lock = REQUIREMENTS / f"airflow-{version}.txt"
    if is_current(venv, lock, wanted):
        return
    with only_one():
        if is_current(venv, lock, wanted):
            return
        supported = supported_pythons(lock)
        interpreter = choose_python(supported, wanted)
        if not can_be_kept(venv, lock, interpreter):
            create(venv, interpreter, supported)
        install(venv, interpreter, lock)
        Stamp.wanted(venv, lock, probe(str(python_of(venv))) or "").write(venv)
        say(f"{venv} is ready")


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run from the command line.

    :param argv: arguments, ``None`` for the process's own.
    :returns: exit code.
    """
    versions = locked_versions()
    parser = argparse.ArgumentParser(description="Make the virtual environment of this checkout.")
    parser.add_argument("--airflow", default=versions[-1], choices=versions, metavar="VERSION")
    parser.add_argument("--venv", type=Path, help="where; default .venv, or .venv-VERSION for --airflow VERSION")
    parser.add_argument("--python", default=os.environ.get("PYTHON") or None, help="interpreter to use")
    arguments = parser.parse_args(argv)
    default = ".venv" if arguments.airflow == versions[-1] else f".venv-{arguments.airflow}"
    try:
        bootstrap(arguments.airflow, Path(os.path.abspath(ROOT / (arguments.venv or default))), arguments.python)
    except BootstrapError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("interrupted; the next run makes the environment anew")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
