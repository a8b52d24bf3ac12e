"""Every snippet of docs/testing.md, executed as a user would, and its tables against the code."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from airflow_provider_amc import pytest_plugin
from airflow_provider_amc.client import workflow_definition
from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.testing import AmcEmulator
from tests.docs.documents import TESTING
from tests.docs.markdown import Block, codes
from tests.docs.project import run_user_tests, save
from tests.docs.shell import commands
from tests.docs.test_readme import PROJECT

pytestmark = pytest.mark.packaging

FIXTURES = ["amc_emulator", "amc_default", "amc_emulator_settings"]


@TESTING.executed("Test your pipeline")
def test_install(blocks: list[Block]) -> None:
    (block,) = blocks
    ((pip, install, wanted),) = commands(block.text)
    assert (pip, install) == ("pip", "install")
    assert Requirement(wanted).name == PROJECT["name"]
    assert Requirement(wanted).extras <= set(PROJECT["optional-dependencies"])


def test_fixtures() -> None:
    told = [codes(row["fixture"])[0] for row in TESTING.table("Test your pipeline")]
    assert told == FIXTURES
    assert all(hasattr(pytest_plugin, name) for name in told)


@TESTING.executed("A query and ten rows", "ten_rows")
@TESTING.executed("What AMC takes away", "hidden")
@TESTING.executed("Settings", "settings")
def test_queries(ten_rows: list[Block], hidden: list[Block], settings: list[Block], tmp_path: Path) -> None:
    for block in [*ten_rows, *hidden, *settings]:
        save(block.text, tmp_path)
    assert "4 passed" in run_user_tests(tmp_path)


@TESTING.executed("A DAG", numbers=slice(1, None))
def test_a_connection_with_another_name(
    blocks: list[Block], emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_amc.hooks.amc import AmcHook

    (block,) = blocks
    exec(block.text, {"monkeypatch": monkeypatch, "amc_emulator": AmcEmulator(emulator)})
    passed, message = AmcHook("amc_europe").test_connection()
    assert passed, message


def public(kind: type[Any]) -> set[str]:
    """Public attributes of the objects of a class, those that its constructor sets included."""
    made = set(vars(kind("anything")))
    return {name for name in [*vars(kind), *made] if not name.startswith("_")}


def test_what_the_fixture_has() -> None:
    told = [code.partition("(")[0] for row in TESTING.table("What the fixture has") for code in codes(row["attribute"])]
    assert sorted(told) == sorted(public(AmcEmulator))


def test_arguments_of_a_query() -> None:
    told = [code for row in TESTING.table("A query and ten rows") for code in codes(row["argument"])]
    accepted = inspect.signature(AmcEmulator.query).parameters
    assert set(told) == set(accepted) - {"self", "sql", "input_parameters", "workflow"}
    assert {"privacy_filtering_behavior", "filtered_reason_column"} <= set(
        inspect.signature(workflow_definition).parameters
    )
