"""Tables that tell the same events in more detail: by segment, with video events, with users who saw no ad."""

from __future__ import annotations

from dataclasses import replace

from airflow_provider_amc.emulator.data import world
from airflow_provider_amc.emulator.data.conversions import CONVERSIONS
from airflow_provider_amc.emulator.data.dsp import IMPRESSIONS, segment_ids
from airflow_provider_amc.emulator.data.tabledata import TableData

_IDS = "[" + ", ".join(str(number) for number, _ in world.SEGMENTS) + "]"
_NAMES = "[" + ", ".join(f"'{name}'" for _, name in world.SEGMENTS) + "]"
_NAME = f"{_NAMES}[list_position({_IDS}, f.segment)]"
# Retargeting reaches users for what they did, not for a segment; other ads are matched to two segments of the user
_MATCHES = "CASE WHEN (i.ad // 4) % 3 = 2 THEN [] ELSE {}[:2] END"


def _by_segment(segments: str, matched: str) -> TableData:
    return replace(
        IMPRESSIONS,
        rows=f"(SELECT i.*, unnest({segments}) AS segment FROM f_impression AS i WHERE i.u IS NOT NULL) AS f",
        columns={
            **IMPRESSIONS.columns,
            "behavior_segment_id": "f.segment",
            "behavior_segment_name": _NAME,
            "behavior_segment_description": f"'Users of the segment ' || {_NAME}",
            "behavior_segment_matched": matched,
        },
        audience_where="",
    )


BY_USER_SEGMENTS = _by_segment(
    segment_ids("i.u"),
    f"CASE WHEN list_contains({IMPRESSIONS.columns['matched_behavior_segment_ids']}, f.segment) THEN 1 ELSE 0 END",
)
BY_MATCHED_SEGMENTS = _by_segment(_MATCHES.format(segment_ids("i.u")), "1")


def _watched(share: int) -> str:
    """Who saw a later point of a video saw the earlier ones, too."""
    return f"CASE WHEN chance_hits(f.k, 120, {share}) THEN 1 ELSE 0 END"


def _did(salt: int, share: int) -> str:
    return f"CASE WHEN chance_hits(f.k, {salt}, {share}) THEN 1 ELSE 0 END"


VIDEO = replace(
    IMPRESSIONS,
    rows="f_impression AS f",
    where="(f.ad // 4) % 3 = 0",
    columns={
        **IMPRESSIONS.columns,
        "video_impression": "1",
        "video_creative_view": "1",
        "video_start": _watched(9700),
        "video_first_quartile": _watched(9000),
        "video_midpoint": _watched(8200),
        "video_third_quartile": _watched(7600),
        "video_complete": _watched(7000),
        "video_click": "CASE WHEN f.clicked THEN 1 ELSE 0 END",
        "video_mute": _did(121, 500),
        "video_unmute": _did(122, 450),
        "video_pause": _did(123, 600),
        "video_resume": _did(123, 500),
        "video_replay": _did(124, 150),
        "video_skip_backward": _did(125, 150),
        "video_skip_forward": _did(126, 200),
    },
    audience_where="",
)

# Users who saw no ad have numbers beyond those of all users who may see one.
_EVERYONE = """(
    SELECT k, ts, u, adv, step, asin, units, ntb, TRUE AS exposed FROM f_conversion
    UNION ALL
    SELECT CAST(chance_mix(k + 3) AS UBIGINT) + 4294967296, ts + to_seconds(chance_pick(k, 130, 86400)), u + 100000000, adv, step, asin, units, ntb, FALSE
    FROM f_conversion WHERE step <> 3 AND chance_hits(k, 131, 8000)
) AS f"""

CONVERSIONS_ALL = replace(
    CONVERSIONS,
    rows=_EVERYONE,
    columns={
        **CONVERSIONS.columns,
        "conversion_event_source": CONVERSIONS.columns["conversion_event_source_name"],
        "event_source": "CASE WHEN f.step = 3 THEN 'PIXEL' ELSE 'AMAZON' END",
        "exposure_type": "CASE WHEN f.step = 3 THEN 'pixel' WHEN f.exposed THEN 'ad-exposed' ELSE 'non-ad-exposed' END",
        "marketplace_id": "CASE WHEN f.step <> 3 THEN 1 END",
        "sns_subscription_id": (
            f"CASE WHEN {CONVERSIONS.columns['event_subtype']} = 'snsSubscription' THEN upper(md5('sns-' || $seed || '-' || f.k)) END"
        ),
    },
)  # fmt: skip
