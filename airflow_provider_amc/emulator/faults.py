"""Failures on order: what goes wrong next, and how often.

A fault is a JSON object: ``operation`` (an operation id such as ``getWorkflowExecution``, ``token``, ``results``, or
``*``), ``kind``, and the fields of its kind. It hits the calls of its operation after ``skip`` of them, ``times``
times (``null``: until it is cleared), each with ``probability``.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

#: Kinds, and what they do.
KINDS = {
    "status": "answer with `status` and `headers`, without doing anything",
    "lost_answer": "do it, but answer 504, or cut the connection with `cut: true`",
    "delay": "wait `seconds` of real time, then do it",
    "reset": "reset the connection: before anything is done, or in mid-download of a result",
    "truncate": "announce the whole length, send half of the body (or `bytes` of it), close the connection",
    "wrong_length": "send half of the body (or `bytes` of it) and announce just that length",
    "slow": "spread the body over `seconds` of real time",
    "token_expired": "answer as if the access token had expired",
    "revoked": "answer the token call as if the user had revoked the permission",
    "terms": "answer that the terms and conditions are not accepted",
    "not_visible": "createWorkflowExecution: the new execution cannot be found for `seconds` of virtual time",
    "unknown_status": "executions show the status `value`",
    "duration": "createWorkflowExecution: the new execution runs for `seconds` of virtual time",
    "fail": "createWorkflowExecution: the new execution ends as `value` (FAILED) with `reason`",
}
_DEFAULT_STATUS = {"lost_answer": 504}


class FaultSpecError(ValueError):
    """The description of a fault is wrong."""


@dataclass
class Fault:
    """One ordered failure. The fields are those of the JSON object, see the module's text."""

    kind: str
    operation: str = "*"
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    times: int | None = 1
    skip: int = 0
    probability: float = 1.0
    seconds: float | None = None
    bytes: int | None = None
    cut: bool = False
    value: str | None = None
    reason: str | None = None
    hits: int = 0

    @classmethod
    def parse(cls, spec: Mapping[str, Any]) -> Fault:
        """Read and check a description.

        :raises FaultSpecError: naming the field that is wrong and what it may be.
        """
        if not isinstance(spec, Mapping):
            raise FaultSpecError(f"A fault is an object with operation and kind, not {spec!r}.")
        unknown = set(spec) - {name for name in cls.__dataclass_fields__ if name != "hits"}
        if unknown:
            raise FaultSpecError(f"Unknown field {sorted(unknown)[0]!r} in a fault.")
        if spec.get("kind") not in KINDS:
            raise FaultSpecError(f"kind must be one of {', '.join(KINDS)}, not {spec.get('kind')!r}.")
        fault = cls(**spec)
        if fault.status is None:
            fault.status = _DEFAULT_STATUS.get(fault.kind, 503)
        _check_number("status", fault.status, 400, 599)
        _check_number("times", fault.times, 1)
        _check_number("skip", fault.skip, 0)
        _check_number("seconds", fault.seconds, 0)
        _check_number("bytes", fault.bytes, 0)
        _check_number("probability", fault.probability, 0, 1)
        headers: Any = fault.headers
        if not isinstance(headers, Mapping):
            raise FaultSpecError(f"headers must be an object, not {headers!r}.")
        fault.headers = {str(name): str(value) for name, value in headers.items()}
        return fault

    def concerns(self, operation: str) -> bool:
        """Is a call of this operation one of mine?"""
        return self.operation == "*" or self.operation.lower() == operation.lower()


def _check_number(name: str, value: Any, least: float, most: float = float("inf")) -> None:
    if value is None and name in ("times", "seconds", "bytes"):
        return
    whole = name not in ("seconds", "probability")
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or not least <= value <= most:
        limits = f"at least {least}" if most == float("inf") else f"from {least} to {most}"
        raise FaultSpecError(f"{name} must be a number of {limits}, not {value!r}.")


class FaultBook:
    """The faults in force. Safe to use from several threads.

    :param seed: seed of faults that hit with a probability.
    """

    def __init__(self, seed: int = 7) -> None:
        self._seed = seed
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._random = random.Random(seed)  # noqa: S311 - reproducible on purpose

    def add(self, spec: Mapping[str, Any]) -> Fault:
        """Order a fault.

        :raises FaultSpecError: when the description is wrong.
        """
        fault = Fault.parse(spec)
        with self._lock:
            self._faults.append(fault)
        return fault

    def listed(self) -> list[dict[str, Any]]:
        """The faults that can still hit."""
        with self._lock:
            return [asdict(fault) for fault in self._faults]

    def clear(self) -> None:
        """Cancel them all."""
        with self._lock:
            self._faults.clear()
            self._random = random.Random(self._seed)  # noqa: S311

    def take(self, operation: str) -> Fault | None:
        """The fault that hits this call, if one does. Every call counts for ``skip`` of all faults it concerns."""
        with self._lock:
            for fault in self._faults:
                if not fault.concerns(operation):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                if fault.probability < 1.0 and self._random.random() >= fault.probability:
                    continue
                fault.hits += 1
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times == 0:
                        self._faults.remove(fault)
                return fault
            return None
