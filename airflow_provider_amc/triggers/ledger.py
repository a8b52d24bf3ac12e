"""Which executions of a workflow have been told already: the high-water mark of who watches it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.client.times import INVISIBLE_SECONDS, parse_time

if TYPE_CHECKING:
    from airflow_provider_amc.client.models import Execution

#: How far before its start a watch looks for executions that are on their way: one may be queued, and run for a day.
_BEFORE = timedelta(days=2)

#: An execution that is on its way for longer does not keep the mark back any more.
_LONGEST = timedelta(days=3)

#: The clocks of AMC and of the triggerer may differ by so much.
_CLOCKS = timedelta(hours=1)


class Ledger:
    """Tells each execution once, when it has finished.

    The mark is a creation time, and not the time of the last end: executions do not end in the order of their creation.
    All that were created since the mark and have ended are known by their ids.

    :param since: the mark.
    :param told: executions created since that have ended, with their creation times.
    :param began: what had ended before is not told; ``None`` for a ledger that goes on.
    """

    def __init__(self, since: datetime, told: dict[str, datetime], began: datetime | None = None) -> None:
        self.since, self._told, self._began = since, told, began

    @classmethod
    def new(cls, now: datetime) -> Ledger:
        """A ledger of what ends from now on.

        :param now: the time.
        """
        # AMC tells whole seconds.
        return cls(now - _BEFORE, {}, now.replace(microsecond=0))

    @classmethod
    def read(cls, kept: object) -> Ledger | None:
        """Go on with what :meth:`kept` gave.

        :param kept: what was kept; ``None`` is given for anything else.
        """
        if not isinstance(kept, Mapping) or not isinstance(kept.get("told"), Mapping):
            return None
        since = parse_time(kept.get("since"))
        if since is None:
            return None
        return cls(since, {str(one): parse_time(at) or since for one, at in kept["told"].items()})

    def kept(self) -> dict[str, Any]:
        """What goes on after a restart, as plain values."""
        told = {one: at.isoformat() for one, at in sorted(self._told.items())}
        return {"since": self.since.isoformat(), "told": told}

    def take(self, executions: list[Execution], now: datetime) -> list[Execution]:
        """Take what the list shows since the mark, and move the mark.

        :param executions: all that were created since the mark, oldest first.
        :param now: the time.
        :returns: those that have to be told, oldest first.
        """
        ended = [one for one in executions if one.is_finished and one.workflow_execution_id not in self._told]
        new = [one for one in ended if not self._is_old(one)]
        self._told.update((one.workflow_execution_id, one.create_time or now) for one in ended)
        self._began = None
        self._move_on(executions, now)
        return new

    def _is_old(self, execution: Execution) -> bool:
        ended = execution.last_updated_time or execution.create_time
        return self._began is not None and ended is not None and ended < self._began

    def _move_on(self, executions: list[Execution], now: datetime) -> None:
        coming = (one.create_time or now for one in executions if not one.is_finished)
        oldest = min((at for at in coming if at >= now - _LONGEST), default=now)
        # What was created a moment ago may not be on the list yet.
        mark = min(oldest - timedelta(seconds=INVISIBLE_SECONDS), now - _CLOCKS)
        self.since = max(self.since, mark)
        self._told = {one: at for one, at in self._told.items() if at >= self.since}
