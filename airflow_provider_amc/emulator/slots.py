"""How many executions run at a time: so many on an instance, and so many on the account (AMC FAQ: 10 and 200)."""

from __future__ import annotations

import heapq


class _Places:
    """Places that are free since some time or taken."""

    def __init__(self, count: int) -> None:
        self.left = count
        #: Since when the places are free that were taken before.
        self.freed: list[float] = []

    def since(self) -> float | None:
        """Since when a place is free; ``None`` when all are taken."""
        if self.left > len(self.freed):
            return 0.0
        return self.freed[0] if self.freed else None

    def take(self) -> None:
        if self.left == len(self.freed):
            heapq.heappop(self.freed)
        self.left -= 1

    def free(self, at: float) -> None:
        self.left += 1
        heapq.heappush(self.freed, at)


class Slots:
    """Gives executions the right to run, and remembers since when it is free again.

    A clock that jumps lets many executions end at once. Those that waited start when the ones before them ended, not
    when the emulator noticed it.

    :param on_instance: executions that run at a time on one instance.
    :param on_account: executions that run at a time on all of them.
    """

    def __init__(self, on_instance: int, on_account: int) -> None:
        self._on_instance = on_instance
        self._instances: dict[str, _Places] = {}
        self._account = _Places(on_account)

    def take(self, instance_id: str, ready: float) -> float | None:
        """Take a slot and tell when the execution starts; ``None`` when there is none.

        :param instance_id: the execution's instance.
        :param ready: when it could start, if there was nothing before it.
        """
        instance = self._instances.setdefault(instance_id, _Places(self._on_instance))
        here, anywhere = instance.since(), self._account.since()
        if here is None or anywhere is None:
            return None
        instance.take()
        self._account.take()
        return max(ready, here, anywhere)

    def free(self, instance_id: str, at: float) -> None:
        """Give a slot back.

        :param instance_id: the execution's instance.
        :param at: when it ended.
        """
        self._instances[instance_id].free(at)
        self._account.free(at)
