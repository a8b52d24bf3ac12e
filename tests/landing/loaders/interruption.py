"""A worker that dies between any two steps of a load, and what it talks to counted as steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock


class Killed(BaseException):
    """The worker is dead. Nothing that it would still do reaches anything."""


class Steps:
    """Counts steps; from a chosen one on, none succeeds.

    :param kill_at: number of the last step that is done, ``None`` for no end.
    """

    def __init__(self, kill_at: int | None = None) -> None:
        self.kill_at = kill_at
        self.names: list[str] = []

    def take(self, name: str, do: Callable[[], Any]) -> Any:
        if self.kill_at is not None and len(self.names) >= self.kill_at:
            raise Killed(name)
        self.names.append(name)
        return do()


class Meddling(Steps):
    """Something else happens before a step.

    :param step: name of the step; the first of these counts.
    :param meddle: what happens.
    """

    def __init__(self, step: str, meddle: Callable[[], Any]) -> None:
        super().__init__()
        self._step = step
        self._meddle: Callable[[], Any] | None = meddle

    def take(self, name: str, do: Callable[[], Any]) -> Any:
        if name == self._step and self._meddle is not None:
            meddle, self._meddle = self._meddle, None
            meddle()
        return super().take(name, do)


@contextmanager
def aws_calls_counted(steps: Steps) -> Iterator[None]:
    """Every request to AWS is a step."""
    from botocore.client import BaseClient

    real = BaseClient._make_api_call

    def call(self: Any, operation: str, parameters: Any) -> Any:
        return steps.take(operation, lambda: real(self, operation, parameters))

    with mock.patch.object(BaseClient, "_make_api_call", call):
        yield
