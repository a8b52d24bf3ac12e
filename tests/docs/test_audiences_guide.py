"""Every snippet of docs/audiences-and-uploads.md, executed as a user would, and its tables against what tasks return."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.hooks.amc import AmcHook
from tests.docs.documents import AUDIENCES
from tests.docs.markdown import Block, codes
from tests.docs.project import save
from tests.services import BUCKET

pytestmark = [pytest.mark.packaging, pytest.mark.system]


def run_dag(file: Path, **arguments: Any) -> dict[str, dict[str, Any]]:
    """Run the DAG of a file to its end, and give the XComs of its tasks."""
    run = runpy.run_path(str(file))["dag"].test(**arguments)
    tasks = run.get_task_instances()
    assert str(run.state) == "success", {ti.task_id: str(ti.state) for ti in tasks}
    keys = ("return_value", "users", "audience", "metrics")
    return {ti.task_id: {key: ti.xcom_pull(ti.task_id, key=key) for key in keys} for ti in tasks}


def told(section: str, number: int = 1) -> set[str]:
    """The fields that a table names."""
    return {code for row in AUDIENCES.table(section, number) for code in codes(row["field"])}


def people(first: str, last: str, count: int) -> str:
    rows = (f"{last.format(n=n)}\n" for n in range(count))
    return f"{first}\n{''.join(rows)}"


@AUDIENCES.executed("Before you begin")
def test_terms(blocks: list[Block], customers_amc: EmulatorServer, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = blocks
    exec(block.text, {})
    assert "True <h1>Terms of the emulator" in capsys.readouterr().out


@AUDIENCES.executed("An audience of a query")
def test_an_audience_of_a_query(blocks: list[Block], project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Of 2,075 users that the emulator finds, Amazon DSP can target about half.
    with EmulatorServer(port=0, min_audience_users=1000) as server:
        monkeypatch.setenv("AIRFLOW_CONN_AMC_DEFAULT", json.dumps(server.connection))
        results = run_dag(save(blocks[0].text, project))
    assert set(results["audience"]["audience"]) == told("An audience of a query")
    assert results["enough"]["users"] >= 2000 > results["audience"]["audience"]["audience_count"] >= 1000


def test_no_audience_of_too_few(customers_amc: EmulatorServer, project: Path) -> None:
    (block,) = AUDIENCES.blocks_of("An audience of a query")
    text = block.text.replace("recent_viewers", "few_viewers")
    run = runpy.run_path(str(save(text, project)))["dag"].test()
    states = {ti.task_id: str(ti.state) for ti in run.get_task_instances()}
    assert states == {"enough": "skipped", "audience": "skipped"}
    assert customers_amc.requests_of("createQueryBasedAudience") == []


@AUDIENCES.executed("An audience of your own customers")
def test_an_audience_of_customers(
    blocks: list[Block],
    customers_amc: EmulatorServer,
    customers_s3: Any,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setup, daily = (save(block.text, project) for block in blocks)
    made = run_dag(setup)
    monkeypatch.setenv("AIRFLOW_VAR_LOYAL_CUSTOMERS_CONNECTION", str(made["connect"]["return_value"]))
    monkeypatch.setenv("AIRFLOW_VAR_LOYAL_CUSTOMERS_AUDIENCE", str(made["create"]["return_value"]))
    rows = people("customer,email,postcode,change", "c-{n},Person{n}@Example.com,01234,", 90)
    customers_s3.load_string(f"{rows}c-90,person90@example.com,,DELETE\n", "loyal/today/a.csv", BUCKET)
    result = run_dag(daily)["records"]["return_value"]
    assert set(result) == told("An audience of your own customers")
    assert (result["added"], result["removed"], result["invalid"]) == (90, 1, 0)
    assert 50 < result["dsp_audience_size"] <= 90
    audience = AmcHook().get_conn().advertiser_audiences.get(made["create"]["return_value"])
    assert (audience.name, audience.ttl) == ("Loyal customers", 180 * 86_400)


@AUDIENCES.executed("Customers as a table", "upload")
@AUDIENCES.executed("Delete users", "forget")
def test_customers_come_and_go(
    upload: list[Block], forget: list[Block], customers_amc: EmulatorServer, customers_s3: Any, project: Path
) -> None:
    rows = people("email,loyalty_level", " Person{n}@Example.com,gold", 400)
    customers_s3.load_string(rows, "customers/customers.csv", BUCKET)
    results = run_dag(save(upload[0].text, project))["upload"]
    result = results["return_value"]
    assert set(result) == told("Customers as a table")
    assert (result["rows"], result["uploaded_rows"], result["all_rows"]) == (400, 400, 400)
    assert 0.7 < result["match_share"] < 0.9
    assert results["metrics"] == {"OutputRowCount": 400}
    customers_s3.load_string("email\nperson7@example.com\nperson8@example.com\n", "forget/today.csv", BUCKET)
    receipt = run_dag(save(forget[0].text, project))["delete"]["return_value"]
    (request,) = receipt.pop("requests")
    assert receipt == {"users": 2, "rows": 2, "unusable": {"email": 0}}
    assert set(request) == told("Delete users")
    assert (request["status"], request["identity_count"]) == ("SUCCEEDED", 2)
    assert customers_s3.list_keys(BUCKET, prefix="amc-staging/") == []


@AUDIENCES.executed("Id mapping tables")
def test_id_mapping_tables(
    blocks: list[Block], customers_amc: EmulatorServer, customers_s3: Any, project: Path
) -> None:
    (block,) = blocks
    client = AmcHook().get_conn()
    instance_id = client.instances.create("Together", collaboration=True).instance_id
    namespace = next(iter(client.collaborations.id_namespaces(instance_id))).id_namespace_arn
    file = save(block.text, project)
    results = run_dag(file, run_conf={"instance_id": instance_id, "namespace": namespace})
    assert results["create"]["metrics"] == results["refresh"]["metrics"] != {}
    assert [one["name"] for one in results["tables"]["return_value"]] == ["customer_ids"]
