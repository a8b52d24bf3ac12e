"""Random small data and random queries over it.

The thresholds are fixed at 2 and 100, so that data has a few rows of a few users, and at times blocks of about a
hundred. Queries never ask for what AMC refuses: no comparison of sensitive columns with literals, no user id shown.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from hypothesis import strategies as st

from tests.sql.privacy.query import (
    Agg,
    Among,
    Body,
    Calc,
    Case,
    Coalesce,
    Col,
    Compare,
    Condition,
    IsNull,
    Item,
    Join,
    Null,
    Num,
    Over,
    Query,
    Select,
    Source,
    Union,
    Value,
    has_aggregate,
)
from tests.sql.privacy.tables import COLUMNS

#: The tables of the random queries.
TABLES = ["dsp_impressions", "dsp_clicks", "conversions", "segment_metadata"]

Draw = st.DrawFn
T = TypeVar("T")

# --- data --------------------------------------------------------------------------------------------------------

_USERS = ["a", "b", "c", "d", "u0", None]
_TEXTS: dict[str, list[str | None]] = {
    "campaign": ["x", "y", None],
    "device_type": ["TV", "PC", None],
    "postal_code": ["1", "2", None],
    "event_type": ["p", "q"],
    "segment_name": ["x", "z"],
}
_NUMBERS = [0, 1, 1, 1, 2, 3, -1, -2, None]


def _cell(draw: Draw, column: str) -> object:
    if column == "user_id":
        return draw(st.sampled_from(_USERS))
    return draw(st.sampled_from(_TEXTS.get(column, _NUMBERS)))


@st.composite
def _rows(draw: Draw, table: str, blocks: bool) -> list[dict[str, object]]:
    columns = COLUMNS[table]
    rows = [
        {column: _cell(draw, column) for column in columns} for _ in range(draw(st.integers(0, 3 if blocks else 8)))
    ]
    if blocks and "user_id" in columns:
        for _ in range(draw(st.sampled_from([1, 1, 2]))):
            rows += _block(draw, columns)
    return rows


def _block(draw: Draw, columns: Sequence[str]) -> list[dict[str, object]]:
    """Rows of about a hundred users that differ only in some metrics of the first."""
    usual = {column: _cell(draw, column) for column in columns}
    first = {column: _cell(draw, column) for column in columns if column not in _TEXTS}
    start, users, odd = draw(st.sampled_from([0, 50])), draw(st.integers(97, 103)), draw(st.integers(0, 3))
    rows = []
    for number in range(users):
        row = usual | (first if number < odd else {}) | {"user_id": f"u{start + number}"}
        rows.append(row)
    return rows


def _data(draw: Draw, blocks: bool) -> dict[str, list[dict[str, object]]]:
    return {name: draw(_rows(name, blocks)) for name in TABLES}


# --- what queries can name ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Column:
    """A column of something in reach.

    :param kind: ``text``, ``integer`` or ``real``.
    :param domain: columns of the same domain may be joined.
    :param hidden: may it never be shown?
    :param calculated: may it be something else than one SUM or COUNT?
    """

    kind: str
    domain: str
    hidden: bool = False
    calculated: bool = False


@dataclass(frozen=True)
class _Shape:
    """What a query gives.

    :param aggregated: may it be shown?
    :param single: has a row one user of a table at most? Of such rows the engine keeps no parts: where they are merged
        with others, it takes the value of a metric for what the user added, which it is not if it was calculated.
    """

    columns: dict[str, _Column]
    aggregated: bool
    single: bool

    @property
    def keeps_parts(self) -> bool:
        """Is all that is known of users in the values?"""
        return not (self.single and any(column.calculated for column in self.columns.values()))


_DOMAINS = {"segment_name": "campaign"}


def _table_shape(name: str, left_out: Collection[str]) -> _Shape:
    texts = {"user_id", *_TEXTS}
    columns = {
        column: _Column("text" if column in texts else "integer", _DOMAINS.get(column, column), column == "user_id")
        for column in COLUMNS[name]
        if column not in left_out
    }
    return _Shape(columns, False, True)


#: Kinds of the columns of a query.
_Slots = tuple[str, ...]


@st.composite
def _slots(draw: Draw) -> _Slots:
    texts = draw(st.integers(0, 2))
    numbers = draw(
        st.lists(st.sampled_from(["integer", "integer", "integer", "real"]), min_size=texts == 0, max_size=3)
    )
    return ("text",) * texts + tuple(numbers)


# --- queries -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Example:
    """Rows of some tables, and a query.

    :param sql: the query as AMC SQL, in one of several forms.
    """

    data: dict[str, list[dict[str, object]]]
    query: Query
    sql: str

    def __repr__(self) -> str:
        texts = [self.sql]
        for name, rows in self.data.items():
            if name in self.sql:
                texts += [f"{name}: {', '.join(COLUMNS[name])}", *(str(tuple(row.values())) for row in rows)]
        return "\n".join(texts)


@st.composite
def examples(draw: Draw) -> Example:
    """Rows, and a query of up to four levels over them."""
    # Columns that ask for a hundred users only where there are blocks of them; most queries would take one
    hundred = draw(st.booleans())
    left_out = {"segment_id"} if hundred else {"segment_id", "postal_code", "bid_price"}
    known = {name: _table_shape(name, left_out) for name in TABLES[: 2 if hundred else None]}
    ctes: list[tuple[str, Body]] = []
    for number in range(draw(st.integers(0, 3))):
        body, shape = _body(draw, known, draw(_slots()), final=False)
        ctes.append((f"q{number}", body))
        known[f"q{number}"] = shape
    body, _ = _body(draw, known, draw(_slots()), final=True)
    query = Query(tuple(ctes), body)
    # Sub-queries in conditions go by name
    text = query.sql() if " IN (SELECT" in query.sql() or draw(st.booleans()) else query.nested()
    return Example(_data(draw, hundred or draw(st.integers(0, 3)) == 0), query, text)


def _body(draw: Draw, known: dict[str, _Shape], slots: _Slots, *, final: bool) -> tuple[Body, _Shape]:
    sides = [_Builder(draw, known, final).select(slots) for _ in range(draw(st.sampled_from([1, 1, 1, 1, 1, 2, 2, 3])))]
    body: Body
    body, shape = sides[0]
    for side, other in sides[1:]:
        both = {
            name: _Column(
                column.kind,
                column.domain if column.domain == other.columns[name].domain else name,
                column.hidden or other.columns[name].hidden,
                column.calculated or other.columns[name].calculated,
            )
            for name, column in shape.columns.items()
        }
        united = _Shape(both, shape.aggregated and other.aggregated, shape.single or other.single)
        if not united.keeps_parts:
            break
        body, shape = Union(body, side, draw(st.booleans()) or "real" in slots), united
    return body, shape


class _Builder:
    """Makes one SELECT.

    :param known: the relations that it may read.
    :param final: is it shown?
    """

    def __init__(self, draw: Draw, known: dict[str, _Shape], final: bool) -> None:
        self._draw = draw
        self._known = known
        self._final = final
        self._columns: dict[Col, _Column] = {}
        self._sources: list[str] = []

    def _pick(self, *options: T) -> T:
        return self._draw(st.sampled_from(options))

    def _chance(self, one_in: int) -> bool:
        return self._draw(st.integers(1, one_in)) == one_in

    def select(self, slots: _Slots) -> tuple[Select, _Shape]:
        source, joins = self._from()
        where = tuple(self._condition() for _ in range(int(self._chance(4))))
        aggregated = all(self._known[name].aggregated for name in self._sources)
        plain = self._chance(3) and (aggregated or not self._final)
        distinct = self._chance(6) and "real" not in slots
        values = [self._plain(kind) if plain else self._grouped(kind) for kind in slots]
        group: tuple[Value, ...] | None = None
        if not plain:
            keys: list[Value] = [
                value for value in values if not has_aggregate(value) and not isinstance(value, Null | Num)
            ]
            keys += [self._key() for _ in range(int(self._chance(5)))]
            if not keys and not any(has_aggregate(value) for value in values):
                keys = [self._key()]
            group = tuple(dict.fromkeys(keys)) or None
        items = tuple(Item(f"c{number}", value) for number, value in enumerate(values))
        having = () if plain or not self._chance(6) else (self._having(group or ()),)
        columns = {
            item.name: _Column(
                kind,
                self._domain(item.value, item.name),
                self._hidden(item.value),
                kind != "text" and item.value not in (group or ()) and self._calculated(item.value),
            )
            for item, kind in zip(items, slots, strict=True)
        }
        by_user = any(isinstance(key, Col) and self._columns[key].domain == "user_id" for key in group or ())
        single = by_user or (plain and any(self._known[name].single for name in self._sources))
        shape = _Shape(columns, aggregated or not plain or distinct, single)
        distinct = distinct and shape.keeps_parts
        select = Select(items, source, joins, where, group, having, distinct)
        return select, replace(shape, aggregated=aggregated or not plain or distinct)

    # --- FROM ----------------------------------------------------------------------------------------------------

    def _from(self) -> tuple[Source, tuple[Join, ...]]:
        names = list(self._known)
        # What was made last matters most
        later = [name for name in names if name not in TABLES]
        weighted = 2 * [name for name in names if name != "segment_metadata"] + names + 4 * later
        sources: list[Source] = []
        joins: list[Join] = []
        for number in range(self._pick(1, 1, 1, 2, 2, 3)):
            source = Source(self._pick(*weighted), f"t{number}")
            own = {Col(source.alias, key): column for key, column in self._known[source.relation].columns.items()}
            if sources:
                joins.append(self._join(source, own))
            sources.append(source)
            self._columns |= own
        self._sources = [source.relation for source in sources]
        return sources[0], tuple(joins)

    def _join(self, source: Source, own: dict[Col, _Column]) -> Join:
        pairs = [
            (one, other)
            for one, left in self._columns.items()
            for other, right in own.items()
            if left.domain == right.domain and left.kind == right.kind == "text"
        ]
        if not pairs or self._chance(8):
            return Join("CROSS", source)
        # Users first: what else is joined makes many rows
        users = [pair for pair in pairs if self._columns[pair[0]].domain == "user_id"]
        on = [self._pick(*pairs, *users * 3)]
        if self._chance(4):
            on.append(self._pick(*pairs))
        return Join(str(self._pick("INNER", "LEFT", "LEFT", "FULL")), source, tuple(dict.fromkeys(on)))

    # --- values --------------------------------------------------------------------------------------------------

    def _of(self, *kinds: str, hidden: bool) -> list[Col]:
        return [c for c, column in self._columns.items() if column.kind in kinds and (hidden or not column.hidden)]

    def _condition(self) -> Condition:
        numbers = self._of("integer", hidden=False)
        if numbers and self._chance(2):
            left = self._pick(*numbers)
            return Compare(str(self._pick("=", "<>", "<", ">")), left, Num(self._pick(0, 1, 2)))
        if self._chance(5):
            pairs = [
                (column, name, key)
                for column in self._of("text", hidden=True)
                for name, shape in self._known.items()
                for key, other in shape.columns.items()
                if other.domain == self._columns[column].domain and other.kind == "text"
            ]
            if pairs:
                return Among(*self._pick(*pairs))
        return IsNull(self._pick(*self._columns), bool(self._pick(True, True, False)))

    def _having(self, keys: Sequence[Value]) -> Condition:
        if keys and self._chance(3):
            return IsNull(self._pick(*keys), True)
        counted = Agg("COUNT", self._pick(None, *self._columns), distinct=False)
        many = Agg("COUNT", self._pick(*self._columns), distinct=True)
        return Compare(self._pick(">", "<", "<>"), self._pick(counted, many, self._sum()), Num(self._pick(0, 1, 2, 99)))

    def _text(self, *, hidden: bool) -> Value:
        texts = self._of("text", hidden=hidden)
        texts += 3 * [column for column in texts if self._columns[column].domain == "postal_code"]
        if not texts or self._chance(20):
            return Null()
        if self._chance(8):
            return Coalesce((self._pick(*texts), self._pick(*texts)))
        if self._chance(8):
            return Case(self._condition(), self._pick(*texts), self._pick(*texts, Null()))
        return self._pick(*texts)

    def _number(self, kind: str = "integer") -> Value:
        numbers = self._of("integer", *(["real"] if kind == "real" else []), hidden=True)
        if not numbers or self._chance(10):
            return Num(self._pick(0, 1, 2))
        strict = [column for column in numbers if self._columns[column].domain == "bid_price"]
        first: Value = self._pick(*numbers, *strict * 2)
        match self._pick("", "", "", "", "", "calc", "coalesce", "case"):
            case "calc":
                return Calc(str(self._pick("+", "-", "*")), first, self._pick(*numbers, Num(1), Num(2)))
            case "coalesce":
                return Coalesce((first, self._pick(*numbers, Num(0))))
            case "case":
                return Case(self._condition(), first, self._pick(*numbers, Num(0), Num(1), Null()))
        return first

    def _plain(self, kind: str) -> Value:
        """A value of a row."""
        if kind == "integer" and self._chance(8):
            return Over(self._pick("SUM", "COUNT", "MAX"), self._number(), self._pick(*self._columns))
        if kind == "text":
            return self._text(hidden=not self._final)
        if kind == "integer":
            return self._number()
        return Calc("/", self._number("real"), self._pick(self._number(), Num(2)))

    def _key(self) -> Value:
        """A column to group by that need not be shown."""
        keys: list[Value] = [*self._of("text", "integer", hidden=True)]
        return self._pick(*(keys or [Null()]))

    def _grouped(self, kind: str) -> Value:
        """A key or an aggregate."""
        if kind == "text":
            if self._chance(10):
                value = self._text(hidden=not self._final)
                return value if isinstance(value, Null) else Agg(str(self._pick("MIN", "MAX")), value)
            return self._text(hidden=not self._final)
        if kind == "real":
            if self._chance(3):
                return Agg("AVG", self._number("real"), where=self._filter())
            return Calc("/", self._sum(), self._pick(self._sum(), Agg("COUNT"), Num(2)))
        integers = self._of("integer", hidden=False)
        match self._pick("sum", "sum", "sum", "sum", "count", "count", "users", "extreme", "key", "calc"):
            case "extreme":
                return Agg(str(self._pick("MIN", "MAX")), self._number(), where=self._filter())
            case "key" if integers:
                return self._pick(*integers)
            case "count":
                argument = self._pick(None, None, *self._columns)
                return Agg("COUNT", argument, where=self._filter())
            case "users":
                return Agg("COUNT", self._pick(*self._columns), distinct=True)
            case "calc":
                return Calc(str(self._pick("+", "-")), self._sum(), self._pick(self._sum(), Num(1)))
        return self._sum()

    def _sum(self) -> Value:
        total = Agg("SUM", self._number(), where=self._filter())
        return Coalesce((total, Num(0))) if self._chance(6) else total

    def _filter(self) -> Condition | None:
        return self._condition() if self._chance(6) else None

    def _domain(self, value: Value, name: str) -> str:
        inner = value.argument if isinstance(value, Agg) else value
        return self._columns[inner].domain if isinstance(inner, Col) else name

    def _calculated(self, value: Value) -> bool:
        match value:
            case Col():
                return self._columns[value].calculated
            case Coalesce((first, Num())):
                return self._calculated(first)
        return isinstance(value, Calc | Coalesce | Case)

    def _hidden(self, value: Value) -> bool:
        match value:
            case Col():
                return self._columns[value].hidden
            case Agg(function, argument) if function != "COUNT" and argument is not None:
                return self._hidden(argument)
            case Coalesce(values):
                return any(self._hidden(one) for one in values)
            case Case(_, then, otherwise) | Calc(_, then, otherwise):
                return self._hidden(then) or self._hidden(otherwise)
        return False
