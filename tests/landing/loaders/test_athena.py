from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_amc.exceptions import AmcLoadError, AmcResultError
from airflow_provider_amc.landing.table import Audit
from tests.landing.loaders.behaviour import NAMES, LoaderBehaviour, simple
from tests.landing.loaders.interruption import Killed, Steps, aws_calls_counted
from tests.landing.loaders.lake import AUDIT, InTheCatalogue
from tests.landing.loaders.modes import SHORT, Step, steps
from tests.landing.results import PROPERTY, Broken, FakeResults, HardTable, csv_file, hard_tables, schema_of

MODES = ("replace_window", "append", "replace_table")

HARD_NAMES = st.sampled_from(
    [
        "campaign",
        "user id",
        'he said "hi"',
        "select",
        "Group",
        "tab\tbed",
        "ümläut",
        "100%",
        "%s",
        "a;b",
        "x'y",
        "😀",
        "$1",
    ]
)


class TestAthena(InTheCatalogue, LoaderBehaviour):
    """A catalogue and an S3 of moto, read in the way of Athena."""

    # A table of files has no constraints and no updates.
    test_violated_constraint = None
    test_upsert_leaves_other_columns_alone = None
    test_upsert_by_the_window = None
    test_keys_that_do_not_tell_rows_apart = None

    @settings(PROPERTY, max_examples=15)
    @given(hard=hard_tables(nul=True, names=HARD_NAMES))
    def test_round_trip(self, hard: HardTable) -> None:
        self.check_round_trip(hard)

    @settings(SHORT, max_examples=15)
    @given(sequence=steps())
    def test_sequences_of_loads(self, sequence: list[Step]) -> None:
        self.check_sequence([step for step in sequence if step.mode != "upsert"])
        self.check_files()

    @pytest.mark.parametrize("mode", MODES)
    def test_failure_in_the_middle_changes_nothing(self, mode: str) -> None:
        table = self.new_table()
        self.load(table, simple(("before", 1)))
        whole = csv_file(NAMES, [("after", number) for number in range(3000)])
        for execution in ("e-1", "e-2"):
            results = FakeResults(lambda: Broken(whole[:20000], AmcResultError("the stream broke")))
            with pytest.raises(AmcResultError, match="the stream broke"):
                self.load(table, results, mode=mode, execution=execution)
            assert self.rows(table) == Counter([("before", 1)])

    def test_no_such_schema(self) -> None:
        with pytest.raises(AmcLoadError, match="The Glue catalogue has no database nowhere"):
            self.load("nowhere.rows", simple(("a", 1)))

    def test_other_column_order_and_extra_columns(self) -> None:
        table = self.new_table()
        self.create(table, {**AUDIT, "note": "string", "clicks": "bigint", "campaign": "string"})
        assert self.load(table, simple(("a", 1))) == 1
        assert self.rows(table, ("campaign", "clicks", "note")) == Counter([("a", 1, None)])

    def test_replace_table_takes_the_columns_of_the_result(self) -> None:
        table = self.new_table()
        self.load(table, FakeResults(b"campaign,old\na,x\n"), schema_of("campaign STRING", "old STRING"))
        self.load(table, FakeResults(b"clicks,campaign\n7,8\n"), schema_of("clicks LONG", "campaign LONG"),
                  mode="replace_table", day=2)  # fmt: skip
        assert self.columns(table) == ["clicks", "campaign", *AUDIT, *Audit.KEY]
        assert self.rows(table) == Counter([(8, 7)])

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("before", ["no table", "appended rows", "other columns"])
    def test_kill_between_any_two_steps(self, mode: str, before: str) -> None:
        rows = [("a", 11), ("c", 13), ("d", None)]

        def attempt(table: str, counted: Steps) -> None:
            with aws_calls_counted(counted):
                self.load(table, simple(*rows), mode=mode, execution="e-2")

        undisturbed, taken = self._filled(before), Steps()
        attempt(undisturbed, taken)
        after, files = self._content(undisturbed), self._files(undisturbed)
        assert len(taken.names) > 3
        for number in range(len(taken.names)):
            table = self._filled(before)
            first = self._content(table)
            with pytest.raises(Killed):
                attempt(table, Steps(number))
            found = self._content(table)
            whole = found == after or self._same_rows(first, found)
            # The partitions that it replaces go some at a time, before the new one comes: no row is there twice.
            assert whole or (mode == "replace_table" and self._some_of(first, found)), taken.names[:number]
            attempt(table, Steps())
            assert self._content(table) == after, taken.names[:number]
            # One file for each load of which there are rows, in a folder of its own or not.
            assert self._files(table) == files
            self.check_files()

    def _filled(self, before: str) -> str:
        table = super()._filled("rows of the window" if before == "appended rows" else before)
        if before == "appended rows":
            self.load(table, simple(("a", 1)), execution="e-3", mode="append")
            self.load(table, simple(("a", 7)), execution="e-2", mode="append")
        return table

    def _files(self, table: str) -> list[list[str]]:
        return sorted(
            sorted(key.rpartition("/")[2] for _, key in self.catalogue.objects(found["StorageDescriptor"]["Location"]))
            for found in self.catalogue.partitions(table)
        )

    @staticmethod
    def _same_rows(before: Any, after: Any) -> bool:
        kept = before is None or set(before[0]) <= set(after[0])
        return kept and LoaderBehaviour._same_rows(before, after)

    @staticmethod
    def _some_of(before: Any, after: Any) -> bool:
        names = [name for name in before[0] if name in after[0]]

        def kept(content: Any) -> Counter[Any]:
            places = [content[0].index(name) for name in names]
            return Counter(tuple(row[place] for place in places) for row in content[1].elements())

        return kept(after) <= kept(before)

    def leftovers(self) -> list[str]:
        return []
