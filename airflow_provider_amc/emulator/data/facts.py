"""The facts: what was shown, clicked and bought, day by day, in narrow DuckDB tables."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from airflow_provider_amc.emulator.data import world
from airflow_provider_amc.emulator.data.chance import MACROS, draw, mix

if TYPE_CHECKING:
    import duckdb

#: DSP impressions in 13 months, by scale.
SCALES = {"tiny": 10_000, "small": 100_000, "medium": 1_000_000, "large": 10_000_000}
#: Users that exist for so many impressions.
_USERS_PER_IMPRESSION = 0.25
_DAYS = 395
_EPOCH = dt.date(2020, 1, 1)

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
    """d_day(day DATE, day_no UINTEGER, quarter INTEGER, impressions UINTEGER, sponsored UINTEGER)""",
)
FACTS = (
    # k names the row everywhere; u is the user, NULL when AMC could not tell
    "f_impression(k UINTEGER, ts TIMESTAMP, u UINTEGER, ad INTEGER)",
    "f_click(k UINTEGER, ts TIMESTAMP, click_ts TIMESTAMP, u UINTEGER, ad INTEGER)",
    # kind: 0 impression, 1 click
    "f_sponsored(k UINTEGER, ts TIMESTAMP, u UINTEGER, target INTEGER, kind UTINYINT)",
    # touch: 0 DSP impression, 1 DSP click, 2 sponsored impression, 3 sponsored click; item is the ad or the target;
    # step: 0 look, 1 cart, 2 order, 3 off Amazon
    """f_conversion(k UINTEGER, touch UTINYINT, touch_k UINTEGER, touch_ts TIMESTAMP, shown_ts TIMESTAMP, ts TIMESTAMP,
        u UINTEGER, adv UTINYINT, item INTEGER, step UTINYINT, asin USMALLINT, halo BOOLEAN, units UTINYINT, ntb BOOLEAN)""",
)

_HOURS = "[" + ", ".join(str(hour) for hour in world.HOURS) + "]"
_MOMENT = (
    f"CAST(d.day AS TIMESTAMP) + to_hours({_HOURS}[1 + chance_pick(k, 1, {len(world.HOURS)})])"
    " + to_milliseconds(chance_pick(k, 2, 3600000))"
)


def _user(adv: str) -> str:
    """A user: few are seen often, many seldom, and each advertiser has favourites of its own."""
    square = "((chance_draw(k, 3) >> 8) * (chance_draw(k, 3) >> 8) >> 24)"
    skewed = f"(({square} * $users) >> 24)"
    return f"CASE WHEN NOT chance_hits(k, 4, 600) THEN ({skewed} + {adv} * ($users // 7)) % $users END"


# Step 0 may be something else than a look at a product; see columns.SUBTYPE.
_CONVERSIONS = """
INSERT INTO f_conversion
WITH steps AS (
    SELECT chance_mix(touch_k + s.step * 977 + touch * 131071) AS k, touch, touch_k, touch_ts, shown_ts, u, adv, item, s.step
    FROM touches, (VALUES (0), (1), (2), (3)) AS s(step)
    WHERE u IS NOT NULL AND chance_hits(touch_k, 30 + touch, share)
), kept AS (
    SELECT *, chance_hits(k, 41, 2500) AS halo FROM steps
    WHERE step = 0 OR (step = 1 AND chance_hits(k, 40, 3800)) OR (step = 2 AND chance_hits(k, 40, 3200))
        OR (step = 3 AND touch < 2 AND adv < 2 AND chance_hits(k, 40, 600))
)
SELECT k, touch, touch_k, touch_ts, shown_ts,
    -- Most convert within hours, some within four weeks; a step comes minutes after the one before
    touch_ts + to_seconds(CAST(((chance_draw(touch_k, 42) >> 16) * (chance_draw(touch_k, 42) >> 16) >> 16)
        * (chance_draw(touch_k, 43) >> 16) * 37 >> 16 AS BIGINT) + 20 + step * 400 + chance_pick(k, 44, 300)) AS ts,
    u, adv, item, step, adv * 6 + chance_pick(k, 45, 6), halo,
    CASE WHEN step = 2 THEN 1 + chance_pick(k, 46, 5) // 3 ELSE 0 END,
    step = 2 AND chance_hits(CAST(u AS UBIGINT) * 8 + adv, 47, 6200)
FROM kept
"""


class Facts:
    """Makes and keeps the data of a database.

    :param connection: a DuckDB connection; its database is filled.
    :param seed: seed of the data.
    :param scale: a name of :data:`SCALES`.
    :raises ValueError: there is no such scale.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, seed: int, scale: str) -> None:
        if scale not in SCALES:
            raise ValueError(f"Unknown scale {scale!r}: use one of {', '.join(SCALES)}")
        self._connection = connection
        self._seed = seed
        self._per_day = SCALES[scale] / _DAYS
        self.users = max(50, int(SCALES[scale] * _USERS_PER_IMPRESSION))
        self._salt = mix(seed)
        self._quarters: set[int] = set()
        self._until: dt.date | None = None

    def create(self) -> None:
        """Create the macros, the tables and the dimensions that do not depend on time."""
        run = self._connection.execute
        for macro in MACROS:
            run(f"CREATE OR REPLACE MACRO {macro}")
        for table in (*DIMENSIONS, *FACTS):
            run(f"CREATE TABLE {table}")
        self._insert("d_target", world.target_rows(self._seed))
        self._insert("d_adv", world.advertiser_rows(self._seed))
        self._insert("d_asin", world.product_rows(self._seed))
        self._insert("d_device", [(index, *row) for index, row in enumerate(world.DEVICES)])
        self._insert("d_site", [(index, *row) for index, row in enumerate(world.SITES)])
        self._insert("d_place", [(index, *row) for index, row in enumerate(world.PLACES)])

    def _insert(self, table: str, rows: list[tuple[object, ...]]) -> None:
        marks = ", ".join("?" for _ in rows[0])
        values = ", ".join(f"({marks})" for _ in rows)
        self._connection.execute(f"INSERT INTO {table} VALUES {values}", [cell for row in rows for cell in row])

    def fill(self, first: dt.date, last: dt.date) -> None:
        """Make the rows of all days up to one; days that exist are not made again.

        :param first: the first day, when no day exists yet.
        :param last: the last day, inclusive.
        """
        start = first if self._until is None else self._until + dt.timedelta(days=1)
        if start > last:
            return
        days = [start + dt.timedelta(days=number) for number in range((last - start).days + 1)]
        for quarter in sorted({world.quarter_number(day) for day in days} - self._quarters):
            self._insert("d_ad", world.ad_rows(self._seed, quarter))
            self._quarters.add(quarter)
        self._connection.execute("DELETE FROM d_day")
        self._insert("d_day", [self._day(day) for day in days])
        self._make_events()
        self._until = last

    def _day(self, day: dt.date) -> tuple[object, ...]:
        number = (day - _EPOCH).days
        level = 90 + draw(number ^ self._salt, 5) % 21
        level += 8 if day.weekday() >= 5 else 0
        level += 25 if (day.month == 11 and day.day >= 15) or day.month == 12 else 0
        amount = max(1, round(self._per_day * level / 100))
        return day, number, world.quarter_number(day), min(amount, 65535), min(max(1, round(amount * 0.6)), 65535)

    def _make_events(self) -> None:
        users = {"users": self.users}

        def run(sql: str) -> None:
            self._connection.execute(sql, users if "$users" in sql else {})

        def keyed(count: str, salt: int) -> str:
            key = f"chance_mix((CAST(d.day_no AS UBIGINT) << 16 | r.i) + {mix(self._salt + salt)})"
            return f"(SELECT d.*, {key} AS k FROM d_day AS d, range(d.{count}) AS r(i)) AS d"

        template = "[0, 1, 1, 2, 2, 2, 1, 0][1 + chance_pick(k, 6, 8)]"
        adv = "[0, 1, 2, 3, 0, 1, 2, 0][1 + chance_pick(k, 5, 8)]"
        run(
            "INSERT INTO f_impression SELECT k, ts, u, ((quarter * 4 + adv) * 3 + template) * 4 + chance_pick(k, 7, 4) FROM"
            f" (SELECT k, quarter, {_MOMENT} AS ts, {adv} AS adv, {template} AS template, {_user('adv')} AS u"
            f" FROM {keyed('impressions', 1)})"
        )
        first = "(SELECT min(day) FROM d_day)"
        run(
            "INSERT INTO f_click SELECT k, ts, ts + to_milliseconds(1500 + chance_pick(k, 10, 60000)), u, ad FROM f_impression"
            f" WHERE ts >= {first} AND chance_hits(k, 11, [25, 60, 110][1 + (ad // 4) % 3])"
        )
        sponsored_template = "[0, 1, 1, 2, 2, 2, 3, 4, 4, 5][1 + chance_pick(k, 6, 10)]"
        run(
            "INSERT INTO f_sponsored SELECT k, ts, u, (adv * 6 + template) * 6 + chance_pick(k, 7, 6), 0 FROM"
            f" (SELECT k, {_MOMENT} AS ts, {adv} AS adv, {sponsored_template} AS template, {_user('adv')} AS u"
            f" FROM {keyed('sponsored', 2)})"
        )
        run(
            "INSERT INTO f_sponsored SELECT chance_mix(k + 1), ts + to_milliseconds(1200 + chance_pick(k, 10, 90000)), u,"
            f" target, 1 FROM f_sponsored WHERE kind = 0 AND ts >= {first}"
            " AND chance_hits(k, 11, [420, 700, 330, 260, 120, 5][1 + (target // 6) % 6])"
        )
        touches = (
            ("SELECT 0 AS touch, k AS touch_k, ts AS touch_ts, ts AS shown_ts, u, (ad // 12) % 4 AS adv, ad AS item,"
             f" [120, 260, 420][1 + (ad // 4) % 3] AS share FROM f_impression WHERE ts >= {first}"),
            ("SELECT 1 AS touch, k AS touch_k, click_ts AS touch_ts, ts AS shown_ts, u, (ad // 12) % 4 AS adv, ad AS item,"
             f" 3000 AS share FROM f_click WHERE ts >= {first}"),
            ("SELECT CASE WHEN kind = 1 THEN 3 ELSE 2 END AS touch, k AS touch_k, ts AS touch_ts, ts AS shown_ts, u,"
             " target // 36 AS adv, target AS item, CASE WHEN kind = 1 THEN 3500"
             f" WHEN (target // 6) % 6 = 4 THEN 200 ELSE 20 END AS share FROM f_sponsored WHERE ts >= {first}"),
        )  # fmt: skip
        for touch in touches:
            run(_CONVERSIONS.replace("FROM touches", f"FROM ({touch}) AS touches"))
