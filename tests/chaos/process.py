"""A process: what makes requests, and may die before each of its steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


class Died(BaseException):
    """The process is dead: it does nothing any more."""


@dataclass
class Process:
    """What makes requests: the try of a task, or a triggerer.

    :param name: for messages.
    :param deeds: what befalls it, by the number of the step before which it does.
    """

    name: str
    deeds: dict[int, Callable[[], None]] = field(default_factory=dict)
    alive: bool = True
    #: When it will be killed for good, seconds since the epoch.
    dies_at: float | None = None
    steps: int = 0
    #: Where it was last.
    place: str = ""
    #: Calls that a fault hit, and when.
    hurt: list[tuple[float, str]] = field(default_factory=list)
    #: The task instance that it works for, if it is a try.
    owner: Any = None

    def step(self, place: str) -> None:
        """Come to a place; every one is a moment to die.

        :raises Died: it is dead.
        """
        if self.alive and self.dies_at is not None and time.time() >= self.dies_at:
            self.alive = False
        if not self.alive:
            raise Died(place)
        self.steps += 1
        self.place = place
        deed = self.deeds.pop(self.steps, None)
        if deed is not None:
            deed()

    def hurt_since(self, moment: float) -> bool:
        """Has a fault hit one of its calls since then?"""
        return any(when >= moment for when, _ in self.hurt)

    def die(self) -> None:
        """End at once, with nothing tidied up."""
        self.alive = False
        raise Died(self.place)
