"""Every snippet of docs/emulator.md, executed, and its tables against the code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow
import pytest
import requests

from airflow_provider_amc.emulator import config as known
from airflow_provider_amc.emulator import control
from airflow_provider_amc.emulator.config import EmulatorConfig
from airflow_provider_amc.emulator.faults import KINDS, Fault
from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.hooks.amc import AmcHook
from airflow_provider_amc.sql.lineage import LEVELS, Lineage
from airflow_provider_amc.triggers.execution import AmcWorkflowExecutionTrigger
from tests.docs.documents import GUIDE
from tests.docs.markdown import Block, codes
from tests.docs.shell import commands, run, with_curl
from tests.emulator.advertiser import PRODUCT, Advertiser, record
from tests.emulator.api import Api
from tests.tasks import event_of

pytestmark = pytest.mark.packaging


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorServer]:
    """The ``server`` of the snippets, as ``amc_default``."""
    with EmulatorServer(port=0) as running:
        monkeypatch.setenv("AIRFLOW_CONN_AMC_DEFAULT", json.dumps(running.connection))
        yield running


def users_by_campaign() -> dict[str | None, int]:
    """Users of each campaign in the week of the snippets' rows, as a query gives them."""
    sql = "SELECT campaign, COUNT(DISTINCT user_id) AS users FROM dsp_impressions GROUP BY campaign"
    execution = (
        AmcHook()
        .get_conn()
        .executions.create(
            workflow={"sqlQuery": sql},
            time_window_start="2026-03-02T00:00:00",
            time_window_end="2026-03-09T00:00:00",
        )
    )
    event_of(AmcWorkflowExecutionTrigger(workflow_execution_id=execution.workflow_execution_id, poll_interval=0.01))
    frame = AmcHook().get_df(execution.workflow_execution_id)
    names = frame["campaign"].astype(object).where(frame["campaign"].notna(), None)
    return dict(zip(names, frame["users"].astype(int), strict=True))


# --- tables -----------------------------------------------------------------------------------------------------------


def test_credentials() -> None:
    values = [codes(row["value"])[0] for row in GUIDE.table("What it accepts")]
    assert values == [
        known.CLIENT_ID,
        known.CLIENT_SECRET,
        known.REFRESH_TOKEN,
        known.REPORTING_REFRESH_TOKEN,
        known.ACCOUNT_ID,
        known.MARKETPLACE_ID,
        known.STANDARD_INSTANCE,
        known.SANDBOX_INSTANCE,
    ]


def test_data() -> None:
    from airflow_provider_amc.emulator.data.scale import SCALES
    from airflow_provider_amc.emulator.engine import Engine

    (text,) = [part for part in GUIDE.text.split("\n## ") if part.startswith("Data\n")]
    told = [span for span in codes(" ".join(text.split())) if span not in ("seed", "scale", "_for_audiences")]
    engine = Engine(scale="tiny", now=datetime(2026, 3, 11))

    def count(table: str) -> int:
        query = engine.compile(f"SELECT COUNT(1) AS rows_there FROM {table}")
        answer = engine.run(query, window_start=datetime(2025, 3, 1), window_end=datetime(2026, 3, 11))
        batches = answer.to_batches() if isinstance(answer, pyarrow.Table) else answer
        return sum(sum(batch.to_pydict()["rows_there"]) for batch in batches)

    try:
        sources = {source["dataSourceId"] for source in engine.data_sources()}
        filled = {name for name in sources if not name.endswith("_for_audiences") and count(name)}
        assert {f"{name}_for_audiences" for name in filled} <= sources
    finally:
        engine.close()
    assert set(told) - filled == set(SCALES), "a table that has no rows, or a scale that is missing"


def test_settings() -> None:
    rows = {codes(row["setting"])[0]: row for row in GUIDE.table("Settings")}
    declared = {setting.name: setting.default for setting in fields(EmulatorConfig)}
    assert set(rows) == set(declared)
    for name, default in declared.items():
        told = codes(rows[name]["default"])
        assert told == ([] if default is None else [str(default)]), name


def test_options() -> None:
    import typer

    from airflow_provider_amc.cli import app
    from airflow_provider_amc.cli.emulator import _SWITCHES

    rows = {codes(row["setting"])[0]: codes(row["option"]) for row in GUIDE.table("Settings")}
    assert {name for name, option in rows.items() if option == ["--switch"]} == set(_SWITCHES)
    group: Any = typer.main.get_command(app)
    options = {name for parameter in group.commands["emulator"].params for name in parameter.opts} - {"--help"}
    assert {name for option in rows.values() for name in option} == options


def test_control_endpoints() -> None:
    told = {(row["method"], codes(row["path"])[0]) for row in GUIDE.table("Control endpoints")}
    assert told == {(operation.method, operation.path) for operation in control.OPERATIONS}


def test_faults() -> None:
    rows = {codes(row["kind"])[0]: codes(row["further fields"]) for row in GUIDE.table("Faults")}
    assert set(rows) == set(KINDS)
    assert {name for names in rows.values() for name in names} <= set(Fault.__dataclass_fields__)


# --- snippets ---------------------------------------------------------------------------------------------------------


def test_thresholds_are_those_of_the_engine() -> None:
    told = {codes(row["threshold"])[0]: row for row in GUIDE.table("Privacy")}
    assert list(told) == list(LEVELS)
    for level, name in enumerate(LEVELS):
        lineage = Lineage(level=level)
        wanted = "never in the output" if lineage.hidden else str(lineage.required)
        assert told[name]["distinct users"] == wanted
        assert told[name]["comparing it with a literal or parameter"] == ("refused" if lineage.protected else "allowed")


@GUIDE.executed("Start it")
def test_start_it(blocks: list[Block], started: Any, capsys: pytest.CaptureFixture[str]) -> None:
    in_process, command = blocks
    exec(in_process.text, {})
    printed = capsys.readouterr().out
    assert printed.startswith("http://127.0.0.1:")
    assert known.CLIENT_ID in printed

    (words,) = commands(command.text)
    health = requests.get(f"{started(words)}/_emulator/health", timeout=60).json()
    assert health["speed"] == "realistic"
    assert "amceurope" in health["instances"]


@GUIDE.executed("Faults")
def test_order_faults(blocks: list[Block], server: EmulatorServer) -> None:
    (block,) = blocks
    exec(block.text, {"server": server})
    passed, message = AmcHook().test_connection()
    assert not passed
    assert "invalid_grant" in message
    assert [fault["kind"] for fault in server.emulator.faults.listed()] == ["revoked", "status", "reset", "fail"]


@GUIDE.executed("Administration")
def test_faults_of_the_administration(blocks: list[Block], server: EmulatorServer) -> None:
    (block,) = blocks
    exec(block.text, {"server": server})
    client = AmcHook().get_conn()
    made = client.instances.create("Autumn reports").instance_id
    server.advance_clock(200)
    assert client.instances.get(made).creation_status == "IN_PROGRESS"
    server.advance_clock(40)
    assert client.instances.get(made).creation_status == "COMPLETED"
    advertiser = {"id": "580000000000000002", "type": "DISPLAY"}
    update = client.advertisers.update(add=[advertiser], instance_id=made)
    assert client.advertisers.get_update(update.update_id, made).status == "REJECTED"


@GUIDE.executed("Audiences of queries")
def test_smaller_audiences(blocks: list[Block], capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = blocks
    exec(block.text, {"EmulatorServer": EmulatorServer})
    assert capsys.readouterr().out.startswith("http://127.0.0.1:")


@GUIDE.executed("Audiences and uploads")
def test_faults_of_audiences_and_uploads(blocks: list[Block], server: EmulatorServer) -> None:
    (block,) = blocks
    exec(block.text, {"server": server})
    advertiser = Advertiser(Api(server.url))
    advertiser.data_set("sales", PRODUCT)
    upload_id = advertiser.start("sales")
    server.advance_clock(500)
    assert advertiser.upload("sales", upload_id)["status"] == "IN_PROGRESS"
    audience_id = advertiser.audience(advertiser.connection())
    job = advertiser.job(advertiser.send(audience_id, [record(number) for number in range(5)]))
    assert [one["error"] for one in job["invalidRecords"]] == ["Try again."] * 3


@GUIDE.executed("The clock")
def test_clock(blocks: list[Block], server: EmulatorServer, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = blocks
    exec(block.text, {"server": server})
    assert capsys.readouterr().out.startswith("2026-03-11 09:0")


@GUIDE.executed("What queries must find")
def test_what_queries_must_find(
    blocks: list[Block], server: EmulatorServer, capsys: pytest.CaptureFixture[str]
) -> None:
    (block,) = blocks
    server.set_clock("2026-06-15T06:00:00Z")
    names: dict[str, Any] = {"server": server}
    exec(block.text, names)
    assert capsys.readouterr().out.count("{'1': ") == len(names["truth"]["campaigns"]) > 30

    fields: dict[str, set[str]] = {"": set(), "campaign": set(), "advertiser": set()}
    for row in GUIDE.table("What queries must find"):
        for of in row["of"].split(", "):
            fields[of].update(codes(row["field"]))
    fields["campaign"] |= {"campaign", "campaign_id_string", "ad_product", "advertiser"}
    fields["advertiser"] |= {"advertiser"}
    assert fields[""] == set(names["truth"])
    assert fields["campaign"] == set(names["truth"]["campaigns"][0])
    assert fields["advertiser"] == set(names["truth"]["advertisers"][0])


@GUIDE.executed("Rows of your own")
def test_rows_of_your_own(blocks: list[Block], server: EmulatorServer, tmp_path: Path) -> None:
    from_python, from_shell = blocks
    server.set_clock("2026-03-11T06:00:00Z")
    exec(from_python.text, {"server": server})
    assert users_by_campaign() == {"Spring": 2, None: 2}

    assert "http://127.0.0.1:8600" in from_shell.text
    answer = run(from_shell.text.replace("http://127.0.0.1:8600", server.url), env=with_curl(tmp_path))
    assert json.loads(answer) == {"table": "dsp_impressions", "rows": 2}
    assert users_by_campaign() == {"Spring": 2}

    server.reset()
    assert len(users_by_campaign()) > 1
