"""Every command and snippet of the README, executed."""

from __future__ import annotations

import getpass
import json
import re
import runpy
import sys
import tomllib
import zipfile
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest
import requests
from packaging.requirements import Requirement

from airflow_provider_amc.emulator import config as known
from airflow_provider_amc.emulator.server import EmulatorServer
from tests.conftest import REPOSITORY
from tests.docs.conftest import BUCKET
from tests.docs.documents import README, TESTING
from tests.docs.markdown import Block
from tests.docs.project import run_user_tests, save
from tests.docs.shell import check_make, commands, environment, run, with_curl

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]

#: Placeholders of the README and what the emulator knows instead.
REAL_VALUES = {
    "amzn1.application-oa2-client.0123456789abcdef": known.CLIENT_ID,
    "the client secret": known.CLIENT_SECRET,
    "Atzr|the-refresh-token": known.REFRESH_TOKEN,
    "ENTITY1A2B3C4D5E6F": known.ACCOUNT_ID,
    "amcabcdefgh": known.STANDARD_INSTANCE,
}

pytestmark = pytest.mark.packaging


def with_real_values(text: str) -> str:
    for placeholder, value in REAL_VALUES.items():
        text = text.replace(placeholder, value)
    return text


def connect(monkeypatch: pytest.MonkeyPatch, emulator: EmulatorServer, connection: dict[str, Any]) -> None:
    """Use a connection of the README as ``amc_default``, at the emulator's address."""
    monkeypatch.setenv("AIRFLOW_CONN_AMC_DEFAULT", json.dumps({**connection, "host": emulator.url}))


def check_connection(connection: dict[str, Any]) -> None:
    """Every field of a connection is one that the provider reads."""
    from airflow_provider_amc.get_provider_info import get_provider_info

    (declared,) = get_provider_info()["connection-types"]
    assert connection["conn_type"] == declared["connection-type"]
    assert set(connection) <= {"conn_type", "login", "password", "extra"}
    assert set(connection["extra"]) <= set(declared["conn-fields"])


def run_dag(file: Path) -> None:
    """Run the DAG of a file to its end and check that every task succeeded."""
    run = runpy.run_path(str(file))["dag"].test()
    assert run.state == "success", {ti.task_id: str(ti.state) for ti in run.get_task_instances()}


# --- try it, install --------------------------------------------------------------------------------------------------


@README.executed("Try it")
def test_try_it(blocks: list[Block]) -> None:
    demo, test = ([words] for block in blocks for words in commands(block.text))
    assert "scripts/demo.py" in check_make(demo[0])
    assert "-m pytest" in check_make(test[0])


@README.executed("Install")
def test_install(blocks: list[Block], tmp_path: Path) -> None:
    build, editable, list_provider = blocks
    make, pip = commands(build.text)
    assert "hatchling build" in check_make(make)
    run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "--directory", tmp_path / "dist"])
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    assert pip[:2] == ["pip", "install"]
    path, _, extras = pip[2].partition("[")
    assert path == f"dist/{wheel.name}"
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = [name for name in archive.namelist() if name.endswith("METADATA")]
        provided = [
            line.split(": ")[1] for line in archive.read(metadata).decode().splitlines() if "Provides-Extra" in line
        ]
    assert set(extras.rstrip("]").split(",")) <= set(provided)

    ((*words, target),) = commands(editable.text)
    assert words == ["pip", "install", "--editable"]
    assert Requirement(target.replace(".", "here", 1)).extras <= set(PROJECT["optional-dependencies"])

    answer = run(list_provider.text)
    assert "airflow-provider-amc" in answer
    assert PROJECT["version"] in answer


def test_extras_are_explained() -> None:
    (extras,) = [README.table("Install")]
    assert {row["extra"].strip("`") for row in extras} == set(PROJECT["optional-dependencies"])


# --- connect ----------------------------------------------------------------------------------------------------------


@README.executed("Connect with one command")
def test_one_command(
    blocks: list[Block], emulator: EmulatorServer, airflow_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Consent and questions have tests of their own; here an earlier consent and options answer them."""
    onboard, doctor = commands(with_real_values(blocks[0].text))
    answers = {"AMC_CLIENT_SECRET": known.CLIENT_SECRET, "AMC_REFRESH_TOKEN": known.REFRESH_TOKEN}
    here = ["--base-url", emulator.url, "--instance", known.STANDARD_INSTANCE, "--replace"]
    run([*onboard, *here], env=environment(**answers))
    assert "FAILED" not in run(doctor, env=environment())


def test_the_consent_address_is_amazons(capsys: pytest.CaptureFixture[str]) -> None:
    exec(README.blocks_of("Connect to Amazon")[0].text, {})
    printed = capsys.readouterr().out
    assert printed.startswith("https://www.amazon.com/ap/oa?")
    assert "scope=advertising::campaign_management%20advertising::audiences&" in printed


@pytest.mark.system
@README.executed("Connect to Amazon")
def test_connect(
    blocks: list[Block],
    emulator: EmulatorServer,
    aws_default: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    airflow_db: None,
) -> None:
    consent, exchange, ids, variable, secret, naming, attempt = blocks
    authorization_flow([consent, exchange, ids], emulator, monkeypatch, capsys)
    connection = environment_variable(variable, emulator, monkeypatch)
    secrets_manager(secret, naming, emulator, monkeypatch)

    connect(monkeypatch, emulator, connection)
    assert "success" in run(attempt.text)


def authorization_flow(
    session: list[Block],
    emulator: EmulatorServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The three Python blocks in one session, with the emulator in place of Amazon's hosts."""
    from airflow_provider_amc.client import regions

    hosts = regions.Endpoints.of("NA", emulator.url)
    monkeypatch.setitem(regions._AMAZON, regions.Region.NA, hosts)
    names: dict[str, Any] = {}
    consent, exchange, ids = (with_real_values(block.text) for block in session)
    exec(consent, names)
    answer = requests.get(capsys.readouterr().out.strip(), allow_redirects=False, timeout=60)
    back, _, query = answer.headers["Location"].partition("?")
    assert back == names["RETURN_URL"]
    given = dict(pair.split("=", 1) for pair in query.split("&"))

    monkeypatch.setattr("builtins.input", lambda prompt: given["code"])
    monkeypatch.setattr(getpass, "getpass", lambda prompt: known.CLIENT_SECRET)
    names["getpass"] = getpass.getpass
    exec(exchange, names)
    assert capsys.readouterr().out.startswith("Atzr|")

    exec(ids, names)
    found = capsys.readouterr().out
    for value in (known.ACCOUNT_ID, known.MARKETPLACE_ID, known.STANDARD_INSTANCE, known.SANDBOX_INSTANCE):
        assert value in found


def environment_variable(block: Block, emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The export, run by a shell; gives the connection with the emulator's values."""
    from airflow_provider_amc.hooks.amc import AmcHook

    show = f"{sys.executable} -c 'import os; print(os.environ[\"AIRFLOW_CONN_AMC_DEFAULT\"])'"
    exported = run(with_real_values(block.text) + show)
    connection: dict[str, Any] = json.loads(exported)
    check_connection(connection)
    connect(monkeypatch, emulator, connection)
    assert AmcHook().test_connection()[0]
    return connection


def secrets_manager(secret: Block, naming: Block, emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The credentials in a secret, and the connection that names it."""
    from airflow.providers.amazon.aws.hooks.secrets_manager import SecretsManagerHook

    from airflow_provider_amc.hooks.amc import AmcHook

    connection = json.loads(with_real_values(naming.text))
    check_connection(connection)
    name = connection["extra"]["secret_id"]
    SecretsManagerHook(connection["extra"]["aws_conn_id"]).get_conn().create_secret(
        Name=name, SecretString=with_real_values(secret.text)
    )
    connect(monkeypatch, emulator, connection)
    passed, message = AmcHook().test_connection()
    assert passed, message


# --- DAGs, hook, landing ----------------------------------------------------------------------------------------------


@pytest.mark.system
@README.executed("A complete DAG")
def test_complete_dag(
    blocks: list[Block], amc_default: EmulatorServer, s3: Any, warehouse: Path, project: Path
) -> None:
    import duckdb

    run_dag(save(blocks[0].text, project))
    (sent,) = amc_default.requests_of("createWorkflowExecution")
    assert "--" not in sent["body"]["workflow"]["sqlQuery"]
    keys = s3.list_keys(BUCKET)
    with duckdb.connect(str(warehouse)) as connection:
        rows = connection.execute("SELECT campaign, device_type, reach, impressions FROM reach_by_device").fetchall()
    (manifest,) = [json.loads(s3.read_key(key, BUCKET)) for key in keys if key.endswith("/_manifest.json")]
    assert len(rows) == manifest["rows"] > 0


@pytest.mark.system
@README.executed("What AMC hides")
@pytest.mark.parametrize(("alone", "state"), [(1, "success"), (5, "skipped")])
def test_what_amc_hides(
    blocks: list[Block], amc_default: EmulatorServer, warehouse: Path, project: Path, alone: int, state: str
) -> None:
    """Of 21 impressions, so many were seen by a user who is alone with a device."""
    amc_default.load_table(
        "dsp_impressions",
        [
            {"user_id": "one" if number < alone else f"user-{number}", "campaign": "Spring", "impressions": 1}
            | {"device_type": "PC" if number < alone else "TV"}
            for number in range(21)
        ],
    )
    (whole,) = README.blocks_of("A complete DAG")
    head, _, _ = whole.text.partition("    run_query = ")
    head = head.replace('dag_id="', f'dag_id="hidden_{alone}_')
    run = runpy.run_path(str(save(head + indent(blocks[0].text, "    "), project)))["dag"].test()
    assert {ti.task_id: str(ti.state) for ti in run.get_task_instances()} == {"run_query": "success", "to_table": state}


@pytest.mark.system
@README.executed("Lineage")
def test_outlets(blocks: list[Block], amc_default: EmulatorServer, s3: Any, project: Path) -> None:
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session

    (whole,) = README.blocks_of("A complete DAG")
    head, _, _ = whole.text.partition("    to_s3 = ")
    head = head.replace('dag_id="', 'dag_id="outlets_')
    run_dag(save(head + indent(blocks[0].text, "    "), project))
    with create_session() as session:
        event = session.query(AssetEvent).order_by(AssetEvent.id.desc()).first()
        found = event.extra["amc"]
    told = {name for paragraph in [README.path.read_text()] for name in re.findall(r"`(\w+)`", paragraph)}
    assert set(found) <= told
    assert found["rows"] > 0
    assert found["manifest"] in {f"s3://{BUCKET}/{key}" for key in s3.list_keys(BUCKET)}


@README.executed("Retries and clears")
def test_retry_policy(blocks: list[Block], amc_default: EmulatorServer, project: Path) -> None:
    """AMC refuses the first call; without the policy the second try would succeed."""
    from airflow_provider_amc.retry import AMC_RETRY_POLICY

    (whole,) = README.blocks_of("A complete DAG")
    head, _, _ = whole.text.partition("    to_s3 = ")
    (argument,) = [line for line in head.splitlines() if "default_args=" in line]
    head = head.replace(argument, "    default_args={**default_args, 'retry_delay': timedelta(0)},")
    head = head.replace("with DAG(", f"{blocks[0].text}\nwith DAG(").replace('dag_id="', 'dag_id="policy_')
    amc_default.add_fault(operation="createWorkflowExecution", kind="status", status=403)
    state = runpy.run_path(str(save(head, project)))["dag"].test().state
    assert state == ("failed" if AMC_RETRY_POLICY else "success")
    assert len(amc_default.requests_of("createWorkflowExecution")) == (1 if AMC_RETRY_POLICY else 2)


def executed_once(instance_id: str | None = None) -> str:
    """Run a small query to its end; give the execution's id."""
    from airflow_provider_amc.hooks.amc import AmcHook
    from airflow_provider_amc.triggers.execution import AmcWorkflowExecutionTrigger
    from tests.tasks import event_of

    sql = "SELECT campaign, COUNT(DISTINCT user_id) AS reach FROM dsp_impressions GROUP BY campaign"
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
    return execution.workflow_execution_id


@README.executed("Operators")
def test_hook(blocks: list[Block], amc_default: EmulatorServer, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = blocks
    placeholder = "3f2b8c1e-5d4a-4c1b-9a70-0d6f2e8b7c11"
    assert placeholder in block.text
    names: dict[str, Any] = {}
    from airflow_provider_amc.hooks.amc import AmcHook

    AmcHook().get_conn().workflows.create(
        "saved", sql_query="SELECT advertiser FROM dsp_impressions GROUP BY advertiser"
    )
    exec(block.text.replace(placeholder, executed_once()), names)
    assert list(names["frame"].columns) == ["campaign", "reach"]
    assert str(names["frame"]["reach"].dtype) == "Int64"
    printed = capsys.readouterr().out
    assert "saved SELECT advertiser" in printed


@README.executed("Where results land")
def test_where_results_land(blocks: list[Block], amc_default: EmulatorServer, s3: Any, tmp_path: Path) -> None:
    from types import SimpleNamespace

    from airflow_provider_amc.transfers.amc_to_object_storage import AmcToObjectStorageOperator
    from airflow_provider_amc.transfers.amc_to_s3 import AmcToS3Operator
    from tests.tasks import task_context

    block, to_disk = blocks
    AmcToS3Operator(
        task_id="land",
        workflow_execution_id=executed_once(),
        s3_bucket=BUCKET,
        s3_prefix="amc",
        workflow_name="reach_by_device",
    ).execute(task_context())
    keys = s3.list_keys(BUCKET)
    hashes = re.compile(r"(?<=part-00000-)[0-9a-f]{8}")
    assert {hashes.sub("", f"s3://{BUCKET}/{key}") for key in keys} == set(hashes.sub("", block.text).split())
    (manifest,) = [json.loads(s3.read_key(key, BUCKET)) for key in keys if key.endswith("_manifest.json")]
    assert {column["name"] for column in manifest["columns"]} == {"campaign", "reach"}
    assert all({"rows", "sha256"} <= set(file) for file in manifest["files"])
    assert manifest["workflow_execution_id"]
    assert manifest["sql_sha256"]
    names = {
        "AmcToObjectStorageOperator": AmcToObjectStorageOperator,
        "run_query": SimpleNamespace(output=executed_once()),
    }
    exec(to_disk.text.replace("/data/amc", str(tmp_path)), names)
    landed = names["to_disk"].execute(task_context())
    assert landed["rows"] == manifest["rows"] > 0
    assert len(list(tmp_path.glob("**/part-00000-*.parquet"))) == len(list(tmp_path.glob("**/_manifest.json"))) == 1


# --- the emulator -----------------------------------------------------------------------------------------------------


@pytest.mark.system
@README.executed("The emulator in your tests", numbers=slice(0, 1))
@TESTING.executed("A DAG", "complete", slice(0, 1))
def test_tests_of_a_user(blocks: list[Block], complete: list[Block], s3: Any, warehouse: Path, project: Path) -> None:
    # Both in one run: most of its time goes into starting Airflow.
    save(README.blocks_of("A complete DAG")[0].text, project)
    names = {save(block.text, project) for block in blocks + complete}
    assert len(names) == 2
    assert "3 passed" in run_user_tests(project)


@README.executed("The emulator in your tests", numbers=slice(1, None))
def test_emulator_command(blocks: list[Block], started: Any, tmp_path: Path) -> None:
    start, control = blocks
    (words,) = commands(start.text)
    url = started(words)
    drive_over_http(control.text, url, tmp_path)


def drive_over_http(text: str, url: str, folder: Path) -> None:
    """Run the control commands and look at each answer."""
    assert "http://127.0.0.1:8600" in text
    script = text.replace("http://127.0.0.1:8600", url).replace("curl -s", "echo; curl -s")
    # In the substitution an empty line does no harm: Airflow strips the value, and so does the JSON reader.
    answers = run(f'{script}\necho; echo "$AIRFLOW_CONN_AMC_DEFAULT"', env=with_curl(folder))
    faults, clock, log, reset, connection = (json.loads(line) for line in answers.splitlines() if line.strip())
    (fault,) = faults["faults"]
    assert (fault["status"], fault["times"], fault["headers"]) == (429, 2, {"Retry-After": "1"})
    assert clock["offset_seconds"] == 3600
    assert log["requests"] == []
    assert reset["offset_seconds"] == 0
    assert connection["host"] == url


# --- scale out, development -------------------------------------------------------------------------------------------


@pytest.mark.system
@README.executed("Scale out")
def test_scale_out(blocks: list[Block], project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mapping, compose, requirement = blocks
    run_mapped(mapping.text, project, monkeypatch)
    check_compose(commands(compose.text))
    line = Requirement(requirement.text.strip())
    assert line.name == PROJECT["name"]
    assert line.extras <= set(PROJECT["optional-dependencies"])
    assert line.specifier.contains(PROJECT["version"])


def run_mapped(text: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mapped task in place of the tasks of the complete DAG, on an account with the instances it names."""
    (whole,) = README.blocks_of("A complete DAG")
    head, opening, _ = whole.text.partition(") as dag:\n")
    instances = ["amcabcdefgh", "amcijklmnop"]
    with EmulatorServer(port=0, extra_instances=instances) as server:
        monkeypatch.setenv("AIRFLOW_CONN_AMC_DEFAULT", json.dumps(server.connection))
        renamed = head.replace('dag_id="reach_by_device"', 'dag_id="mapped"')
        run_dag(save(renamed + opening + indent(text, "    "), project))
        paths = [entry["path"] for entry in server.requests_of("createWorkflowExecution")]
    assert sorted(path.split("/")[3] for path in paths) == instances


def check_compose(words: list[list[str]]) -> None:
    import yaml

    services = yaml.safe_load((REPOSITORY / "docker-compose.yaml").read_text(encoding="utf-8"))["services"]
    (script, *calls) = words
    assert script[0] == "python3"
    assert "--output" in run([sys.executable, REPOSITORY / script[1], "--help"])
    assert len(calls) == 3
    for docker, compose, command, *rest in calls:
        assert (docker, compose) == ("docker", "compose")
        if command == "logs":
            assert rest[0] in services
            assert rest[1:] == ["|", "grep", "Password"]
            continue
        assert command == "up"
        assert "--detach" in rest
        assert set(rest) <= {"--build", "--detach", "--scale", "worker=4"}
    assert "worker" in services


@README.executed("Development")
def test_development(blocks: list[Block]) -> None:
    (block,) = blocks
    lint, test, chaos, matrix, emulator = (check_make(words) for words in commands(block.text))
    assert "ruff check" in lint
    assert "-k windows" in test
    assert "-m tests.chaos" in chaos
    locks = (REPOSITORY / "requirements").glob("airflow-*.txt")
    assert all(lock.stem.removeprefix("airflow-") in matrix for lock in locks)
    assert "amc emulator --port 0" in emulator
