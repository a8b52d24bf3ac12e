"""The facts: what was shown, clicked and bought, in narrow DuckDB tables that are filled month by month."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
from collections.abc import Iterator, Sequence

import duckdb

from airflow_provider_amc.emulator.data import events, world
from airflow_provider_amc.emulator.data.audience import Audiences
from airflow_provider_amc.emulator.data.chance import MACROS, mix
from airflow_provider_amc.emulator.data.scale import impressions_of

DIMENSIONS = (
    """d_ad(ad INTEGER, adv UTINYINT, campaign VARCHAR, campaign_id BIGINT, campaign_flight_id BIGINT,
        insertion_order VARCHAR, goal VARCHAR, product_line VARCHAR, category VARCHAR, starts TIMESTAMP, ends TIMESTAMP,
        campaign_budget BIGINT, line_item VARCHAR, line_item_id BIGINT, line_item_budget BIGINT, line_item_type VARCHAR,
        creative VARCHAR, creative_id BIGINT, creative_size VARCHAR, creative_type VARCHAR, creative_duration BIGINT,
        sales_type VARCHAR)""",
    """d_target(target INTEGER, adv UTINYINT, template UTINYINT, product VARCHAR, campaign VARCHAR, campaign_id BIGINT,
        campaign_code VARCHAR, portfolio VARCHAR, portfolio_id BIGINT, ad_group VARCHAR, targeting VARCHAR,
        match_type VARCHAR, price_type VARCHAR, line_item_id BIGINT, asin USMALLINT, keyword VARCHAR, creative VARCHAR)""",
    """d_adv(adv UTINYINT, advertiser VARCHAR, advertiser_id BIGINT, entity_id VARCHAR, tz VARCHAR, merchant_id BIGINT)""",
    """d_asin(asin USMALLINT, adv UTINYINT, tracked_asin VARCHAR, tracked_item VARCHAR, cents INTEGER)""",
    """d_device(device UTINYINT, device_type VARCHAR, make VARCHAR, model VARCHAR, os VARCHAR, os_version VARCHAR,
        browser VARCHAR, environment VARCHAR)""",
    """d_site(site_no UTINYINT, site VARCHAR, supply_source VARCHAR, amazon_owned BOOLEAN, app_bundle VARCHAR,
        page_type VARCHAR, deal VARCHAR)""",
    """d_place(place UTINYINT, state VARCHAR, city VARCHAR, postal_code VARCHAR, dma VARCHAR)""",
    # See audience.Audience; first is the quarter's first microsecond, weekday that of its first day
    """d_audience(q INTEGER, adv UTINYINT, size INTEGER, base INTEGER, factor BIGINT, shift BIGINT, inverse BIGINT,
        turn BIGINT, first BIGINT, days INTEGER, weekday INTEGER)""",
    # profile is advertiser * PROFILES + number. d_plan has a row an impression, e being its number in the profile;
    # n counts the impressions of a slot from 0; unknown: AMC cannot tell the user
    """d_profile(profile USMALLINT, stages INTEGER, reserve INTEGER, buys BOOLEAN)""",
    """d_plan(profile USMALLINT, slot INTEGER, stage INTEGER, e INTEGER, clicked BOOLEAN, unknown BOOLEAN)""",
    # A row a conversion, e being the impression it follows, lag the seconds it comes at least and most after it
    """d_convert(profile USMALLINT, c INTEGER, slot INTEGER, stage INTEGER, e INTEGER, step INTEGER, line INTEGER,
        chain INTEGER, clicked BOOLEAN, lag_from INTEGER, lag_to INTEGER)""",
)
FACTS = {
    # k names the row everywhere; u is the user, NULL when AMC could not tell
    "f_impression": "k UINTEGER, ts TIMESTAMP, u INTEGER, ad INTEGER, clicked BOOLEAN",
    "f_click": "k UINTEGER, ts TIMESTAMP, click_ts TIMESTAMP, u INTEGER, ad INTEGER",
    # kind: 0 impression, 1 click
    "f_sponsored": "k UINTEGER, ts TIMESTAMP, u INTEGER, target INTEGER, kind UTINYINT",
    # touch: 0 DSP impression, 1 DSP click, 2 sponsored impression, 3 sponsored click; item is the ad or the target;
    # step: 0 look, 1 cart, 2 order, 3 off Amazon
    "f_conversion": """k UINTEGER, touch UTINYINT, touch_k UINTEGER, touch_ts TIMESTAMP, shown_ts TIMESTAMP,
        ts TIMESTAMP, u INTEGER, adv UTINYINT, item INTEGER, step UTINYINT, asin USMALLINT, halo BOOLEAN,
        units UTINYINT, ntb BOOLEAN""",
}

#: From so many impressions on the facts are kept compressed.
_COMPRESSED = 1_000_000
#: Impressions that are made at a time.
_CHUNK = 2_000_000
#: Months that stay when the present has moved on.
_KEPT_MONTHS = 30


class Facts:
    """Makes and keeps the data of a database.

    Rows come by the month and are the same whatever the present is, so they reach beyond it; tables show those before.

    :param connection: a DuckDB connection; its database is filled.
    :param seed: seed of the data.
    :param scale: a name or a number, see :func:`~airflow_provider_amc.emulator.data.scale.parse_scale`.
    :raises ValueError: there is no such scale.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, seed: int, scale: str | int) -> None:
        self._connection = connection
        self._seed = seed
        self.impressions = impressions_of(scale)
        self._audiences: Audiences | None = None
        self._quarters: set[int] = set()
        self._known: set[int] = set()
        self._months: set[int] = set()
        self._store = "memory.main"

    @property
    def audiences(self) -> Audiences:
        """Who is reached."""
        if self._audiences is None:
            self._audiences = Audiences(self._seed, self.impressions)
        return self._audiences

    def create(self) -> None:
        """Create the macros, the tables and the dimensions that do not depend on time."""
        run = self._connection.execute
        for macro in MACROS:
            run(f"CREATE OR REPLACE MACRO {macro}")
        for table in DIMENSIONS:
            run(f"CREATE TABLE {table}")
        if self.impressions >= _COMPRESSED:
            # DuckDB before 1.4 compresses nothing in memory
            with contextlib.suppress(duckdb.Error):
                run("ATTACH ':memory:' AS facts (COMPRESS)")
                self._store = "facts.main"
        self._empty()
        if self._store != "memory.main":
            for name in FACTS:
                run(f"CREATE VIEW {name} AS SELECT * FROM {self._store}.{name}")
        self._insert("d_target", world.target_rows(self._seed))
        self._insert("d_adv", world.advertiser_rows(self._seed))
        self._insert("d_asin", world.product_rows(self._seed))
        self._insert("d_device", [(index, *row) for index, (_, *row) in enumerate(world.DEVICES)])
        self._insert("d_site", [(index, *row) for index, (_, *row) in enumerate(world.SITES)])
        self._insert("d_place", [(index, *row) for index, (_, *row) in enumerate(world.PLACES)])
        profiles, slots, conversions = events.planned(self._seed)
        self._insert("d_profile", profiles)
        run(events.PLAN, [slots])
        self._insert("d_convert", conversions)

    def _insert(self, table: str, rows: Sequence[tuple[object, ...]]) -> None:
        columns = [list(column) for column in zip(*rows, strict=True)]
        items = ", ".join(f"unnest(${number})" for number in range(1, len(columns) + 1))
        self._connection.execute(f"INSERT INTO {table} SELECT {items}", columns)

    def fill(self, first: dt.date, last: dt.date) -> None:
        """Make the rows of the months from one day to another; months that exist are not made again.

        :param first: the first day.
        :param last: the last day, inclusive.
        """
        wanted = set(range(_month(first), _month(last) + 1))
        if wanted <= self._months:
            return
        kept = self._months if len(self._months | wanted) <= _KEPT_MONTHS else set()
        runs = list(_runs(sorted(wanted - kept)))
        for start, end in runs:
            self._know(world.quarter_number(start), world.quarter_number(end - dt.timedelta(days=1)))
        run = self._connection.execute
        # All at once, so that no query sees a part of it
        run("BEGIN")
        try:
            if not kept:
                self._empty()
            for start, end in runs:
                self._make(start, end)
            run("COMMIT")
        except BaseException:
            run("ROLLBACK")
            raise
        self._months = kept | wanted
        if self._store != "memory.main":
            # What is in use now is compressed another time
            with contextlib.suppress(duckdb.Error):
                run("CHECKPOINT facts")

    def _empty(self) -> None:
        for name, columns in FACTS.items():
            self._connection.execute(f"CREATE OR REPLACE TABLE {self._store}.{name}({columns})")

    def _know(self, first: int, last: int) -> None:
        """Have the ads and audiences of some quarters; those of a year before tell who is new to a brand."""
        for quarter in range(first - 4, last + 1):
            if quarter not in self._known:
                self._insert("d_audience", [audience.row() for audience in self.audiences.of_quarter(quarter)])
                self._known.add(quarter)
            if quarter >= first and quarter not in self._quarters:
                self._insert("d_ad", world.ad_rows(self._seed, quarter))
                self._quarters.add(quarter)

    def _make(self, start: dt.date, end: dt.date) -> None:
        """Make the rows of some months: all at a time, or a quarter when there are many."""
        cuts = [start]
        if self.impressions * (end - start).days // 395 > _CHUNK:
            cuts += [
                day for quarter in self._quarters if start < (day := world.quarter_bounds(quarter)[0].date()) < end
            ]
        cuts = [*sorted(cuts), end]
        for begins, ends in itertools.pairwise(cuts):
            values = {
                "store": self._store,
                "users": self.audiences.users,
                "salt": mix(mix(self._seed) + 1),
                "other_salt": mix(mix(self._seed) + 2),
                "from_q": world.quarter_number(begins),
                "to_q": world.quarter_number(ends - dt.timedelta(days=1)),
                "start": f"TIMESTAMP '{begins}'",
                "end": f"TIMESTAMP '{ends}'",
            }
            for statement in events.statements(values):
                self._connection.execute(statement)


def _month(day: dt.date) -> int:
    return day.year * 12 + day.month - 1


def _runs(months: list[int]) -> Iterator[tuple[dt.date, dt.date]]:
    """First day, and first day after it, of each run of months without a gap."""
    starts = [month for month in months if month - 1 not in months]
    ends = [month + 1 for month in months if month + 1 not in months]
    for start, end in zip(starts, ends, strict=True):
        yield tuple(dt.date(number // 12, number % 12 + 1, 1) for number in (start, end))  # type: ignore[misc]
