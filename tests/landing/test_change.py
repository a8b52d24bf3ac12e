from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from airflow_provider_amc.exceptions import AmcLoadError
from airflow_provider_amc.landing.change import TableChange, plan_change
from airflow_provider_amc.landing.table import Audit
from tests.landing.results import column, load_of, schema_of

AUDIT = {
    "_amc_instance_id": "text",
    "_amc_workflow_id": "character varying(20)",
    "_amc_workflow_execution_id": None,
    "_amc_window_start": "timestamp without time zone",
    "_amc_window_end": "TIMESTAMP WITH TIME ZONE",
    "_amc_loaded_at": "timestamp(6)",
}


def plan(existing: dict[str, str | None] | None, *declared: Any, **arguments: Any) -> TableChange:
    options = {name: arguments.pop(name) for name in ("case_sensitive", "max_precision") if name in arguments}
    table = None if existing is None else {**existing, **AUDIT}
    return plan_change(load_of("t", schema_of(*declared), **arguments), table, **options)


def own(*names: str) -> dict[str, str]:
    return {name: name for name in (*names, *Audit.SCHEMA.names)}


def test_new_table() -> None:
    assert plan(None, "a LONG") == TableChange(create=True, columns=own("a"))


@pytest.mark.parametrize("policy", ["evolve", "freeze", "fail"])
def test_nothing_to_change(policy: str) -> None:
    change = plan({"a": "bigint", "of_the_user": "bytea"}, "a LONG", schema_policy=policy)
    assert change == TableChange(columns=own("a"))


class TestEvolve:
    def test_adds_and_widens(self) -> None:
        change = plan({"a": "integer", "c": "varchar(10)"}, "a LONG", "b DECIMAL", "c STRING", "d LONG")
        assert [added.name for added in change.added] == ["b", "d"]
        assert change.widened == {"a": pa.int64()}
        assert change.limited == {"c": 10}
        assert change.columns == own("a", "c", "b", "d")

    def test_adds_audit_columns_to_a_table_of_the_user(self) -> None:
        change = plan_change(load_of("t", schema_of("a LONG")), {"a": "bigint"})
        assert [added.name for added in change.added] == Audit.SCHEMA.names

    def test_types_that_have_nothing_in_common(self) -> None:
        with pytest.raises(AmcLoadError) as caught:
            plan({"c": "bigint"}, "c STRING", "new LONG")
        assert str(caught.value) == (
            "The result does not fit into the existing table t: types differ for c (table: bigint, result: TEXT) "
            "(schema_policy='evolve'). Alter the table, change the query or the policy, or load into a new table, which "
            "the loader creates. Nothing was changed."
        )

    def test_decimals_longer_than_the_database_has(self) -> None:
        existing = {"c": "numeric(38,0)"}
        with pytest.raises(AmcLoadError, match=r"table: numeric\(38,0\), result: DECIMAL\(38, 17\)"):
            plan(dict(existing), "c DECIMAL")
        assert plan(dict(existing), "c DECIMAL", max_precision=76).widened == {"c": pa.decimal256(55, 17)}

    @pytest.mark.parametrize(
        ("existing", "rebuilt"),
        [
            ({"a": "bigint"}, False),
            ({"a": "numeric"}, False),
            ({"a": "text", "b": "text"}, True),
            ({"b": "bigint"}, True),
            ({"a": "date"}, True),
        ],
    )
    def test_replace_table_makes_a_table_anew_that_differs(
        self, existing: dict[str, str | None], rebuilt: bool
    ) -> None:
        assert plan(existing, "a LONG", mode="replace_table") == TableChange(rebuild=rebuilt, columns=own("a"))


class TestFreeze:
    def test_new_columns_are_ignored(self) -> None:
        change = plan({"b": "bigint"}, "a LONG", "b LONG", "c STRING", schema_policy="freeze")
        assert change == TableChange(ignored=("a", "c"), columns=own("b"))

    def test_types_that_the_database_checks(self) -> None:
        change = plan({"b": "integer"}, "b LONG", schema_policy="freeze", mode="replace_table")
        assert change == TableChange(columns=own("b"))

    def test_types_that_would_round(self) -> None:
        with pytest.raises(AmcLoadError, match=r"types differ for b .*schema_policy='freeze'"):
            plan({"b": "numeric(10,1)"}, column("b", "DECIMAL", 10, 2), schema_policy="freeze")

    def test_table_that_has_none_of_the_columns(self) -> None:
        with pytest.raises(AmcLoadError, match="the table lacks a BIGINT"):
            plan({"b": "bigint"}, "a LONG", schema_policy="freeze")

    def test_table_without_audit_columns(self) -> None:
        with pytest.raises(AmcLoadError, match="the table lacks _amc_instance_id TEXT, _amc_workflow_id TEXT"):
            plan_change(load_of("t", schema_of("a LONG"), schema_policy="freeze"), {"a": "bigint"})

    def test_key_that_the_table_lacks(self) -> None:
        with pytest.raises(AmcLoadError, match="the table lacks a BIGINT"):
            plan({"b": "bigint"}, "a LONG", "b LONG", schema_policy="freeze", mode="upsert", keys=["a"])


class TestFail:
    def test_all_problems_at_once(self) -> None:
        with pytest.raises(AmcLoadError, match=r"the table lacks a BIGINT; types differ for b .*schema_policy='fail'"):
            plan({"b": "integer"}, "a LONG", "b LONG", schema_policy="fail")


class TestCase:
    def test_names_of_the_table_are_used(self) -> None:
        assert plan({"CAMPAIGN": "text"}, "Campaign STRING", case_sensitive=False).columns["Campaign"] == "CAMPAIGN"

    def test_databases_that_tell_them_apart(self) -> None:
        change = plan({"CAMPAIGN": "text"}, "Campaign STRING")
        assert [added.name for added in change.added] == ["Campaign"]

    def test_names_of_the_result_that_differ_in_case_only(self) -> None:
        assert plan(None, "a LONG", "A LONG").create
        with pytest.raises(
            AmcLoadError, match="The columns A, a differ in case only, and this database takes them for one"
        ):
            plan(None, "a LONG", "b LONG", "A LONG", case_sensitive=False)
