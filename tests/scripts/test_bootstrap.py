"""Making the environment: which interpreter, which installer, and what happens after a crash."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.scripts.loading import load_script

THIS = f"{sys.version_info.major}.{sys.version_info.minor}"

pytestmark = pytest.mark.packaging


@pytest.fixture
def bootstrap() -> ModuleType:
    return load_script("bootstrap")


def program(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


# --- interpreters ----------------------------------------------------------------------------------------------------


def test_the_lock_file_says_which_pythons_it_is_for(bootstrap: ModuleType, tmp_path: Path) -> None:
    lock = tmp_path / "airflow-1.txt"
    lock.write_text("# python: 3.11 3.12\nattrs==25.1\n")
    assert bootstrap.supported_pythons(lock) == ["3.11", "3.12"]
    lock.write_text("attrs==25.1\n")
    with pytest.raises(bootstrap.BootstrapError, match="make lock"):
        bootstrap.supported_pythons(lock)


def test_releases_are_sorted_as_numbers(bootstrap: ModuleType, tmp_path: Path) -> None:
    for version in ("3.10.0", "3.9.1", "2.11.2"):
        (tmp_path / f"airflow-{version}.txt").touch()
    assert bootstrap.locked_versions(tmp_path) == ["2.11.2", "3.9.1", "3.10.0"]


def test_the_interpreter_that_runs_is_taken_when_it_fits(bootstrap: ModuleType) -> None:
    assert bootstrap.choose_python([THIS], None) == sys.executable


def test_another_interpreter_of_the_path_is_found(
    bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "python3.98", "echo 3.98 cpython")
    program(tmp_path / "python3.97", "exit 127")  # like a shim of a version manager
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bootstrap.choose_python(["3.97", "3.98"], None) == "python3.98"


def test_no_interpreter(bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(bootstrap.BootstrapError, match=r"No Python 3\.98 found.*PYTHON=/path/to/python3\.98"):
        bootstrap.choose_python(["3.98"], None)


@pytest.mark.parametrize(
    ("script", "message"),
    [("echo 3.10 cpython", "is CPython 3.10"), ("echo 3.11 pypy", "no CPython"), ("exit 1", "no CPython that runs")],
)
def test_a_named_interpreter_that_does_not_fit(
    bootstrap: ModuleType, tmp_path: Path, script: str, message: str
) -> None:
    with pytest.raises(bootstrap.BootstrapError, match=message):
        bootstrap.choose_python(["3.11", "3.12"], program(tmp_path / "python", script))


# --- environments ----------------------------------------------------------------------------------------------------


@pytest.fixture
def made(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Environments into which packages were installed, instead of installing them."""
    installed: list[Path] = []
    monkeypatch.setattr(bootstrap, "install", lambda venv, interpreter, lock: installed.append(venv))
    return installed


@pytest.fixture
def quick(tmp_path: Path) -> str:
    """This interpreter, but it puts no pip into an environment, which takes seconds."""
    script = f'[ "$1 $2" = "-m venv" ] && set -- -m venv --without-pip "$3"; exec {sys.executable} "$@"'
    return program(tmp_path / "quick-python", script)


@pytest.fixture
def version(bootstrap: ModuleType) -> str:
    return str(bootstrap.locked_versions()[-1])


def test_the_second_run_does_nothing(
    bootstrap: ModuleType, made: list[Path], version: str, tmp_path: Path, quick: str
) -> None:
    venv = tmp_path / "env"
    for _ in range(2):
        bootstrap.bootstrap(version, venv, quick)
    assert made == [venv]
    assert bootstrap.probe(str(venv / "bin" / "python")) == THIS


@pytest.mark.parametrize(("changed", "kept"), [("airflow-{}.txt", False), ("pyproject.toml", True)])
def test_what_changed_decides_how_much_is_done_again(
    bootstrap: ModuleType,
    made: list[Path],
    version: str,
    tmp_path: Path,
    quick: str,
    monkeypatch: pytest.MonkeyPatch,
    changed: str,
    kept: bool,
) -> None:
    venv = tmp_path / "env"
    bootstrap.bootstrap(version, venv, quick)
    (venv / "leftover").touch()
    real = bootstrap.fingerprint

    def fingerprint(*paths: Path, words: tuple[str, ...] = ()) -> str:
        edited = changed.format(version) in {path.name for path in paths}
        return str(real(*paths, words=[*words, "edited"] if edited else words))

    monkeypatch.setattr(bootstrap, "fingerprint", fingerprint)
    bootstrap.bootstrap(version, venv, quick)
    assert made == [venv, venv]
    assert (venv / "leftover").exists() is kept
    bootstrap.bootstrap(version, venv, quick)
    assert made == [venv, venv], "and then it is current"


def test_a_crash_in_the_middle_is_mended(
    bootstrap: ModuleType, version: str, tmp_path: Path, quick: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv = tmp_path / "env"
    tries: list[bool] = []

    def install(venv: Path, interpreter: str, lock: Path) -> None:
        tries.append((venv / "half").exists())
        (venv / "half").touch()
        if len(tries) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(bootstrap, "install", install)
    with pytest.raises(KeyboardInterrupt):
        bootstrap.bootstrap(version, venv, quick)
    bootstrap.bootstrap(version, venv, quick)
    assert tries == [False, False], "the second try found what the first had left"
    assert bootstrap.is_current(venv, bootstrap.REQUIREMENTS / f"airflow-{version}.txt", None)


@pytest.mark.parametrize("leave", [lambda venv: venv.mkdir(), lambda venv: (venv / "bin").mkdir(parents=True)])
def test_a_directory_without_a_python_is_made_anew(
    bootstrap: ModuleType, made: list[Path], version: str, tmp_path: Path, quick: str, leave: Callable[[Path], None]
) -> None:
    leave(tmp_path / "env")
    bootstrap.bootstrap(version, tmp_path / "env", quick)
    assert bootstrap.probe(str(tmp_path / "env" / "bin" / "python")) == THIS


def test_an_environment_of_the_user_is_kept(
    bootstrap: ModuleType, made: list[Path], version: str, tmp_path: Path
) -> None:
    venv = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    (venv / "theirs").touch()
    bootstrap.bootstrap(version, venv, None)
    assert (venv / "theirs").exists()
    assert made == [venv]


def test_an_environment_of_the_user_with_another_python_is_not_touched(
    bootstrap: ModuleType, made: list[Path], version: str, tmp_path: Path
) -> None:
    (tmp_path / "env" / "bin").mkdir(parents=True)
    program(tmp_path / "env" / "bin" / "python", "echo 3.8 cpython")
    with pytest.raises(bootstrap.BootstrapError, match=r"Python 3\.8, made by somebody else"):
        bootstrap.bootstrap(version, tmp_path / "env", None)
    assert made == []


def test_a_python_without_ensurepip_makes_an_environment_without_pip(
    bootstrap: ModuleType, made: list[Path], version: str, tmp_path: Path
) -> None:
    python = program(
        tmp_path / "python",
        f'case "$*" in *--without-pip*|*-c*) exec {sys.executable} "$@";; *-m*venv*) echo no ensurepip; exit 1;; esac',
    )
    bootstrap.bootstrap(version, tmp_path / "env", python)
    assert bootstrap.probe(str(tmp_path / "env" / "bin" / "python")) == THIS
    assert made == [tmp_path / "env"]


def test_neither_pip_nor_uv(bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "find_pip", lambda venv, interpreter: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(bootstrap.BootstrapError, match="apt-get install python3-venv"):
        list(bootstrap.installers(tmp_path, sys.executable))


def test_pip_helps_when_uv_fails(bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    uv, pip = program(tmp_path / "uv", "echo no route >&2; exit 2"), program(tmp_path / "pip", f'echo "$@" >> {log}')
    monkeypatch.setattr(
        bootstrap, "installers", lambda venv, interpreter: iter([("uv", [uv], {}), ("pip", [pip, "install"], {})])
    )
    lock = next(iter(bootstrap.REQUIREMENTS.glob("airflow-*.txt")))
    bootstrap.install(tmp_path, sys.executable, lock)
    first, second = log.read_text().splitlines()
    assert first == f"install --no-deps --requirement {lock}"
    assert second.startswith("install --no-deps --no-build-isolation --editable ")


def test_what_failed_is_said(
    bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    uv = program(tmp_path / "uv", "echo no route to the index >&2; exit 2")
    monkeypatch.setattr(bootstrap, "installers", lambda venv, interpreter: iter([("uv", [uv], {})]))
    assert bootstrap.main(["--venv", str(tmp_path / "env"), "--python", sys.executable]) == 1
    assert "no route to the index" in capsys.readouterr().err


# --- settings of the machine -----------------------------------------------------------------------------------------


def test_settings_of_pip_are_read(bootstrap: ModuleType, tmp_path: Path) -> None:
    pip = program(
        tmp_path / "pip",
        "cat <<'END'\n:env:.find-links='/wheels'\nglobal.find-links='/global'\nglobal.index-url='https://one.example/s'\n"
        "install.index-url='https://two.example/s'\nEND",
    )
    assert bootstrap.pip_settings([pip]) == {"find-links": "/wheels", "index-url": "https://two.example/s"}


def test_settings_of_pip_reach_uv(bootstrap: ModuleType) -> None:
    settings = {
        "cert": "/certs.pem",
        "extra-index-url": "https://b.example/simple\nhttps://c.example/simple",
        "find-links": "/one /two",
        "index-url": "https://a.example/simple",
        "no-index": "true",
        "proxy": "http://proxy.example:3128",
        "trusted-host": "a.example b.example",
    }
    assert bootstrap.uv_environment(settings, {"HOME": "/home/me"}) == {
        "ALL_PROXY": "http://proxy.example:3128",
        "HOME": "/home/me",
        "SSL_CERT_FILE": "/certs.pem",
        "UV_DEFAULT_INDEX": "https://a.example/simple",
        "UV_FIND_LINKS": "/one,/two",
        "UV_INDEX": "https://b.example/simple https://c.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_INSECURE_HOST": "a.example b.example",
        "UV_NO_INDEX": "1",
        "UV_PYTHON_DOWNLOADS": "never",
    }


def test_a_uv_that_is_configured_keeps_its_indexes(bootstrap: ModuleType) -> None:
    environment = bootstrap.uv_environment(
        {"index-url": "https://a.example/simple"}, {"UV_DEFAULT_INDEX": "https://mine.example/simple"}
    )
    assert environment["UV_DEFAULT_INDEX"] == "https://mine.example/simple"
