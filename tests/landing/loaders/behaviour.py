"""What holds for every loader. A test class of a loader inherits these tests and says how to reach its database."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from airflow_provider_amc.exceptions import AmcLoadError, AmcResultError
from airflow_provider_amc.landing.loaders.base import TableLoader
from airflow_provider_amc.landing.table import MODES, Audit
from tests.landing.loaders.killing import Killed, lasting
from tests.landing.loaders.modes import Modes
from tests.landing.results import PLANTED, Broken, FakeResults, HardTable, ShortReads, csv_file, load_of, schema_of

SIMPLE = schema_of("campaign STRING", "clicks LONG")
NAMES = ("campaign", "clicks")


def simple(*rows: tuple[object, ...]) -> FakeResults:
    return FakeResults(csv_file(NAMES, rows))


def all_text(error: BaseException, caplog: pytest.LogCaptureFixture) -> str:
    """Everything that the log of a task shows of a failure, but for lines of code."""
    shown = []
    following: BaseException | None = error
    while following is not None:
        shown.append(f"{following!s} {following!r}")
        following = following.__cause__ or (None if following.__suppress_context__ else following.__context__)
    return "\n".join([*shown, caplog.text])


class LoaderBehaviour(Modes):
    """Tests of one loader. Subclasses set the attributes below in an autouse fixture."""

    loader: TableLoader
    #: Runs a statement outside of the loader, and gives its rows.
    execute: Callable[..., list[tuple[Any, ...]]]
    new_table: Callable[[], str]

    def load(self, table: str, results: FakeResults, schema: Any = SIMPLE, **arguments: Any) -> int:
        return self.loader.load(load_of(table, schema, **arguments), results)

    def rows(self, table: str, names: Sequence[str] = NAMES) -> Counter[tuple[Any, ...]]:
        listed = ", ".join('"' + name.replace('"', '""') + '"' for name in names)
        return Counter(self.execute(f'SELECT {listed} FROM "{table}"'))

    def exists(self, table: str) -> bool:
        try:
            self.execute(f'SELECT 1 FROM "{table}"')
        except Exception:
            return False
        return True

    def read(self, hard: HardTable, rows: Counter[tuple[Any, ...]]) -> Counter[tuple[Any, ...]]:
        """The rows of a table as they were before, where a database stores or tells them in another way."""
        # Drivers turn the shortest text of a number of single precision into one of double precision.
        single = [pa.types.is_float32(kind) for kind in hard.schema.types]
        read: Counter[tuple[Any, ...]] = Counter()
        for row, count in rows.items():
            values = zip(row, single, strict=True)
            read[tuple(float(np.float32(value)) if one and value is not None else value for value, one in values)] += (
                count
            )
        return read

    def check_round_trip(self, hard: HardTable) -> None:
        table = self.new_table()
        # The first load creates the table, the second one goes into it.
        for _ in range(2):
            assert self.load(table, hard.results, hard.schema) == len(hard.rows)
            assert self.read(hard, self.rows(table, hard.schema.names)) == Counter(hard.rows)

    def test_audit_columns(self) -> None:
        table = self.new_table()
        assert self.load(table, simple(("a", 1))) == 1
        row = self.execute(f'SELECT {", ".join(Audit.SCHEMA.names)} FROM "{table}"')[0]
        times = [value if isinstance(value, datetime) else datetime.fromisoformat(str(value)) for value in row[3:]]
        assert [*row[:3], *times] == [
            "amcone",
            "reach",
            "e-1",
            datetime(2026, 3, 1),
            datetime(2026, 3, 2),
            datetime(2026, 3, 5, 12, 30, 15, 123456),
        ]

    def test_no_rows(self) -> None:
        table = self.new_table()
        assert self.load(table, simple()) == 0
        assert self.rows(table) == Counter()

    def test_empty_result_removes_what_the_window_had(self) -> None:
        table = self.new_table()
        self.load(table, simple(("a", 1)))
        assert self.load(table, simple()) == 0
        assert self.rows(table) == Counter()

    def test_header_without_line_end(self) -> None:
        table = self.new_table()
        assert self.load(table, FakeResults(b"campaign,clicks")) == 0

    def test_suppressed_cells_of_a_single_column(self) -> None:
        table = self.new_table()
        assert self.load(table, FakeResults(b"n\n\n1\n\n"), schema_of("n LONG")) == 3
        assert self.rows(table, ["n"]) == Counter({(None,): 2, (1,): 1})

    def test_single_text_column_tells_empty_from_null(self) -> None:
        table = self.new_table()
        assert self.load(table, FakeResults(b'n\r\n\r\n""\r\n\\.\r\nx\r\n'), schema_of("n STRING")) == 4
        assert self.rows(table, ["n"]) == Counter({(None,): 1, ("",): 1, ("\\.",): 1, ("x",): 1})

    def test_all_files_count(self) -> None:
        table = self.new_table()
        files = [csv_file(NAMES, [(f"c{index}", index)]) for index in range(5)]
        assert self.load(table, FakeResults(*files)) == 5
        assert self.rows(table) == Counter([(f"c{index}", index) for index in range(5)])

    def test_many_columns(self) -> None:
        names = [f"column {position}" for position in range(500)]
        table = self.new_table()
        file = csv_file(names, [range(500), [None] * 500])
        assert self.load(table, FakeResults(file), schema_of(*[f"{name} LONG" for name in names])) == 2
        assert self.rows(table, names) == Counter([tuple(range(500)), (None,) * 500])

    @pytest.mark.parametrize("size", [1, 3, 7])
    def test_short_reads(self, size: int) -> None:
        table = self.new_table()
        data = csv_file(NAMES, [("ä,\n😀", 1), (None, -2)], eol="\r\n")
        assert self.load(table, FakeResults(lambda: ShortReads(data, size))) == 2
        assert self.rows(table) == Counter([("ä,\n😀", 1), (None, -2)])

    def test_more_rows_than_a_batch(self) -> None:
        table = self.new_table()
        rows = [(f"c{number}", number) for number in range(2500)]
        assert self.load(table, simple(*rows)) == 2500
        assert self.rows(table) == Counter(rows)

    def test_again_replaces_its_own_window_and_nothing_else(self) -> None:
        table = self.new_table()
        self.load(table, simple(("old", 1), ("old", 2)))
        self.load(table, simple(("other window", 3)), day=2)
        self.load(table, simple(("other instance", 4)), instance="amctwo")
        self.load(table, simple(("other workflow", 5)), workflow="frequency")
        assert self.load(table, simple(("new", 6)), execution="e-2") == 1
        assert self.rows(table) == Counter(
            [("new", 6), ("other window", 3), ("other instance", 4), ("other workflow", 5)]
        )

    def test_append_keeps_other_executions_and_never_doubles_its_own(self) -> None:
        table = self.new_table()
        self.load(table, simple(("a", 1)), mode="append")
        for _ in range(2):
            assert self.load(table, simple(("a", 1), ("a", 1)), mode="append", execution="e-2") == 2
        assert self.rows(table) == Counter({("a", 1): 3})

    def test_append_without_a_window(self) -> None:
        table = self.new_table()
        for _ in range(2):
            assert self.load(table, simple(("a", 1)), mode="append", windowless=True) == 1
        assert self.execute(f'SELECT DISTINCT _amc_window_start, _amc_window_end FROM "{table}"') == [(None, None)]

    def test_replace_table(self) -> None:
        table = self.new_table()
        self.load(table, simple(("a", 1)))
        self.load(table, simple(("b", 2)), day=2)
        assert self.load(table, simple(("c", 3)), mode="replace_table", day=3) == 1
        assert self.rows(table) == Counter([("c", 3)])

    @pytest.mark.parametrize("mode", MODES)
    def test_failure_in_the_middle_changes_nothing(self, mode: str) -> None:
        table = self.new_table()
        self.load(table, simple(("before", 1)))
        whole = csv_file(NAMES, [("after", number) for number in range(3000)])
        error = AmcResultError("the stream broke")
        results = FakeResults(csv_file(NAMES, [("after", 0)]), lambda: Broken(whole[:20000], error))
        with pytest.raises(AmcResultError, match="the stream broke"):
            self.load(table, results, mode=mode, keys=["clicks"] if mode == "upsert" else ())
        assert self.rows(table) == Counter([("before", 1)])

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("before", ["no table", "rows of the window", "other columns"])
    def test_kill_between_any_two_steps(self, mode: str, before: str) -> None:
        """Whenever a load is killed: there are the rows from before or those after it, and a retry makes it whole."""
        options: dict[str, Any] = {"mode": mode, "execution": "e-2", "keys": ["campaign"] if mode == "upsert" else ()}
        rows = [("a", 11), ("c", 13), ("d", None)]
        undisturbed, steps = self._undisturbed(before, rows, options)
        for number in range(steps):
            table = self._filled(before)
            first = self._content(table)
            with lasting(self.loader.hook, number) as life, pytest.raises(Killed):
                self.load(table, simple(*rows), **options)
            assert len(life.taken) == number
            found = self._content(table)
            assert found == undisturbed or self._same_rows(first, found) or self.may_be_away(found), life.taken
            assert self.load(table, simple(*rows), **options) == len(rows)
            assert self._content(table) == undisturbed, life.taken
            assert self.leftovers() == []

    def _undisturbed(self, before: str, rows: list[Any], options: dict[str, Any]) -> tuple[Any, int]:
        table = self._filled(before)
        with lasting(self.loader.hook) as life:
            self.load(table, simple(*rows), **options)
        return self._content(table), len(life.taken)

    def _filled(self, before: str) -> str:
        """A table as it is before the load."""
        table = self.new_table()
        if before == "rows of the window":
            self.load(table, simple(("a", 1), ("b", 2)))
            self.load(table, simple(("c", 3)), day=2)
        elif before == "other columns":
            self.load(table, FakeResults(b"campaign,note\na,x\n"), schema_of("campaign STRING", "note STRING"))
        return table

    def _content(self, table: str) -> Any:
        """Columns and rows, ``None`` for no table."""
        if not self.exists(table):
            return None
        names = self.columns(table)
        return names, self.rows(table, names)

    @staticmethod
    def _same_rows(before: Any, after: Any) -> bool:
        """Whether a table has the rows that it had, and at most columns or itself in addition, without values."""
        if before is None:
            return after is None or not after[1]
        names, rows = after
        kept = [names.index(name) for name in before[0]]
        added = [place for place in range(len(names)) if place not in kept]
        return all(row[place] is None for row in rows for place in added) and before[1] == Counter(
            tuple(row[place] for place in kept) for row in rows.elements()
        )

    def may_be_away(self, content: Any) -> bool:
        """Whether a table that is not there is no surprise: in some databases a swap of two tables is two steps."""
        return False

    def columns(self, table: str) -> list[str]:
        """The names of the table's columns."""
        raise NotImplementedError

    def leftovers(self) -> list[str]:
        """Names of tables that loads made for themselves."""
        raise NotImplementedError

    def test_failure_of_a_first_load(self) -> None:
        table = self.new_table()
        results = FakeResults(lambda: Broken(b"campaign,clicks\na,1\n", AmcResultError("the stream broke")))
        with pytest.raises(AmcResultError, match="the stream broke"):
            self.load(table, results)
        assert not self.exists(table)
        assert self.load(table, simple(("a", 1))) == 1
        assert self.rows(table) == Counter([("a", 1)])

    def test_a_kill_rolls_back(self) -> None:
        table = self.new_table()
        self.load(table, simple(("before", 1)))
        with pytest.raises(KeyboardInterrupt):
            self.load(table, FakeResults(lambda: Broken(b"campaign,clicks\na,1\n", KeyboardInterrupt())))
        assert self.rows(table) == Counter([("before", 1)])

    def test_header_that_differs(self) -> None:
        table = self.new_table()
        self.load(table, simple(("before", 1)))
        with pytest.raises(AmcResultError, match="result file 1 has 1 columns instead of 2"):
            self.load(table, FakeResults(csv_file(NAMES, [("a", 1)]), b"other\n1\n"))
        assert self.rows(table) == Counter([("before", 1)])

    def test_other_column_order_and_extra_columns(self) -> None:
        table = self.new_table()
        audit = ", ".join(
            f"{name} {'TIMESTAMP' if 'window' in name or 'loaded' in name else 'VARCHAR(80)'}"
            for name in reversed(Audit.SCHEMA.names)
        )
        self.execute(f"CREATE TABLE \"{table}\" ({audit}, note VARCHAR(20) DEFAULT '-', clicks BIGINT, campaign TEXT)")
        assert self.load(table, simple(("a", 1))) == 1
        assert self.rows(table, ("campaign", "clicks", "note")) == Counter([("a", 1, "-")])

    def test_no_such_schema(self) -> None:
        with pytest.raises(AmcLoadError, match=r"could not load into nowhere.rows: .*rolled back"):
            self.load("nowhere.rows", simple(("a", 1)))

    def test_cell_of_another_type(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        table = self.new_table()
        self.load(table, simple(("before", 1)))
        with pytest.raises((AmcLoadError, AmcResultError)) as caught:
            self.load(table, simple(("a", 1), (PLANTED, f"{PLANTED}\n'{PLANTED}\" {PLANTED}")))
        text = all_text(caught.value, caplog)
        assert "Zebra" not in text
        # Not the digits alone: ports and times have them, too.
        assert "-4711" not in text
        assert "clicks" in str(caught.value)
        assert self.rows(table) == Counter([("before", 1)])

    def test_too_many_cells(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        table = self.new_table()
        with pytest.raises((AmcLoadError, AmcResultError)) as caught:
            self.load(table, FakeResults(f"campaign,clicks\n{PLANTED},1,{PLANTED}\n".encode()))
        assert "Zebra" not in all_text(caught.value, caplog)

    def test_violated_constraint(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        table = self.new_table()
        audit = ", ".join(
            f"{name} {'TIMESTAMP' if 'window' in name or 'loaded' in name else 'VARCHAR(80)'}"
            for name in Audit.SCHEMA.names
        )
        self.execute(
            f'CREATE TABLE "{table}" (campaign VARCHAR(80) PRIMARY KEY, clicks BIGINT CHECK (clicks < 100), {audit})'
        )
        self.load(table, simple(("before", 1)))
        for rows in ([(PLANTED, 1), (PLANTED, 2)], [(PLANTED, 471100)]):
            with pytest.raises(AmcLoadError, match="The transaction was rolled back") as caught:
                self.load(table, simple(*rows), day=2)
            text = all_text(caught.value, caplog)
            assert "Zebra" not in text
            assert "471100" not in text
        assert self.rows(table) == Counter([("before", 1)])
