"""How the planted journeys become rows: the SQL that makes the facts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from airflow_provider_amc.emulator.data import journeys, world
from airflow_provider_amc.emulator.data.audience import STEP
from airflow_provider_amc.emulator.data.journeys import FIRST_SPONSORED, PROFILES

#: Makes ``d_plan`` of the numbers that :func:`planned` packs: giving every cell would take longer than making the data
PLAN = """INSERT INTO d_plan
SELECT profile, slot, stage, first + n, n < clicks, n >= shown
FROM (
    SELECT w >> 30 AS profile, (w >> 26) & 15 AS slot, (w >> 24) & 3 AS stage, (w >> 18) & 63 AS first,
        (w >> 12) & 63 AS shown, w & 63 AS clicks, unnest(range(((w >> 12) & 63) + ((w >> 6) & 63))) AS n
    FROM (SELECT CAST(unnest(string_split(?, ',')) AS BIGINT) AS w)
)"""

_VALUE = re.compile(r"\$([a-z_]+)")
_HOURS = "[" + ", ".join(str(hour) for hour in world.HOURS) + "]"
# The users of the audiences, what they do, and a number for each journey
_JOURNEYS = f"""(
    SELECT *, chance_pick(j, 12, days - reserve - stages * stage_days + 1) AS start_day
    FROM (
        SELECT j.*, p.stages, p.reserve,
            greatest(1, (days - p.reserve) * (5 + chance_pick(j, 13, 36)) // (100 * p.stages)) AS stage_days
        FROM (
            SELECT a.q, a.adv, a.first, a.days, a.weekday, CAST((r.i * a.factor + a.shift) % $users AS INTEGER) AS u,
                CAST(a.adv * {PROFILES} + (r.i * {STEP} + a.turn) % {PROFILES} AS USMALLINT) AS profile,
                (CAST(a.q % 32 AS BIGINT) << 27) + (a.base + r.i) * {2 * journeys.EVENTS} + $salt AS j
            FROM d_audience AS a, range(a.size) AS r(i) WHERE a.q BETWEEN $from_q AND $to_q
        ) AS j JOIN d_profile AS p ON p.profile = j.profile
    )
)"""


def _events(rows: str, where: str = "TRUE") -> str:
    """Ad events with key, time and ad or target.

    Who converts sees the ads of a slot in some days of their own, early enough to convert in the quarter. The others
    see them at any time, but more on weekends and, in the last quarter of the year, before the holidays.

    :param rows: ``d_plan`` or ``d_convert``, which event of a journey it is about.
    :param where: condition on these rows, with the alias ``x``.
    """
    return f"""(
    SELECT *, make_timestamp(first + 1000 * (((day_draw * 24 + {_HOURS}[1 + (moment & 31)]) * 3600000)
            + (((moment >> 5) * 3600000) >> 27))) AS ts,
        item_base + ((k * item_count) >> 32) AS item
    FROM (
        SELECT *, CASE
                WHEN reserve > 0 THEN start_day + stage * stage_days + (((days_drawn & 65535) * stage_days) >> 16)
                WHEN ((weekday + any_day) % 7 < 4 AND days_drawn % 100 < 25)
                    OR (q % 4 = 3 AND any_day < 45 AND days_drawn % 100 < 45) THEN ((days_drawn >> 16) * days) >> 16
                ELSE any_day END AS day_draw
        FROM (
            SELECT *, ((days_drawn & 65535) * days) >> 16 AS any_day
            FROM (
                SELECT j.*, x.* EXCLUDE (profile), CAST(chance_mix(j + x.e) AS BIGINT) AS k,
                    CAST(chance_draw(j + x.e, 1) AS BIGINT) AS moment, CAST(chance_draw(j + x.e, 2) AS BIGINT) AS days_drawn,
                    CASE WHEN slot < {FIRST_SPONSORED} THEN ((q * 4 + adv) * 3 + slot) * 4
                        ELSE (adv * 6 + slot - {FIRST_SPONSORED}) * 6 END AS item_base,
                    CASE WHEN slot < {FIRST_SPONSORED} THEN 4 ELSE 6 END AS item_count
                FROM {_JOURNEYS} AS j JOIN {rows} AS x ON x.profile = j.profile WHERE {where}
            )
        )
    ) WHERE ts >= $start AND ts < $end
)"""


# When a DSP impression was clicked, and when a sponsored one, and the key of that click
_CLICKED = "ts + to_milliseconds(1500 + chance_pick(k, 14, 60000))"
_SPONSORED_CLICKED = "ts + to_milliseconds(1200 + chance_pick(k, 14, 90000))"
_CLICK_KEY = f"CAST(chance_mix(j + e + {journeys.EVENTS}) AS UINTEGER)"
_USER = "CASE WHEN NOT unknown THEN u END AS u"
# Has the user bought from the advertiser in the year before?
_BOUGHT = f"""EXISTS (
    SELECT 1 FROM d_audience AS b JOIN d_profile AS p
    ON p.profile = b.adv * {PROFILES} + (((t.u + $users - b.shift) * b.inverse) % $users * {STEP} + b.turn) % {PROFILES}
    WHERE p.buys AND b.adv = t.adv AND b.q BETWEEN t.q - 4 AND t.q - 1
        AND ((t.u + $users - b.shift) * b.inverse) % $users < b.size
)"""
STATEMENTS = (
    f"""INSERT INTO $store.f_impression SELECT k, ts, {_USER}, item, clicked FROM {_events("d_plan", f"x.slot < {FIRST_SPONSORED}")}
    ORDER BY ts, k""",
    f"""INSERT INTO $store.f_click SELECT k, ts, {_CLICKED} AS click_ts, {_USER}, item
    FROM {_events("d_plan", f"x.slot < {FIRST_SPONSORED} AND x.clicked")}
    ORDER BY click_ts, k""",
    f"""INSERT INTO $store.f_sponsored SELECT * FROM (
        SELECT k, ts, {_USER}, item, 0 FROM {_events("d_plan", f"x.slot >= {FIRST_SPONSORED}")}
        UNION ALL
        SELECT {_CLICK_KEY}, {_SPONSORED_CLICKED}, {_USER}, item, 1
        FROM {_events("d_plan", f"x.slot >= {FIRST_SPONSORED} AND x.clicked")}
    ) ORDER BY ts, k""",
    f"""INSERT INTO $store.f_conversion
    SELECT CAST(c_k AS UINTEGER), touch, touch_k, touch_ts, ts,
        -- A step comes minutes after the one before
        touch_ts + to_seconds(lag_from + chance_pick(j + chain, 43, lag_to - lag_from - 1800) + 20 + step * 400
            + chance_pick(j + chain * 4 + step, 44, 300)) AS converted_ts,
        u, adv, item, step, adv * 6 + (chance_pick(j + chain, 45, 6) + line) % 6, line > 0 OR chance_hits(j + chain, 41, 2500),
        CASE WHEN step = 2 THEN 1 + chance_pick(c_k, 46, 5) // 3 ELSE 0 END,
        step = 2 AND chance_hits(CAST(u AS UBIGINT) * 8 + adv, 47, 8000) AND NOT {_BOUGHT}
    FROM (
        SELECT *, chance_mix(j + c + $other_salt) AS c_k,
            CASE WHEN slot >= {FIRST_SPONSORED} THEN 2 ELSE 0 END + CASE WHEN clicked THEN 1 ELSE 0 END AS touch,
            CASE WHEN touch = 3 THEN {_CLICK_KEY} ELSE k END AS touch_k,
            CASE touch WHEN 1 THEN {_CLICKED} WHEN 3 THEN {_SPONSORED_CLICKED} ELSE ts END AS touch_ts
        FROM {_events("d_convert")}
    ) AS t ORDER BY converted_ts, c_k""",
)


def statements(values: Mapping[str, object]) -> Iterator[str]:
    """The statements that make the rows of some days, ready to run.

    :param values: what they name with a dollar sign.
    """
    for statement in STATEMENTS:
        yield _VALUE.sub(lambda match: str(values[match[1]]), statement)


def planned(seed: int) -> tuple[list[tuple[object, ...]], str, list[tuple[object, ...]]]:
    """The profiles: rows for ``d_profile``, what ``d_plan`` is made of, and rows for ``d_convert``."""
    known: list[tuple[object, ...]] = []
    slots: list[str] = []
    conversions: list[tuple[object, ...]] = []
    for adv in range(len(world.ADVERTISERS)):
        for number, profile in enumerate(journeys.profiles(seed, adv), start=adv * PROFILES):
            known.append((number, len(profile.path), profile.reserve, profile.kind == journeys.ORDER))
            firsts: list[int] = []
            e = 0
            for stage, slot in enumerate(profile.path):
                firsts.append(e)
                packed = (((number << 4 | slot) << 2 | stage) << 6 | e) << 6
                packed = ((packed | profile.shown[slot]) << 6 | profile.unknown[slot]) << 6 | profile.clicks[slot]
                slots.append(str(packed))
                e += profile.shown[slot] + profile.unknown[slot]
            rows = [(len(profile.path) - 1, step, line, 0, profile.lag) for step, line in profile.rows()]
            if profile.early:
                rows.append((0, 0, 0, 1, 0))
            for c, (stage, step, line, chain, lag) in enumerate(rows):
                slot = profile.path[stage]
                bounds = (0, *journeys.LAG_HOURS)[lag : lag + 2]
                conversions.append((
                    number, c, slot, stage, firsts[stage], step, line, chain, profile.clicks[slot] > 0,
                    *(bound * 3600 for bound in bounds),
                ))  # fmt: skip
    return known, ",".join(slots), conversions
