"""The reference itself, against counts and shares worked out by hand."""

from __future__ import annotations

from fractions import Fraction

import pytest

from tests.sql.privacy.decision import Count, Mode, counts, shown
from tests.sql.privacy.evaluate import evaluate
from tests.sql.privacy.query import (
    Agg,
    Calc,
    Case,
    Coalesce,
    Col,
    IsNull,
    Item,
    Join,
    Null,
    Num,
    Query,
    Select,
    Source,
    Union,
)
from tests.sql.privacy.rows import ANONYMOUS, Parts, Relation
from tests.sql.privacy.tables import relations

PLAIN, EFFECTIVE, EQUIVALENT = 0, 1, 2

USER, DEVICE, POSTAL = Col("i", "user_id"), Col("i", "device_type"), Col("i", "postal_code")
IMPRESSIONS, CLICKS = Col("i", "impressions"), Col("c", "clicks")
TOTAL = Item("n", Agg("SUM", IMPRESSIONS))
FROM = Source("dsp_impressions", "i")
CLICKED = Source("dsp_clicks", "c")


def impressions(*rows: tuple[str | None, str | None, int | None]) -> list[dict[str, object]]:
    return [{"user_id": user, "device_type": device, "impressions": number} for user, device, number in rows]


def clicks(*rows: tuple[str | None, int | None]) -> list[dict[str, object]]:
    return [{"user_id": user, "clicks": number} for user, number in rows]


def run(query: Select | Union | Query, **data: list[dict[str, object]]) -> Relation:
    whole = query if isinstance(query, Query) else Query((), query)
    return evaluate(whole, relations(data))


def counted(relation: Relation, row: int = 0) -> list[tuple[int, int, int]]:
    """Kind, number and path of each count of a row."""
    found: list[Count] = counts(relation.rows[row], relation.fields)
    return sorted((count.kind, count.number, count.path) for count in found)


def parts(relation: Relation, column: int, row: int = 0) -> list[Parts]:
    return list(relation.rows[row].cells[column].parts)


def test_every_group_counts_its_distinct_users_and_not_the_anonymous() -> None:
    select = Select((Item("d", DEVICE), TOTAL), FROM, group=(DEVICE,))
    found = run(
        select,
        dsp_impressions=impressions(("a", "TV", 1), ("a", "TV", 1), ("b", "TV", 2), (None, "TV", 5), (None, "PC", 1)),
    )
    assert counted(found, 0) == [(PLAIN, 2, 0), (EFFECTIVE, 2, 0), (EQUIVALENT, 4, 0)]
    assert counted(found, 1) == [(PLAIN, 0, 0), (EFFECTIVE, 0, 0)]
    # One user is enough for a number, two are needed for a device
    assert shown(found, Mode(user_count=True)) == [("TV", 9, 2)]


def test_users_who_add_nothing_are_not_effective_and_one_who_adds_most_is_alone() -> None:
    found = run(
        Select((Item("d", DEVICE), TOTAL), FROM, group=(DEVICE,)),
        dsp_impressions=impressions(
            ("a", "TV", 3),
            ("a", "TV", -3),
            ("b", "TV", 0),
            ("c", "TV", 7),
            ("d", "TV", None),
            ("e", "PC", 9),
            ("f", "PC", 1),
        ),
    )
    assert counted(found, 0) == [(PLAIN, 4, 0), (EFFECTIVE, 1, 0), (EQUIVALENT, 1, 0)]
    assert counted(found, 1) == [(PLAIN, 2, 0), (EFFECTIVE, 2, 0), (EQUIVALENT, 1, 0)]
    assert shown(found, Mode(reason=True)) == []
    assert shown(found, Mode("REMOVE_VALUES", user_count=True, reason=True)) == [
        (None, 7, 1, "1 'dsp_impressions' effective users < 2 required"),
        (None, 10, 2, "1 'dsp_impressions' equivalent users < 2 required"),
    ]


def test_a_metric_without_total_asks_for_no_effective_users() -> None:
    found = run(
        Select((Item("d", DEVICE), TOTAL), FROM, group=(DEVICE,)),
        dsp_impressions=impressions(("a", "TV", 1), ("b", "TV", -1), ("a", "PC", None), ("b", "PC", None)),
    )
    assert [counted(found, row) for row in (0, 1)] == [[(PLAIN, 2, 0)], [(PLAIN, 2, 0)]]
    assert shown(found, Mode()) == [("TV", 0), ("PC", None)]


def test_every_use_of_a_table_is_a_path() -> None:
    per_user = Select((Item("u", USER), TOTAL), FROM, group=(USER,))
    twice = Select(
        (Item("n", Agg("SUM", Col("x", "n"))), Item("m", Agg("SUM", Col("y", "n")))),
        Source("per_user", "x"),
        (Join("LEFT", Source("per_user", "y"), ((Col("x", "n"), Col("y", "u")),)),),
    )
    found = run(Query((("per_user", per_user),), twice), dsp_impressions=impressions(("a", None, 1), ("b", None, 2)))
    assert found.paths == ("dsp_impressions", "dsp_impressions")
    # No row of the second use has a partner: that path is not behind the row
    assert counted(found) == [(PLAIN, 2, 0), (EFFECTIVE, 2, 0), (EQUIVALENT, 1, 0)]
    assert shown(found, Mode(user_count=True)) == [(3, None, 2)]


def test_a_join_counts_both_sides_and_a_metric_on_the_paths_it_reads() -> None:
    select = Select(
        (Item("n", Agg("SUM", IMPRESSIONS)), Item("k", Agg("SUM", CLICKS)), Item("all", Agg("COUNT"))),
        FROM,
        (Join("FULL", CLICKED, ((USER, Col("c", "user_id")),)),),
    )
    found = run(
        select,
        dsp_impressions=impressions(("a", None, 1), ("b", None, 1)),
        dsp_clicks=clicks(("b", 1), ("c", 1), ("d", 1)),
    )
    assert counted(found) == sorted(
        [
            (PLAIN, 2, 0),
            (PLAIN, 3, 1),
            (EFFECTIVE, 2, 0),  # of impressions
            (EQUIVALENT, 2, 0),
            (EFFECTIVE, 3, 1),  # of clicks
            (EQUIVALENT, 3, 1),
            (EFFECTIVE, 2, 0),  # of the rows, on both paths
            (EQUIVALENT, 2, 0),
            (EFFECTIVE, 3, 1),
            (EQUIVALENT, 3, 1),
        ]
    )


def test_a_sum_of_sums_is_divided_as_the_sum_below_was() -> None:
    per_device = Select((Item("d", DEVICE), TOTAL), FROM, group=(DEVICE,))
    outer = Select(
        (Item("t", Agg("SUM", Calc("*", Col("q", "n"), Num(2)))), Item("rows", Agg("COUNT"))), Source("q", "q")
    )
    found = run(
        Query((("q", per_device),), outer),
        dsp_impressions=impressions(
            ("a", "TV", 6), ("b", "TV", 2), (None, "TV", 2), ("a", "PC", 5), ("c", "PC", -5), ("b", "TV", None)
        ),
    )
    # TV: 20 = 12 a + 4 b + 4 nobody; PC adds up to 0, so that nothing says how to divide: nothing comes from it
    assert parts(found, 0) == [{0: {"a": 12, "b": 4, ANONYMOUS: 4, "c": 0}}]
    # A row counts once, in equal parts
    third, half = Fraction(1, 3), Fraction(1, 2)
    assert parts(found, 1) == [{0: {"a": third + half, "b": third, ANONYMOUS: third, "c": half}}]
    assert counted(found) == sorted(
        [(PLAIN, 3, 0), (EFFECTIVE, 2, 0), (EQUIVALENT, 1, 0), (EFFECTIVE, 3, 0), (EQUIVALENT, 2, 0)]
    )


def test_a_ratio_has_two_components_and_is_checked_by_both() -> None:
    ratio = Calc(
        "/",
        Agg("SUM", IMPRESSIONS),
        Coalesce((Agg("COUNT", Case(IsNull(DEVICE, negated=True), Num(1), Null())), Num(1))),
    )
    found = run(
        Select((Item("r", ratio),), FROM), dsp_impressions=impressions(("a", "TV", 1), ("b", None, 1), ("b", None, 1))
    )
    assert counted(found) == [
        (PLAIN, 2, 0),
        (EFFECTIVE, 1, 0),
        (EFFECTIVE, 2, 0),
        (EQUIVALENT, 1, 0),
        (EQUIVALENT, 1, 0),
    ]


def test_distinct_counts_extremes_and_averages_have_no_effective_users() -> None:
    items = tuple(Item(f"c{n}", value) for n, value in enumerate([
        Agg("COUNT", USER, distinct=True), Agg("MAX", IMPRESSIONS), Agg("AVG", IMPRESSIONS), Agg("MIN", DEVICE),
    ]))  # fmt: skip
    found = run(Select(items, FROM), dsp_impressions=impressions(("a", "TV", 1), ("b", "PC", 9)))
    assert counted(found) == [(PLAIN, 2, 0)]
    assert [field.metric for field in found.fields] == [False, True, True, False]
    assert [field.additive for field in found.fields] == [True, True, True, False]
    assert shown(found, Mode(discriminator=True)) == [(2, 9, Fraction(5), "PC", False)]


def test_a_union_joins_the_paths_of_the_same_table() -> None:
    left = Select((Item("d", DEVICE), TOTAL), FROM, group=(DEVICE,))
    right = Select((Item("d", Null()), Item("n", Agg("SUM", CLICKS))), CLICKED)
    union = Union(Union(left, right), left, all=False)
    found = run(union, dsp_impressions=impressions(("a", "TV", 1), ("b", "TV", 2)), dsp_clicks=clicks(("c", 4)))
    assert found.paths == ("dsp_impressions", "dsp_clicks")
    assert [tuple(cell.value for cell in row.cells) for row in found.rows] == [("TV", 3), (None, 4)]
    # The equal rows became one, with the contributions of both
    assert parts(found, 1) == [{0: {"a": 2, "b": 4}}]
    assert counted(found, 1) == [(PLAIN, 1, 1), (EFFECTIVE, 1, 1), (EQUIVALENT, 1, 1)]


def test_a_metric_that_became_a_group_is_a_dimension() -> None:
    frequency = Select((Item("u", USER), TOTAL), FROM, group=(USER,))
    outer = Select(
        (Item("f", Col("q", "n")), Item("users", Agg("COUNT", Col("q", "u"), distinct=True))),
        Source("q", "q"),
        group=(Col("q", "n"),),
    )
    found = run(
        Query((("q", frequency),), outer), dsp_impressions=impressions(("a", None, 2), ("b", None, 2), ("c", None, 1))
    )
    assert [field.additive for field in found.fields] == [False, True]
    assert shown(found, Mode(discriminator=True)) == [(2, 2, False), (1, 1, False)]


def test_no_row_no_user_no_check() -> None:
    found = run(Select((Item("n", Agg("COUNT")), Item("d", Agg("MIN", POSTAL))), FROM), dsp_impressions=[])
    assert shown(found, Mode(discriminator=True, user_count=True, reason=True)) == [(0, None, False, None, None)]
    meta = Select((Item("s", Col("s", "segment_name")),), Source("segment_metadata", "s"))
    found = run(meta, segment_metadata=[{"segment_name": "cat"}])
    assert shown(found, Mode(user_count=True)) == [("cat", None)]


@pytest.mark.parametrize(
    ("users", "expected"), [(99, (None, None, 99)), (100, ("1", 100, 100)), (101, ("1", 101, 100))]
)
def test_a_hundred_users_show_a_postal_code(users: int, expected: tuple[object, ...]) -> None:
    data = [{"user_id": f"u{n}", "postal_code": "1", "impressions": 1, "bid_price": 1} for n in range(users)]
    select = Select((Item("p", POSTAL), Item("b", Agg("SUM", Col("i", "bid_price")))), FROM, group=(POSTAL,))
    assert shown(run(select, dsp_impressions=data), Mode("REMOVE_VALUES", user_count=True)) == [expected]


def test_merged_rows_add_up_and_tell_the_first_reason() -> None:
    select = Select((Item("d", DEVICE), TOTAL, Item("p", POSTAL)), FROM, group=(DEVICE, POSTAL))
    rows = [("a", "TV", "1", 2), ("b", "TV", "1", 2), ("a", "TV", "2", 1), ("c", "TV", "2", 1), ("d", "TV", "2", 0)]
    data = [dict(zip(("user_id", "device_type", "postal_code", "impressions"), row, strict=True)) for row in rows]
    found = run(select, dsp_impressions=data)
    reason = "2 'dsp_impressions' users < 100 required"
    mode = Mode(discriminator=True, user_count=True, reason=True)
    assert shown(found, mode) == [("TV", 6, None, True, 4, reason)]
