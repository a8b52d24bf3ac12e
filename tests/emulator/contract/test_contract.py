"""Every answer of the emulator keeps to the table of shapes, with both envelopes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_amc.emulator.server import EmulatorServer
from tests.emulator.contract.table import EMPTY, OTHER, Contract, shapes
from tests.emulator.contract.tour import SERVED, Tour


@pytest.fixture(scope="module", params=["flat", "wrapped"])
def tour(request) -> Iterator[Tour]:
    with EmulatorServer(
        port=0,
        envelope=request.param,
        scale="tiny",
        now="2026-03-01T12:00:00Z",
        rows_per_file=2,
        s3_endpoint_url="http://127.0.0.1:9",
        min_audience_users=100,
        min_seed_users=100,
    ) as server:
        found = Tour(server)
        found.walk()
        yield found


@pytest.fixture
def contract(tour) -> Contract:
    return Contract(tour.server.config.envelope)


def test_answers_keep_to_the_table(tour, contract):
    told = [
        f"{answer.request}\n    {mistake}"
        for answer in tour.answers
        if answer.operation not in OTHER
        for mistake in contract.mistakes(answer.operation, answer.status, answer.media_type, answer.body)
    ]
    assert not told, "\n".join(sorted(set(told)))


def test_every_operation_is_on_the_tour(tour):
    good = {answer.operation for answer in tour.answers if answer.status < 400}
    assert {operation.id for operation in SERVED} <= good


def test_every_answer_of_the_table_was_seen(tour, contract):
    seen = {f"{answer.operation} {answer.status}" for answer in tour.answers}
    assert {name for name in contract.shapes if name.endswith((" 200", " 201", " 202"))} | {
        f"{name} 200" for name in EMPTY
    } <= seen


def test_every_field_of_the_table_was_seen(tour, contract):
    """Else a field could change its type and nobody would notice."""
    seen: dict[str, set[str]] = {}

    def look(kind: str, value: object) -> None:
        kind = kind.partition("[")[0]
        shape = contract.shapes.get(kind)
        for one in value if isinstance(value, list) else [value]:
            if shape is not None and shape.whole is not None:
                look(shape.whole, one)
            elif shape is not None and isinstance(one, dict):
                seen.setdefault(kind, set()).update(one)
                for name, (inner, _, _) in shape.fields.items():
                    if name in one:
                        look(inner, one[name])

    for answer in tour.answers:
        look(f"{answer.operation} {answer.status}", answer.body)
    rare = {
        ("DataSource", "tags"),
        ("OutputChannel", "statusReason"),
        ("Column", "dataTypePrecision"),
        ("Column", "dataTypeScale"),
        ("Workflow", "inputSchema"),
        ("Workflow", "filteredMetricsDiscriminatorColumn"),
        ("Workflow", "distinctUserCountColumn"),
        ("Workflow", "filteredReasonColumn"),
        ("listAccounts 200", "nextToken"),
        # While the customer thinks about it, which takes no time at the speed of the tour
        ("Collaboration", "customerAcceptanceLink"),
    }
    unseen = {
        (kind, name)
        for kind, shape in contract.shapes.items()
        for name in shape.fields
        if kind in seen and name not in seen[kind]
    }
    assert unseen <= rare


def test_statuses_that_the_openapi_files_do_not_name_come_from_gateways_only(tour):
    # Who the caller is and what they may do is the Ads gateway's affair, also where a file names neither status
    recorded = {401, 403, 415} if tour.server.config.envelope == "flat" else set()
    named = {operation.id: operation.statuses for operation in SERVED if operation.is_amc}
    odd = [
        answer.request
        for answer in tour.answers
        if answer.operation in named
        and answer.status not in {200, 201, 202, 204, 503, 504, *recorded, *named[answer.operation]}
    ]
    assert not odd, "\n".join(odd)


def test_tokens_are_not_in_any_answer_but_their_own(tour):
    token = tour.api.headers["Authorization"].split()[1]
    assert not [one.request for one in tour.answers if one.operation != "token" and token in one.text]


@pytest.mark.parametrize(
    ("operation", "status", "body", "mistake"),
    [
        ("listAccounts", 200, {"amcAccounts": [{"accountId": 1}]}, "answer.amcAccounts[0].accountId is 1, not text"),
        ("listAccounts", 200, {"amcAccounts": [{}]}, "answer.amcAccounts[0].accountName is missing"),
        ("listAccounts", 200, {"amcAccounts": [], "more": 1}, "answer.more is not in the table"),
        ("listAccounts", 200, {"amcAccounts": [{}] * 101}, "answer.amcAccounts is no list of at most 100"),
        ("getSchedule", 200, {"schedule": {"aggregationPeriod": "Monthly"}}, "'Monthly', not Daily|Weekly"),
        ("getSchedule", 200, {"schedule": {"scheduleEnabled": "True"}}, "'True', not flag"),
        ("getSchedule", 200, {"schedule": {"aggregationHourUtc": True}}, "True, not whole"),
        ("createWorkflowExecution", 200, {"workflowExecution": {"createTime": "2026-01-01"}}, "not utc"),
        ("createWorkflow", 200, {"workflowId": "w"}, "not an empty object"),
        ("getWorkflow", 400, {"message": "no"}, "answer.message is not in the table"),
    ],
)
def test_the_comparison_finds_mistakes(operation, status, body, mistake):
    told = Contract("wrapped").mistakes(operation, status, "text/plain", body)
    assert any(mistake in one for one in told), told
    assert "the media type is text/plain" in told[0]


def test_both_envelopes_are_in_the_table():
    assert shapes("flat").keys() == shapes("wrapped").keys()
