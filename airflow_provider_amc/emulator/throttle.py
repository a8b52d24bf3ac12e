"""Limits of calls, as token buckets.

Amazon's limits are token buckets that differ by API and change with the load; of AMC's it publishes those of rule-based
and lookalike audiences alone: 5 calls a second to create (5 at once), 5 a second to read (10 at once) (AMC API
documentation, "Rule-based audiences" and "Rate limiting"). The buckets fill in virtual time.
"""

from __future__ import annotations

import math

from airflow_provider_amc.emulator.errors import ApiError, failure

#: Calls a second, and calls at once, by a group of operations.
_LIMITS = {"create": (5.0, 5), "read": (5.0, 10)}
_GROUPS = {
    "createQueryBasedAudience": "create",
    "createLookalikeAudience": "create",
    "getAllQueryBasedAudiencesByInstanceId": "read",
    "getQueryBasedAudienceByAudienceExecutionId": "read",
}


class Throttle:
    """Counts calls and refuses those that are too many.

    :param mode: ``off`` refuses none, ``retry_after`` tells in a refusal when to come back, ``bare`` does not.
    """

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._buckets: dict[str, tuple[float, float]] = {}

    def clear(self) -> None:
        """Fill all buckets."""
        self._buckets.clear()

    def refusal(self, operation: str, now: float) -> ApiError | None:
        """Count a call.

        :param operation: id of the operation.
        :param now: virtual time in seconds.
        :returns: the refusal, if there are too many.
        """
        group = _GROUPS.get(operation)
        if self._mode == "off" or group is None:
            return None
        rate, most = _LIMITS[group]
        left, since = self._buckets.get(group, (float(most), now))
        left = min(float(most), left + max(0.0, now - since) * rate)
        refused = left < 1.0
        self._buckets[group] = (left if refused else left - 1.0, now)
        if not refused:
            return None
        wait = {"Retry-After": str(math.ceil((1.0 - left) / rate))} if self._mode == "retry_after" else {}
        return failure(429, operation, wait)
