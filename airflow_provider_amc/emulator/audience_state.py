"""The state of one rule-based or lookalike audience, as the emulator remembers it and as the API shows it.

Facts: Amazon's OpenAPI file of the rule-based audiences; AMC API documentation, "Rule-based audiences".
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

from airflow_provider_amc.emulator.clock import zulu
from airflow_provider_amc.emulator.progress import Progress

RULE_BASED, LOOKALIKE = "RULE_BASED", "LOOKALIKE"
_STAGES = ("PENDING", "RUNNING")
_DAY = 86_400.0
#: An audience that is never refreshed is deactivated after so long.
DEACTIVATION_SECONDS = 30 * _DAY
#: Members for each user of the seed. How many AMC finds is not known; these only keep the order of the reaches.
REACHES = {"MOST_SIMILAR": 5, "SIMILAR": 10, "BALANCED": 20, "BROAD": 50, "MOST_BROAD": 100}


@dataclass
class Outcome:
    """What a run of the query found.

    :param users: users it selected that can be reached.
    :param failure: why there is no audience.
    :param refresh: number of the refresh, 0 for the first run.
    """

    users: int = 0
    failure: str | None = None
    refresh: int = 0


@dataclass
class QueryAudience:
    """An audience. Times are epoch seconds of virtual time.

    :param definition: the fields of the request that its answers repeat.
    :param sql: the query, its own or that of the workflow.
    :param parameters: declarations of the query's parameters.
    :param created: when it was first asked for.
    :param progress: how far it is.
    :param outcome: what the query found, ``None`` until it has run.
    :param attempt: how often it was asked for, counted by updates.
    """

    id: str
    instance_id: str
    kind: str
    definition: dict[str, Any]
    sql: str
    input_schema: str | None
    parameters: list[dict[str, Any]]
    window: tuple[float, float]
    refresh_days: int
    created: float
    progress: Progress
    outcome: Outcome | None = None
    attempt: int = 0

    @classmethod
    def load(cls, body: dict[str, Any]) -> QueryAudience:
        """Read back what :meth:`dump` wrote, also by an older version."""
        known = {item.name for item in fields(cls)}
        audience = cls(**{name: value for name, value in body.items() if name in known})
        audience.progress = Progress.load(body["progress"])
        audience.window = (float(body["window"][0]), float(body["window"][1]))
        audience.outcome = Outcome(**body["outcome"]) if body["outcome"] else None
        return audience

    def dump(self) -> dict[str, Any]:
        """The audience as JSON values."""
        return asdict(self)

    def status(self, now: float) -> tuple[str, str | None]:
        """Status and its reason."""
        stage = self.progress.stage(now, _STAGES)
        if stage is not None:
            return stage, None
        if self.outcome is None:
            return _STAGES[-1], None
        failure = self.outcome.failure or self.progress.failure
        if failure is not None:
            return "FAILED", failure
        if not self.refresh_days and now >= self.progress.ends + DEACTIVATION_SECONDS:
            return "DEACTIVATED", "The audience is not refreshed and was deactivated after 30 days."
        return "SUCCEEDED", None

    # -- refreshes -----------------------------------------------------------------------------------------------------
    @property
    def moves(self) -> bool:
        """Does its window move with each refresh?"""
        return bool(self.definition["timeWindowRelative"])

    def refreshes(self, now: float) -> int:
        """How many refreshes were due by now."""
        if not self.refresh_days or self.status(now)[0] != "SUCCEEDED":
            return 0
        return max(0, math.floor((now - self.progress.ends) / (self.refresh_days * _DAY)))

    def window_of(self, refresh: int) -> tuple[float, float]:
        """The window that a refresh reads."""
        shift = refresh * self.refresh_days * _DAY if self.moves else 0.0
        return self.window[0] + shift, self.window[1] + shift

    # -- the API -------------------------------------------------------------------------------------------------------
    def to_api(self, now: float, version: int) -> dict[str, Any]:
        """The audience as the API gives it.

        :param now: the time.
        :param version: of the media type: 0 for ``v1``, 1 for ``v1.1``, 2 for ``v1.2``.
        """
        status, reason = self.status(now)
        given = dict(self.definition)
        newer = {
            name: given.pop(name, None)
            for name in (
                "advertiserType",
                "inputParameters",
                "parameterValues",
                "workflowId",
                "lookalikeAudienceExpectedReach",
            )
        }
        shown: dict[str, Any] = {
            "audienceExecutionId": self.id,
            "instanceId": self.instance_id,
            **given,
            "query": self.sql,
            "refreshRateDays": self.refresh_days,
            "createTime": _time(self.created),
            "status": status,
            "statusReason": reason,
        }
        there = status in ("SUCCEEDED", "DEACTIVATED") and self.outcome is not None
        if there and self.outcome is not None:
            # A window that moves is read anew first; otherwise every refresh finds the same
            done = self.outcome.refresh if self.moves else self.refreshes(now)
            shown["lastRefreshedTime"] = _time(self.progress.ends + done * self.refresh_days * _DAY)
            shown["dspAudienceId"] = self._number("dsp")
        if version >= 1:
            shown["audienceCount"] = self._members() if there else 0
            shown["dspCanonicalId"] = self._number("canonical") if there else None
        if version >= 2:
            shown.update(newer, audienceType=self.kind, no3pTrackers=True)
        return {name: value for name, value in shown.items() if value is not None}

    def _members(self) -> int:
        users = self.outcome.users if self.outcome is not None else 0
        return users * REACHES[self.definition["lookalikeAudienceExpectedReach"]] if self.kind == LOOKALIKE else users

    def _number(self, what: str) -> str:
        return str(int(hashlib.sha256(f"{what}:{self.id}".encode()).hexdigest()[:14], 16) + 10**17)


def _time(moment: float) -> str:
    return zulu(datetime.fromtimestamp(moment, UTC))
