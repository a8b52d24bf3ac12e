"""The command ``amc``."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from typer.testing import CliRunner

from airflow_provider_amc import __version__
from airflow_provider_amc.cli import app

ROOT = Path(__file__).parents[2]
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})


def test_version():
    result = run("--version")
    assert (result.exit_code, result.output) == (0, f"airflow-provider-amc {__version__}\n")


def test_help_names_every_option():
    result = run("emulator", "--help")
    assert result.exit_code == 0
    for option in ("--host", "--port", "--seed", "--scale", "--speed", "--state-dir", "--envelope", "--instance"):
        assert option in ANSI.sub("", result.output)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--now", "tomorrow"), "2026-01-01T00:00:00Z"),
        (("--instance", "No Good"), "'No Good' is not an instance id"),
        (("--host", "256.0.0.1"), ""),
        (("--scale", "huge"), "scale must be one of tiny, small, medium, large"),
        (("--switch", "colour=red"), "'colour=red' is not a switch"),
        (("--switch", "unknown_id_status=many"), "whole number"),
        (("--switch", "unknown-id-status=500"), "unknown_id_status must be one of 400, 404"),
    ],
)
def test_wrong_settings_end_with_a_sentence(arguments, text):
    result = run("emulator", "--port", "0", *arguments)
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert result.output.startswith("amc: ")
    assert text in result.output


def test_wrong_choice():
    assert run("emulator", "--speed", "slow").exit_code == 2


@pytest.mark.parametrize("module", ["duckdb", "starlette", "uvicorn"])
def test_missing_extra_says_how_to_get_it(module):
    script = (
        "import sys\n"
        f"sys.modules['{module}'] = None\n"
        "sys.argv = ['amc', 'emulator']\n"
        "from airflow_provider_amc.cli import main\n"
        "main()\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 1
    assert f"The emulator needs {module}: pip install 'airflow-provider-amc[emulator]'" in result.stderr
    assert "Traceback" not in result.stderr


def test_import_is_light():
    script = (
        "import sys\n"
        "import airflow_provider_amc.cli\n"
        "heavy = {'airflow', 'boto3', 'duckdb', 'pandas', 'pyarrow', 'sqlglot', 'starlette', 'uvicorn'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert result.stdout == "[]\n"


def test_emulator_command_serves_until_it_is_stopped(tmp_path):
    options = ["--instance", "amcother", "--switch", "z_suffix=reject"]
    process = subprocess.Popen(
        [sys.executable, "-m", "airflow_provider_amc.cli", "emulator", "--port", "0", *options],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path), "NO_COLOR": "1", "TERM": "dumb"},
    )
    try:
        assert process.stdout is not None
        lines = []
        while not lines or not lines[-1].startswith("export "):
            lines.append(process.stdout.readline())
            assert lines[-1], "".join(lines)
        connection = json.loads(lines[-1].split("=", 1)[1].strip().strip("'"))
        assert "amcother (STANDARD)" in "".join(lines)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{connection['host']}/_emulator/health", timeout=30) as answer:
            assert json.load(answer)["status"] == "ok"
        with opener.open(f"{connection['host']}/_emulator/connection", timeout=30) as answer:
            assert json.load(answer) == connection
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 0
        assert list(tmp_path.iterdir()) == []
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
