from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_amc.client.run_key import RunKey, digest
from airflow_provider_amc.sql.one_line import one_line

KEY = RunKey.of("production", ["dag", "task", -1, "run", "clear 2"], {"request": 1})
TEXTS = st.text(max_size=20)


def test_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": [2, None]}, 16) == digest({"b": [2, None], "a": 1}, 16)
    assert digest("1", 16) != digest(1, 16)
    assert len(digest("", 8)) == 8


@given(deployment=TEXTS, task=st.lists(TEXTS), request=st.dictionaries(TEXTS, TEXTS), detached=st.booleans())
def test_comment_gives_the_key_back(deployment: str, task: list[str], request: dict[str, str], detached: bool) -> None:
    key = RunKey.of(deployment, task, request, detached=detached)
    assert RunKey.read(f"SELECT 1 AS n FROM t {key.comment}") == key
    assert RunKey.read(f"SELECT 1 AS n FROM t {key.comment}  \n") == key


@pytest.mark.parametrize(
    "sql",
    [
        None,
        "",
        "SELECT 1 AS n FROM t",
        f"{KEY.comment} SELECT 1 AS n FROM t",
        f"SELECT 1 AS n FROM t {KEY.comment.upper()}",
        f"SELECT 1 AS n FROM t {KEY.comment[:-4]} */",
        f"SELECT '{KEY.comment}' AS n FROM t",
    ],
)
def test_other_queries_have_no_key(sql: str | None) -> None:
    assert RunKey.read(sql) is None


def test_a_part_that_differs_makes_another_key() -> None:
    task, request = ["dag", "task", -1, "run", "clear 2"], {"request": 1}
    assert RunKey.of("production", task, request) == KEY
    others = [
        RunKey.of("staging", task, request),
        RunKey.of("production", [*task[:-1], "clear 4"], request),
        RunKey.of("production", task, {"request": 2}),
    ]
    assert len({str(key) for key in (KEY, *others)}) == 4
    assert [KEY.is_by_same_task(key) for key in others] == [False, False, True]


def test_no_name_goes_into_the_comment() -> None:
    comment = RunKey.of("secret-host", ["secret_dag", "secret_task"], {"secret": "value"}).comment
    assert "secret" not in comment
    assert one_line(f"SELECT 1 AS n FROM t {comment}") == "SELECT 1 AS n FROM t"


@given(st.text(max_size=10), st.one_of(st.none(), st.integers(900, 86400)))
def test_time_limit_hints_at_the_key(text: str, wanted: int | None) -> None:
    limit = RunKey.of("production", text, text).timeout_mark(wanted)
    assert 900 <= limit <= 86400
    assert limit % 60
    assert limit >= min(wanted or 21600, 86400 - 3600)
    assert limit <= (wanted or 21600) + 3600


def test_signed_requests() -> None:
    signed = KEY.signed({"workflow": {"sqlQuery": "SELECT 1 AS n FROM t", "inputSchema": "sandbox"}})
    assert signed == {"workflow": {"sqlQuery": f"SELECT 1 AS n FROM t {KEY.comment}", "inputSchema": "sandbox"}}
    assert KEY.signed({"workflowId": "w"}) == {"workflowId": "w", "workflowExecutionTimeoutSeconds": KEY.timeout_mark()}
    chosen = {"workflowId": "w", "workflowExecutionTimeoutSeconds": 1800}
    assert KEY.signed(chosen) == chosen
