"""What the README says in tables and links, against the code; its error messages, provoked."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

import airflow_provider_amc
from airflow_provider_amc import windows
from airflow_provider_amc.emulator.server import EmulatorServer
from airflow_provider_amc.exceptions import AmcError
from airflow_provider_amc.get_provider_info import get_provider_info
from airflow_provider_amc.hooks.amc import AmcHook
from airflow_provider_amc.landing.privacy import PrivacyLoss
from airflow_provider_amc.landing.table import MODES, SCHEMA_POLICIES, Audit
from airflow_provider_amc.operators.execution import AmcExecuteWorkflowOperator
from airflow_provider_amc.operators.workflow import IF_EXISTS, AmcCreateWorkflowOperator
from airflow_provider_amc.transfers.amc_to_s3 import AmcToS3Operator
from airflow_provider_amc.transfers.amc_to_sql import AmcToSqlOperator
from airflow_provider_amc.windows import last_days
from tests.docs.documents import API_COVERAGE, AUDIENCES, COVERAGE, GUIDE, README, TESTING
from tests.docs.markdown import Document, codes, slug
from tests.tasks import RUN_AFTER, task_context

TROUBLE = {codes(row["the message contains"])[0]: row for row in README.table("Troubleshooting")}

pytestmark = pytest.mark.packaging


# --- tables -----------------------------------------------------------------------------------------------------------


def test_the_connection_form() -> None:
    (declared,) = get_provider_info()["connection-types"]
    labels = {*declared["ui-field-behaviour"]["relabeling"].values()}
    labels |= {field["label"] for field in declared["conn-fields"].values()}
    told = {label for row in README.table("Connect to Amazon") for label in row["field"].split(", ")}
    assert told == labels | {"Connection Type"}
    assert README.table("Connect to Amazon")[0]["value"] == declared["hook-name"]


#: Classes that users do not name in a DAG.
BASES = (
    "AmcAudienceOperator",
    "AmcBaseOperator",
    "AmcIdMappingOperator",
    "AmcResourceSensor",
    "AmcTransferOperator",
    "AmcWaitingOperator",
)


def public_classes() -> set[str]:
    """Operators, sensors, transfers and hooks as the table writes them."""
    from airflow.providers.common.compat.sdk import BaseHook, BaseOperator

    found = set()
    for family in ("operators", "sensors", "transfers", "hooks"):
        package = importlib.import_module(f"airflow_provider_amc.{family}")
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            for name, value in vars(importlib.import_module(module.name)).items():
                ours = inspect.isclass(value) and value.__module__ == module.name and name not in BASES
                if ours and issubclass(value, (BaseOperator, BaseHook)):
                    found.add(f"{module.name.removeprefix(f'{airflow_provider_amc.__name__}.')}.{name}")
    return found


def test_operators() -> None:
    (heading, _, parameters) = README.table("Operators")[0]
    rows = {codes(row[heading])[0]: row for row in README.table("Operators")}
    assert set(rows) == public_classes()
    for name, row in rows.items():
        module, _, attribute = name.rpartition(".")
        found = getattr(importlib.import_module(f"airflow_provider_amc.{module}"), attribute)
        accepted: set[str] = set()
        for parent in found.__mro__:
            if "__init__" in vars(parent) and parent is not object:
                accepted |= set(inspect.signature(parent.__init__).parameters)
        assert set(codes(row[parameters])) <= accepted, name
    assert f"({', '.join(IF_EXISTS)})" in rows["operators.workflow.AmcCreateWorkflowOperator"][parameters]
    to_sql = rows["transfers.amc_to_sql.AmcToSqlOperator"][parameters]
    assert f"({', '.join(MODES)})" in to_sql
    assert f"({', '.join(SCHEMA_POLICIES)})" in to_sql


def test_windows() -> None:
    rows = README.table("Time windows")
    heading, result = rows[0]
    assert f"{RUN_AFTER:%Y-%m-%d %H:%M} UTC" in result
    context = {"dag_run": SimpleNamespace(run_after=RUN_AFTER, run_type="scheduled")}
    for row in rows:
        (expression,) = codes(row[heading])
        window = eval(expression, vars(windows).copy())
        if isinstance(window, windows.Window):
            window = window.resolve(context)
        assert f"{window.start} to {window.end}" == row[result], expression


def test_audit_columns() -> None:
    assert [codes(row["column"])[0] for row in README.table("Where results land")] == Audit.SCHEMA.names


def test_privacy_loss() -> None:
    rows = README.table("What AMC hides")
    (heading, _) = rows[0]
    assert {name for row in rows for name in codes(row[heading])} == set(PrivacyLoss(0, 0).as_dict())


def test_configuration() -> None:
    options = get_provider_info()["config"]["amc"]["options"]
    told = {codes(row["option"])[0]: row["default"] for row in README.table("Configuration")}
    assert told == {name: option["default"] for name, option in options.items()}


# --- links ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "document", [README, GUIDE, TESTING, AUDIENCES, COVERAGE, API_COVERAGE], ids=lambda document: document.path.name
)
def test_links(document: Document) -> None:
    assert document.links
    for link in document.links:
        target, _, anchor = link.partition("#")
        assert not target.startswith(("http:", "/")), link
        file = document.path.parent / target if target else document.path
        assert file.exists(), link
        if anchor:
            assert anchor in {slug(heading) for heading in Document(file).headings}, link


# --- troubleshooting --------------------------------------------------------------------------------------------------


class Trouble:
    """Ways into trouble; each ends with the text that a user gets to see."""

    def __init__(self, emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, s3: Any) -> None:
        self.emulator, self.monkeypatch, self.folder, self.s3 = emulator, monkeypatch, tmp_path, s3

    def connection_test(self, **changes: Any) -> str:
        connection = self.emulator.connection
        extra = {**connection["extra"], **changes.pop("extra", {})}
        self.monkeypatch.setenv("AIRFLOW_CONN_AMC_DEFAULT", json.dumps({**connection, **changes, "extra": extra}))
        passed, message = AmcHook().test_connection()
        assert not passed
        return message

    def run(self, operator: type[Any], **arguments: Any) -> str:
        from airflow.providers.common.compat.sdk import AirflowFailException

        with pytest.raises((AmcError, AirflowFailException)) as caught:
            operator(task_id="task", **arguments).execute(task_context())
        return str(caught.value)

    def query(self, sql: str = "SELECT campaign FROM dsp_impressions GROUP BY campaign", **arguments: Any) -> Any:
        given = {"sql": sql, "window": last_days(7), "poll_interval": 0.01, **arguments}
        return AmcExecuteWorkflowOperator(task_id="query", **given).execute(task_context())

    def throttled(self) -> str:
        self.monkeypatch.setenv("AIRFLOW__AMC__RETRY_PATIENCE", "0.01")
        self.emulator.add_fault(operation="getWorkflow", kind="status", status=429, times=None)
        with pytest.raises(AmcError) as caught:
            AmcHook().get_conn().workflows.get("reach")
        return str(caught.value)

    def wrong_account(self) -> str:
        self.connection_test(extra={"account_id": "ENTITYOFSOMEBODY"})
        return self.run(AmcCreateWorkflowOperator, workflow_id="reach", sql="SELECT 1 AS one")

    def deadline(self) -> str:
        self.emulator.add_fault(operation="createWorkflowExecution", kind="duration", seconds=3600)
        return self.run(
            AmcExecuteWorkflowOperator,
            sql="SELECT campaign FROM dsp_impressions GROUP BY campaign",
            window=last_days(7),
            poll_interval=0.01,
            timeout=0.05,
        )

    def lost(self) -> str:
        sql = "SELECT campaign FROM dsp_impressions GROUP BY campaign"
        AmcHook().get_conn().workflows.create("saved", sql_query=sql)
        self.emulator.add_fault(operation="createWorkflowExecution", kind="lost_answer")
        return self.run(
            AmcExecuteWorkflowOperator,
            workflow_id="saved",
            window=last_days(7),
            workflow_execution_timeout_seconds=1800,
        )

    def no_bucket(self) -> str:
        return self.run(AmcToS3Operator, workflow_execution_id=self.query(), s3_bucket="not-there")

    def misfit(self) -> str:
        file = str(self.folder / "warehouse.duckdb")
        self.monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "duckdb", "host": file}))
        first = self.query("SELECT campaign_id AS campaign FROM dsp_impressions GROUP BY campaign_id")
        load = {"conn_id": "warehouse", "table": "rows_of_amc"}
        AmcToSqlOperator(task_id="first", workflow_execution_id=first, **load).execute(task_context())
        return self.run(AmcToSqlOperator, workflow_execution_id=self.query(), **load)


def _terms(trouble: Trouble) -> str:
    trouble.emulator.add_fault(operation="*", kind="terms", times=None)
    return trouble.connection_test()


def _no_window(trouble: Trouble) -> str:
    with pytest.raises(AmcError) as caught:
        AmcExecuteWorkflowOperator(task_id="query", sql="SELECT 1")
    return str(caught.value)


WAYS: dict[str, Callable[[Trouble], str]] = {
    "lacks Password (LwA client secret)": lambda trouble: trouble.connection_test(password=""),
    "invalid_client": lambda trouble: trouble.connection_test(password="wrong"),
    "invalid_grant": lambda trouble: trouble.connection_test(extra={"refresh_token": "Atzr|old"}),
    "Terms and conditions must be accepted": _terms,
    "AMC does not say whether the account, the marketplace or the instance is the wrong one": Trouble.wrong_account,
    "is none of the AMC accounts of these credentials": lambda trouble: trouble.connection_test(
        extra={"account_id": "1234567890"}
    ),
    "AMC throttles this account": Trouble.throttled,
    "No time window is stated": _no_window,
    "unable to compile workflow": lambda trouble: trouble.run(
        AmcCreateWorkflowOperator, workflow_id="reach", sql="SELECT campain FROM dsp_impressions GROUP BY campain"
    ),
    "did not finish in time": Trouble.deadline,
    "Its time limit was chosen by you": Trouble.lost,
    "does not exist, or the connection 'aws_default' may not see it": Trouble.no_bucket,
    "does not fit into the existing table": Trouble.misfit,
}


def test_every_trouble_is_provoked() -> None:
    assert set(WAYS) == set(TROUBLE)


@pytest.mark.parametrize("message", TROUBLE)
def test_trouble(
    message: str, amc_default: EmulatorServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, s3: Any
) -> None:
    assert message in WAYS[message](Trouble(amc_default, monkeypatch, tmp_path, s3))
