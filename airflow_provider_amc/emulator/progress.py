"""Work that takes its time: how far it is follows from virtual time alone, so nothing has to run for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Progress:
    """One piece of work from its request to its end.

    :param began: when it was asked for, epoch seconds of virtual time.
    :param seconds: how long it takes; 0 is over at the next look.
    :param failure: why it does not succeed, ``None`` if it does.
    """

    began: float
    seconds: float = 0.0
    failure: str | None = None

    @classmethod
    def load(cls, body: Mapping[str, Any]) -> Progress:
        """Read back what :meth:`dump` wrote."""
        return cls(float(body["began"]), float(body["seconds"]), body["failure"])

    def dump(self) -> dict[str, Any]:
        """The same as JSON values."""
        return asdict(self)

    @property
    def ends(self) -> float:
        """When it is over, epoch seconds of virtual time."""
        return self.began + self.seconds

    def over(self, now: float) -> bool:
        """Has it ended, well or not?"""
        return not self.seconds or now >= self.ends

    def stage(self, now: float, stages: Sequence[str]) -> str | None:
        """Which of its stages it is in, all of them equally long; ``None`` once it is over."""
        if self.over(now):
            return None
        part = max(0.0, now - self.began) / self.seconds
        return stages[min(int(part * len(stages)), len(stages) - 1)]
