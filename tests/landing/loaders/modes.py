"""What the modes and policies do, in every database: tests for :class:`~tests.landing.loaders.behaviour.LoaderBehaviour`."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st

from airflow_provider_amc.exceptions import AmcLoadError
from airflow_provider_amc.landing.table import MODES
from tests.landing.results import PROPERTY, FakeResults, HardTable, csv_file, schema_of

Row = tuple[str, int | None]

#: For properties that take several loads an example.
SHORT = settings(PROPERTY, max_examples=20)

#: The columns by which the model compares.
ORIGIN: Sequence[str] = ("_amc_workflow_id", "_amc_workflow_execution_id", "campaign", "clicks")


@dataclass(frozen=True)
class Step:
    """One load of a sequence."""

    mode: str
    workflow: str
    day: int
    execution: str
    rows: tuple[Row, ...]


@dataclass
class Model:
    """What a table has to hold after some loads: rows by where they come from."""

    rows: list[tuple[str, int, str, Row]] = field(default_factory=list)

    def load(self, step: Step) -> None:
        origin = (step.workflow, step.day, step.execution)
        fresh = [(*origin, row) for row in step.rows]
        if step.mode == "replace_table":
            kept: Iterable[tuple[str, int, str, Row]] = ()
        elif step.mode == "replace_window":
            kept = [row for row in self.rows if row[:2] != origin[:2]]
        elif step.mode == "append":
            kept = [row for row in self.rows if (row[0], row[2]) != (step.workflow, step.execution)]
        else:
            self._upsert({row[0]: row for row in step.rows}, origin)
            return
        self.rows = [*kept, *fresh]

    def _upsert(self, new: dict[str, Row], origin: tuple[str, int, str]) -> None:
        known = {row[3][0] for row in self.rows}
        self.rows = [(*origin, new[row[3][0]]) if row[3][0] in new else row for row in self.rows]
        self.rows += [(*origin, row) for key, row in new.items() if key not in known]


def steps() -> st.SearchStrategy[list[Step]]:
    """Loads of a few windows, workflows and executions, some of them again. An execution has one window and one result."""
    origins = [("reach", 1, "e-1"), ("reach", 1, "e-2"), ("reach", 2, "e-3"), ("frequency", 1, "e-4")]
    rows = st.lists(
        st.tuples(st.sampled_from("abcde"), st.none() | st.integers(-9, 9)), max_size=4, unique_by=lambda row: row[0]
    )
    results = st.tuples(*(rows.map(tuple) for _ in origins))

    def sequence(drawn: tuple[tuple[Row, ...], ...]) -> st.SearchStrategy[list[Step]]:
        one = st.builds(
            lambda mode, number: Step(mode, *origins[number], drawn[number]),
            st.sampled_from(MODES),
            st.integers(0, len(origins) - 1),
        )
        return st.lists(one, min_size=1, max_size=6)

    return results.flatmap(sequence)


class Modes:
    """Tests of the modes and policies."""

    load: Callable[..., int]
    rows: Callable[..., Counter[tuple[Any, ...]]]
    columns: Callable[[str], list[str]]
    execute: Callable[..., list[tuple[Any, ...]]]
    new_table: Callable[[], str]
    read: Callable[[HardTable, Counter[tuple[Any, ...]]], Counter[tuple[Any, ...]]]

    def check_sequence(self, sequence: list[Step]) -> None:
        table, model = self.new_table(), Model()
        for step in sequence:
            model.load(step)
            self.load(
                table,
                FakeResults(csv_file(("campaign", "clicks"), step.rows)),
                mode=step.mode,
                keys=["campaign"] if step.mode == "upsert" else (),
                workflow=step.workflow,
                day=step.day,
                execution=step.execution,
            )
            expected = Counter((row[0], row[2], *row[3]) for row in model.rows)
            assert self.rows(table, ORIGIN) == expected

    def check_upsert(self, hard: HardTable) -> None:
        table = self.new_table()
        for _ in range(2):
            assert self.load(table, hard.results, hard.schema, mode="upsert", keys=["row number"]) == len(hard.rows)
            assert self.read(hard, self.rows(table, hard.schema.names)) == Counter(hard.rows)

    def test_upsert_leaves_other_columns_alone(self) -> None:
        table = self.new_table()
        both = schema_of("campaign STRING", "clicks LONG", "note STRING")
        self.load(table, FakeResults(b"campaign,clicks,note\na,1,old\nb,2,old\n"), both)
        self.load(table, FakeResults(b"clicks,campaign\n3,b\n4,c\n"), schema_of("clicks LONG", "campaign STRING"),
                  mode="upsert", keys=["campaign"], day=2, execution="e-2")  # fmt: skip
        assert self.rows(table, ("campaign", "clicks", "note", "_amc_workflow_execution_id")) == Counter(
            [("a", 1, "old", "e-1"), ("b", 3, "old", "e-2"), ("c", 4, None, "e-2")]
        )

    def test_upsert_by_the_window(self) -> None:
        table = self.new_table()
        options = {"mode": "upsert", "keys": ["campaign", "_amc_window_start", "_amc_instance_id"]}
        for day in (1, 2, 2):
            self.load(table, FakeResults(f"campaign,clicks\na,{day}\n".encode()), day=day, **options)
        assert self.rows(table) == Counter([("a", 1), ("a", 2)])

    @pytest.mark.parametrize("exists", [True, False])
    @pytest.mark.parametrize(
        ("rows", "keys", "message"),
        [
            ([("a", 1), (None, 2), (None, None)], ["campaign"], r"2 rows of the result have no value in a key \(campaign\)"),
            ([("a", 1), ("a", 2), ("b", 1)], ["campaign"], r"1 keys \(campaign\) occur in several rows"),
            ([("a", 1), ("a", 1), ("b", 1)], ["campaign", "clicks"], r"1 keys \(campaign, clicks\) occur in several"),
            ([("a", 1), ("b", 1)], ["_amc_window_start"], r"1 keys \(_amc_window_start\) occur in several rows"),
        ],
    )  # fmt: skip
    def test_keys_that_do_not_tell_rows_apart(
        self, rows: list[Row], keys: list[str], message: str, exists: bool
    ) -> None:
        table = self.new_table()
        if exists:
            self.load(table, FakeResults(b"campaign,clicks\nbefore,1\n"))
        with pytest.raises(AmcLoadError, match=message):
            self.load(table, FakeResults(csv_file(("campaign", "clicks"), rows)), mode="upsert", keys=keys)
        assert self.load(table, FakeResults(b"campaign,clicks\nafter,1\n"), mode="append", execution="e-2") == 1
        assert sum(self.rows(table).values()) == 1 + exists

    def test_new_columns_are_added(self) -> None:
        table = self.new_table()
        self.load(table, FakeResults(b"campaign\na\n"), schema_of("campaign STRING"))
        wider = schema_of("cost DOUBLE", "campaign STRING", "first day DATE")
        names = ["campaign", "cost", "first day"]
        self.load(table, FakeResults(b"cost,campaign,first day\n,b,\n"), wider, day=2)
        assert self.rows(table, names) == Counter([("a", None, None), ("b", None, None)])
        # And a result that lacks some again.
        self.load(table, FakeResults(b"campaign\nc\n"), schema_of("campaign STRING"), day=3)
        assert self.rows(table, names) == Counter([(name, None, None) for name in "abc"])

    def test_replace_table_takes_the_columns_of_the_result(self) -> None:
        table = self.new_table()
        self.load(table, FakeResults(b"campaign,old\na,x\n"), schema_of("campaign STRING", "old STRING"))
        self.load(table, FakeResults(b"clicks,campaign\n7,8\n"), schema_of("clicks LONG", "campaign LONG"),
                  mode="replace_table", day=2)  # fmt: skip
        assert self.columns(table)[:3] == ["clicks", "campaign", "_amc_instance_id"]
        assert self.rows(table) == Counter([(8, 7)])

    def test_freeze_names_what_it_does_not_load(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.WARNING)
        table = self.new_table()
        self.load(table, FakeResults(b"campaign\na\n"), schema_of("campaign STRING"))
        wider = schema_of("cost DOUBLE", "campaign STRING", "first day DATE")
        for mode in ("append", "replace_window", "replace_table"):
            result = FakeResults(b"cost,campaign,first day\n1.5,b,\n")
            self.load(table, result, wider, schema_policy="freeze", mode=mode)
        assert "does not have the columns cost, first day: they are not loaded" in caplog.text
        assert self.rows(table, ["campaign"]) == Counter([("b",)])
        assert len(self.columns(table)) == 7

    def test_fail_changes_nothing(self) -> None:
        table = self.new_table()
        self.load(table, FakeResults(b"campaign\na\n"), schema_of("campaign STRING"))
        wider = schema_of("cost DOUBLE", "campaign STRING")
        for mode in ("append", "replace_window", "replace_table"):
            with pytest.raises(AmcLoadError, match=r"the table lacks cost .*\(schema_policy='fail'\)"):
                self.load(table, FakeResults(b"cost,campaign\n1.5,b\n"), wider, schema_policy="fail", mode=mode)
        assert self.rows(table, ["campaign"]) == Counter([("a",)])

    def test_type_that_has_nothing_in_common(self) -> None:
        table = self.new_table()
        self.load(table, FakeResults(b"campaign,clicks\na,1\n"))
        with pytest.raises(AmcLoadError, match=r"types differ for clicks \((?i:table: bigint)"):
            self.load(table, FakeResults(b"campaign,clicks\na,x\n"), schema_of("campaign STRING", "clicks STRING"))
        assert self.rows(table) == Counter([("a", 1)])
