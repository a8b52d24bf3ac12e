"""Connections that die before a chosen step, as those of a worker do that is killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Killed(BaseException):
    """The end of a process: no handler of errors gets to do anything after it."""


class Life:
    """Counts the steps of a load, and ends it before one of them.

    :param steps: how many steps it lives for; ``None`` for all.
    :param end: ends it from outside, before the next step; the step finds out by itself.
    """

    def __init__(self, steps: int | None = None, end: Callable[[], None] | None = None) -> None:
        self._left = steps
        self._end = end
        self.taken: list[str] = []
        self.dead = False

    @property
    def ended_from_outside(self) -> bool:
        """Whether its end was the work of the server."""
        return self._end is not None

    def step(self, name: str) -> None:
        """Live through a step, or die before it."""
        if self.dead or self._left == len(self.taken):
            if self._end is None:
                self.dead = True
                raise Killed(name)
            if not self.dead:
                self.dead = True
                self._end()
        self.taken.append(name)


class Mortal:
    """Stands for a connection or a cursor: each call that reaches the database is a step.

    :param inner: the real one.
    :param life: shared by a connection and its cursors.
    """

    STEPS = ("execute", "executemany", "copy", "copy_expert", "commit", "begin", "register")

    def __init__(self, inner: Any, life: Life) -> None:
        self._inner = inner
        self._life = life

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name == "cursor":
            return lambda *arguments, **named: Mortal(found(*arguments, **named), self._life)
        if name == "rollback":
            return self._rollback
        return self._counted(name, found) if name in self.STEPS else found

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("_inner", "_life"):
            super().__setattr__(name, value)
        else:
            setattr(self._inner, name, value)

    def _counted(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            statement = str(arguments[0]) if arguments else ""
            self._life.step(f"{name} {statement[:60]}")
            found = method(*arguments, **named)
            return self if found is self._inner else found

        return counted

    def _rollback(self) -> None:
        # A dead process sends nothing: what is left open, the database rolls back when the connection ends.
        if self._life.dead and not self._life.ended_from_outside:
            raise Killed("rollback")
        self._inner.rollback()


@contextmanager
def lasting(hook: Any, steps: int | None = None, *, end: Callable[[], None] | None = None) -> Iterator[Life]:
    """Give a hook connections that die after some steps; see :class:`Life`."""
    life = Life(steps, end)
    connect = hook.get_conn
    hook.get_conn = lambda: Mortal(connect(), life)
    try:
        yield life
    finally:
        hook.get_conn = connect
