"""Results of executions without a service: their files are bytes, streams of a chosen kind, and tables of hard values."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from airflow_provider_amc.client.models import OutputColumn
from airflow_provider_amc.landing.schema import arrow_schema
from airflow_provider_amc.landing.table import Audit, Load, TableName

#: For property tests: the same examples in every run, and no limit on time.
PROPERTY = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

#: A value to look for where no value may be: in logs and messages.
PLANTED = "Zebra-4711-Zebra"


class ShortReads(io.RawIOBase):
    """Gives its bytes in small pieces, as a slow connection does."""

    def __init__(self, data: bytes, size: int = 1) -> None:
        super().__init__()
        self._data = io.BytesIO(data)
        self._size = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._data.read(min(self._size, len(buffer)))
        buffer[: len(chunk)] = chunk
        return len(chunk)


class Broken(io.RawIOBase):
    """Gives its bytes, then raises."""

    def __init__(self, data: bytes, error: BaseException) -> None:
        super().__init__()
        self._data = io.BytesIO(data)
        self._error = error

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = self._data.readinto(buffer)
        if not size:
            raise self._error
        return size


class FakeFile:
    """A result file."""

    observer: Any = None

    def __init__(self, index: int, source: bytes | Callable[[], io.RawIOBase]) -> None:
        self.index = index
        self._source = source
        self.opened: list[Any] = []

    def open(self, *, decompress: bool = False) -> Any:
        stream = io.BytesIO(self._source) if isinstance(self._source, bytes) else self._source()
        self.opened.append(stream)
        return stream


class FakeResults:
    """The files of a result."""

    observer: Any = None

    def __init__(self, *sources: bytes | Callable[[], io.RawIOBase]) -> None:
        self._files = [FakeFile(index, source) for index, source in enumerate(sources)]

    def files(self) -> list[FakeFile]:
        return self._files


def column(
    name: str, data_type: str = "STRING", precision: int | None = None, scale: int | None = None
) -> OutputColumn:
    return OutputColumn(name=name, data_type=data_type, column_type="DIMENSION", precision=precision, scale=scale)


def schema_of(*columns: OutputColumn | str) -> pa.Schema:
    """A schema of columns; ``"name TYPE"`` is short for one."""
    return arrow_schema([column(*text.rsplit(" ", 1)) if isinstance(text, str) else text for text in columns])


def audit(
    *,
    instance: str = "amcone",
    workflow: str = "reach",
    execution: str = "e-1",
    day: int = 1,
    windowless: bool = False,
) -> Audit:
    return Audit(
        instance_id=instance,
        workflow_id=workflow,
        workflow_execution_id=execution,
        window_start=None if windowless else datetime(2026, 3, day, tzinfo=UTC),
        window_end=None if windowless else datetime(2026, 3, day + 1, tzinfo=UTC),
        loaded_at=datetime(2026, 3, 5, 12, 30, 15, 123456, tzinfo=UTC),
    )


def load_of(
    table: str,
    schema: pa.Schema,
    *,
    mode: str = "replace_window",
    keys: Sequence[str] = (),
    schema_policy: str = "evolve",
    **origin: Any,
) -> Load:
    return Load(TableName.parse(table), schema, audit(**origin), mode, tuple(keys), schema_policy)


@dataclass(frozen=True)
class HardTable:
    """Columns and rows, and the files that hold them."""

    columns: tuple[OutputColumn, ...]
    rows: tuple[tuple[Any, ...], ...]
    files: tuple[bytes, ...]

    @property
    def schema(self) -> pa.Schema:
        return arrow_schema(self.columns)

    @property
    def results(self) -> FakeResults:
        return FakeResults(*self.files)


def cell(value: object, *, quoted: bool = False) -> str:
    """A value as AMC writes it: nothing for NULL."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    text = value if isinstance(value, str) else repr(value)
    needs_quotes = text == "" or any(character in text for character in ',"\r\n')
    if isinstance(value, str) and (quoted or needs_quotes):
        return '"' + text.replace('"', '""') + '"'
    return text


def csv_file(
    names: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    eol: str = "\n",
    quoted: bool = False,
    ended: bool = True,
    bom: bool = False,
) -> bytes:
    """A result file."""
    lines = [",".join(cell(value, quoted=quoted) for value in row) for row in (names, *rows)]
    text = eol.join(lines)
    # Without its line end, a last row of one empty cell would not be there at all.
    if ended or not lines[-1]:
        text += eol
    return (b"\xef\xbb\xbf" if bom else b"") + text.encode()


_NAMES = st.sampled_from(
    [
        "campaign",
        "user id",
        'he said "hi"',
        "select",
        "order",
        "Group",
        "tab\tbed",
        "ümläut",
        "100%",
        "%s",
        "a;b",
        "x'y",
        "emoji 😀",
        "two\nlines",
        "back\\slash",
        "comma,name",
        "percent%(name)s",
        "question?",
        ":colon",
        "$1",
        "c0",
    ]
)


def _values(kind: OutputColumn, text: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    if kind.data_type == "DECIMAL":
        limit = 10**kind.precision - 1
        return st.integers(-limit, limit).map(lambda number: Decimal(number).scaleb(-kind.scale, context=_EXACT))
    strategies: dict[str, st.SearchStrategy[Any]] = {
        "BOOLEAN": st.booleans(),
        "SHORT": st.integers(-(2**15), 2**15 - 1),
        "INTEGER": st.integers(-(2**31), 2**31 - 1),
        "LONG": st.integers(-(2**63), 2**63 - 1) | st.sampled_from([100_000_000_000_000_001, -999_999_999_999_999_999]),
        "FLOAT": st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False),
        "DOUBLE": st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False),
        "DATE": st.dates() | st.sampled_from([date.min, date.max]),
        "TIMESTAMP": st.datetimes().map(lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)),
        "STRING": text,
    }
    return strategies[str(kind.data_type)]


def _exact() -> Any:
    from decimal import Context

    return Context(prec=80)


_EXACT = _exact()

_HARD_TEXTS = st.sampled_from(
    [
        "",
        " ",
        "NULL",
        "null",
        "NaN",
        "\\.",
        "\\N",
        "\\",
        '"',
        '""',
        "'",
        ",",
        "\n",
        "\r",
        "\r\n",
        "\n\\.\n",
        "\ufeff",
        "a,b",
        'say "hi"',
        "multi\nline",
        "tab\t",
        "😀🏳️\u200d🌈",
        "0042",
        "1e5",
        "=1+1",
        "\u2028",
        "\x1a",
        "\x85",
        "é" * 40,
    ]
)


@st.composite
def hard_tables(
    draw: st.DrawFn, *, nul: bool = False, names: st.SearchStrategy[str] = _NAMES, numbered: bool = False
) -> HardTable:
    """Tables of hard values under hard names, cut into files in every way that CSV allows.

    :param nul: with NUL characters.
    :param names: of the columns.
    :param numbered: with a first column ``row number``, which tells the rows apart.
    """
    characters = st.characters(codec="utf-8", exclude_characters="" if nul else "\x00")
    text = _HARD_TEXTS | st.text(characters, max_size=12)
    kinds = st.one_of(
        st.sampled_from(["BOOLEAN", "SHORT", "INTEGER", "LONG", "FLOAT", "DOUBLE", "DATE", "TIMESTAMP", "STRING"]).map(
            lambda kind: (kind, None, None)
        ),
        st.sampled_from([("DECIMAL", 38, 17), ("DECIMAL", 38, 0), ("DECIMAL", 38, 38), ("DECIMAL", 5, 2)]),
        st.just(("STRING", None, None)),
    )
    columns = tuple(
        column(name, *draw(kinds)) for name in draw(st.lists(names, min_size=1, max_size=5, unique_by=str.casefold))
    )
    row = st.tuples(*(st.none() | _values(kind, text) for kind in columns))
    style = st.fixed_dictionaries(
        {
            "eol": st.sampled_from(["\n", "\r\n"]),
            "quoted": st.booleans(),
            "ended": st.booleans(),
            "bom": st.booleans(),
        }
    )
    parts = draw(st.lists(st.tuples(st.lists(row, max_size=6), style), min_size=1, max_size=3))
    if numbered:
        columns = (column("row number", "LONG"), *columns)
        numbers = itertools.count(-(2**63))
        parts = [([(next(numbers), *row) for row in rows], form) for rows, form in parts]
    header = [kind.name for kind in columns]
    return HardTable(
        columns,
        tuple(row for rows, _ in parts for row in rows),
        tuple(csv_file(header, rows, **form) for rows, form in parts),
    )
