"""The example DAGs, run by Airflow against the emulator, an S3, a Secrets Manager, a PostgreSQL and a DuckDB."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.hooks.amc import AmcHook
from tests.conftest import REPOSITORY
from tests.services import BUCKET

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("airflow_db")]


def run_example(name: str, **arguments: Any) -> Any:
    """Run an example DAG to its end and check that every task succeeded."""
    dag = runpy.run_path(str(REPOSITORY / "example_dags" / f"{name}.py"))["dag"]
    run = dag.test(**arguments)
    states = {f"{ti.task_id}[{ti.map_index}]": str(ti.state) for ti in run.get_task_instances()}
    assert str(run.state) == "success", states
    return run


def manifests(s3: Any) -> list[dict[str, Any]]:
    keys = [key for key in s3.list_keys(BUCKET) if key.endswith("/_manifest.json")]
    return [json.loads(s3.read_key(key, BUCKET)) for key in keys]


@pytest.mark.parametrize("file", sorted((REPOSITORY / "example_dags").glob("*.py")), ids=lambda file: file.stem)
def test_examples_are_parsed(file: Path) -> None:
    found = runpy.run_path(str(file))
    needs_airflow_3 = file.stem == "example_amc_new_results"
    assert ("dag" in found) == (AIRFLOW_V_3_0_PLUS or not needs_airflow_3)


def test_from_a_query_to_duckdb(amc_default: EmulatorServer, s3: Any, duckdb_file: Path) -> None:
    import duckdb

    run_example("example_amc_to_s3_and_warehouse")
    (manifest,) = manifests(s3)
    with duckdb.connect(str(duckdb_file)) as connection:
        rows = connection.execute("SELECT campaign, reach, impressions FROM campaign_reach").fetchall()
    assert len(rows) == manifest["rows"] > 0
    assert all(0 < reach <= impressions for _, reach, impressions in rows)
    assert len(amc_default.requests_of("createWorkflowExecution")) == 1
    # A second run of the same window replaces the first one's rows and files.
    run_example("example_amc_to_s3_and_warehouse")
    assert [found["rows"] for found in manifests(s3)] == [manifest["rows"]]
    with duckdb.connect(str(duckdb_file)) as connection:
        assert connection.execute("SELECT count(*) FROM campaign_reach").fetchone() == (manifest["rows"],)


def test_from_a_query_to_postgres(
    amc_default: EmulatorServer, s3: Any, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE_DEFAULT", postgres)
    run_example("example_amc_to_s3_and_warehouse")
    (manifest,) = manifests(s3)
    hook = PostgresHook(postgres_conn_id="warehouse_default")
    assert hook.get_first("SELECT count(*) FROM campaign_reach") == (manifest["rows"],)


def test_with_credentials_in_secrets_manager(
    amc_default: EmulatorServer, s3: Any, duckdb_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.providers.amazon.aws.hooks.secrets_manager import SecretsManagerHook

    connection = amc_default.connection
    secret = {
        "Clientid": connection.pop("login"),
        "Clientsecret": connection.pop("password"),
        "refreshToken": connection["extra"].pop("refresh_token"),
        "returnurl": "https://example.com",
    }
    SecretsManagerHook().get_conn().create_secret(Name="amc/example", SecretString=json.dumps(secret))
    connection["extra"]["secret_id"] = "amc/example"
    monkeypatch.setenv("AIRFLOW_CONN_AMC_DEFAULT", json.dumps(connection))
    run_example("example_amc_to_s3_and_warehouse")
    assert len(manifests(s3)) == 1


def test_many_instances(many_instances: EmulatorServer, s3: Any, duckdb_file: Path) -> None:
    import duckdb

    run_example("example_amc_many_instances")
    found = manifests(s3)
    instances = {manifest["instance_id"] for manifest in found}
    assert instances == {"amcemulator", "amcemulator02", "amcemulator03", "amcemulator04", "amcemulator05"}
    with duckdb.connect(str(duckdb_file)) as connection:
        loaded = connection.execute(
            "SELECT _amc_instance_id, count(*) FROM campaign_reach_by_instance GROUP BY 1"
        ).fetchall()
    assert dict(loaded) == {manifest["instance_id"]: manifest["rows"] for manifest in found}
    assert len(many_instances.requests_of("createWorkflowExecution")) == 5
    assert all(f"/instance={manifest['instance_id']}/" in manifest["files"][0]["key"] for manifest in found)


def test_new_instance(amc_default: EmulatorServer) -> None:
    run = run_example("example_amc_new_instance")
    (instance_id,) = {ti.xcom_pull("create_instance") for ti in run.get_task_instances()}
    client = AmcHook(instance_id=instance_id).get_conn()
    assert (client.instances.get().instance_name, client.instances.get().is_ready) == ("Spring reports", True)
    assert {one.id for one in client.advertisers.list()} == {"580000000000000001", "ENTITYEMULATORADS"}
    (execution,) = client.executions.list(min_creation_time="2020-01-01T00:00:00")
    assert execution.is_succeeded
    # A second run goes on with the instance and finds its advertisers in place.
    run_example("example_amc_new_instance")
    assert len(amc_default.requests_of("createInstance")) == len(amc_default.requests_of("createAdvertiserUpdate")) == 1
    assert len(amc_default.requests_of("createWorkflowExecution")) == 2


def test_without_a_logical_date(amc_default: EmulatorServer, s3: Any, duckdb_file: Path) -> None:
    from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

    arguments = {"logical_date": None} if AIRFLOW_V_3_0_PLUS else {}
    run_example("example_amc_to_s3_and_warehouse", **arguments)
    assert len(manifests(s3)) == 1


def test_an_audience_is_refreshed_when_there_are_enough_people(
    emulator_with: Any, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    amc = emulator_with(min_audience_users=50)
    monkeypatch.setenv("AMC_EXAMPLE_FEWEST_USERS", "50")
    run_example("example_amc_audience_refresh")
    (audience,) = AmcHook().get_conn().audiences.list()
    assert (audience.status, audience.refresh_rate_days) == ("SUCCEEDED", 7)
    assert (audience.audience_count or 0) >= 50
    monkeypatch.setenv("AMC_EXAMPLE_FEWEST_USERS", "1000000")
    dag = runpy.run_path(str(REPOSITORY / "example_dags" / "example_amc_audience_refresh.py"))["dag"]
    states = {ti.task_id: str(ti.state) for ti in dag.test().get_task_instances()}
    assert states == {"enough_people": "skipped", "make_audience": "skipped"}
    assert len(amc.requests_of("createQueryBasedAudience")) == 1


def test_customers_are_uploaded_matched_and_reported(emulator_with: Any, s3: Any, moto: str, duckdb_file: Path) -> None:
    import duckdb

    rows = "".join(
        f"Person{n}@Example.com ,{n % 90000 + 10000:05d},{'gold' if n % 2 else 'blue'}\n" for n in range(1000)
    )
    s3.load_string(f"email,postcode,loyalty_level\n{rows}", "customers/customers.csv", BUCKET)
    emulator_with(s3_endpoint_url=moto)
    run_example("example_amc_first_party_upload")
    with duckdb.connect(str(duckdb_file)) as connection:
        found = connection.execute(
            "SELECT loyalty_level, customers, matched FROM customer_matches ORDER BY 1"
        ).fetchall()
    assert [(level, customers) for level, customers, _ in found] == [("blue", 500), ("gold", 500)]
    assert all(350 < matched < 450 for *_, matched in found)
    assert s3.list_keys(BUCKET, prefix="amc-staging/") == []
