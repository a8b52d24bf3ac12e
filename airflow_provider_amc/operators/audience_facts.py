"""What is known of rule-based and lookalike audiences: the rules of their queries, and what AMC tells of one.

Facts: AMC API documentation, "Rule-based audiences".
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.exceptions import AmcValidationError

if TYPE_CHECKING:
    from airflow_provider_amc.client.audiences import Audience

#: Fewest users of a rule-based audience, and the borders of the seed of a lookalike audience.
FEWEST_USERS = 2_000
LOOKALIKE_SEED = (500, 500_000)

#: Days after which AMC deactivates an audience that is not refreshed.
_DAYS_WITHOUT_REFRESH = 30


def audience_facts(audience: Audience) -> dict[str, Any]:
    """What there is to know of an audience that AMC has made, as plain values.

    :param audience: the audience.
    :returns: ``audience_count``, ``dsp_audience_id``, ``refresh_rate_days``, ``last_refreshed``, ``next_refresh`` and
        ``deactivation``: when AMC refreshes or deactivates it next, as ISO dates; ``None`` for what does not come or is not
        known.
    """
    made, days = audience.last_refreshed_time or audience.create_time, audience.refresh_rate_days
    coming = None
    if made is not None and days is not None:
        coming = f"{made + timedelta(days=days or _DAYS_WITHOUT_REFRESH):%Y-%m-%d}"
    return {
        "audience_count": audience.audience_count,
        "dsp_audience_id": audience.dsp_audience_id,
        "refresh_rate_days": days,
        "last_refreshed": audience.last_refreshed_time.isoformat() if audience.last_refreshed_time else None,
        "next_refresh": coming if days else None,
        "deactivation": None if days else coming,
    }


def told_future(facts: dict[str, Any]) -> str:
    """Say when an audience is refreshed or deactivated.

    :param facts: of :func:`audience_facts`.
    """
    if facts["next_refresh"]:
        return f"it will be refreshed about {facts['next_refresh']}"
    if facts["deactivation"]:
        return f"it is not refreshed, and will be deactivated about {facts['deactivation']}"
    return "when it is refreshed next is not known"


def check_audience_tables(sql: str) -> None:
    """Check that a query reads the tables of audiences.

    :param sql: the query.
    :raises AmcValidationError: it names none of them.
    """
    from airflow_provider_amc.sql.audience import audience_tables

    if not audience_tables(sql):
        raise AmcValidationError(
            "The query of an audience has to read the tables of audiences, whose names end in _for_audiences, such as "
            "dsp_impressions_for_audiences. It names none of them."
        )
