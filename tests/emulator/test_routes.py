from __future__ import annotations

import pytest

from airflow_provider_amc.emulator.app import OPERATIONS
from airflow_provider_amc.emulator.routes import Route, Routes

ROUTES = Routes(OPERATIONS)


@pytest.mark.parametrize(
    ("method", "path", "operation", "parameters"),
    [
        ("GET", "/amc/accounts", "listAccounts", {}),
        ("GET", "/amc/instances/amcx", "getInstance", {"instance_id": "amcx"}),
        (
            "PUT",
            "/amc/reporting/amcx/workflows/w.1",
            "updateWorkflow",
            {"instance_id": "amcx", "workflow_id": "w.1"},
        ),
        ("GET", "/amc/reporting/amcx/workflowExecutions/", "listWorkflowExecutions", {"instance_id": "amcx"}),
        ("GET", "/results/a/b.csv", "results", {"opaque": "a", "name": "b.csv"}),
    ],
)
def test_operation_and_parameters(method, path, operation, parameters):
    found = ROUTES.find(method, path)
    assert found.operation is not None
    assert (found.operation.id, found.parameters) == (operation, parameters)


def test_every_operation_is_found_by_its_own_path():
    for operation in OPERATIONS:
        assert ROUTES.find(operation.method, operation.path).operation is operation


@pytest.mark.parametrize(
    ("path", "known"),
    [("/amc/instances", True), ("/amc/nothing", False), ("/", False), ("", False), ("/amc/instances//", False)],
)
def test_what_nobody_handles(path, known):
    assert ROUTES.find("PATCH", path) == Route(known_path=known)
