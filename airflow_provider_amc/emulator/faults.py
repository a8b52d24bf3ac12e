"""Failures on order: what goes wrong next, and how often.

A fault is a JSON object: ``operation`` (an operation id such as ``getWorkflowExecution``, ``token``, ``results``, or
``*``), ``kind``, and the fields of its kind. It hits the calls of its operation after ``skip`` of them, ``times``
times (``null``: until it is cleared), each with ``probability``. Whether a call is hit depends on the seed, on the
fault's place in the order of orders, and on how many of its calls came before; calls of other operations change nothing.
"""

from __future__ import annotations

import json
import random
import re
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

#: Kinds, and what they do.
KINDS = {
    "status": "answer with `status`, `headers` and the text `reason`, without doing anything",
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
    "unknown_status": "executions, uploads, jobs and audiences of queries show the status `value`",
    "duration": "what the call begins (an execution, instance, upload, ...) takes `seconds` of virtual time",
    "fail": "what the call begins fails with `reason`; executions, uploads and jobs end as `value` (FAILED)",
    "invalid_records": "ManageAudienceV2: the first `records` records (1) of the job are invalid, with `reason`",
}
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
#: Largest number of an order: a hundred years in seconds.
_MOST = 3_155_760_000
_DEFAULT_STATUS = {"lost_answer": 504}
#: Operations that begin something that ends later, in lower case.
_BEGINNING = {
    "createworkflowexecution",
    "createinstance",
    "createadvertiserupdate",
    "createcollaborationidmappingtable",
    "refreshcollaborationidmappingtable",
    "createquerybasedaudience",
    "updatequerybasedaudiencebyaudienceexecutionid",
    "createlookalikeaudience",
    "createupload",
    "manageaudiencev2",
}
#: Kinds that are at home in a few operations, in lower case.
_ONLY = {
    "revoked": {"token"},
    "not_visible": {"createworkflowexecution"},
    "duration": {*_BEGINNING, "createuserdeletionrequest"},
    "fail": _BEGINNING,
    "invalid_records": {"manageaudiencev2"},
    "unknown_status": {
        *("createworkflowexecution", "getworkflowexecution", "listworkflowexecutions"),
        *("getupload", "listuploads", "manageaudiencestatusv2"),
        *("getallquerybasedaudiencesbyinstanceid", "getquerybasedaudiencebyaudienceexecutionid"),
    },
}
#: Kinds that change what a call does, and not how it is answered. One call can be hit by one of each.
_WITHIN = ("revoked", "not_visible", "unknown_status", "duration", "fail", "invalid_records")
#: Kinds after which nothing is done.
_PREVENTING = {"status", "token_expired", "terms", "reset"}
#: What the access token and the terms do not guard, so that these kinds cannot hit it.
_UNGUARDED = {"token", "authorize", "results", "unknown"}
_GUARDED_KINDS = {"token_expired", "terms"}


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
    records: int | None = None
    cut: bool = False
    value: str | None = None
    reason: str | None = None
    number: int = 0
    calls: int = 0
    hits: int = 0

    @classmethod
    def parse(cls, spec: Mapping[str, Any]) -> Fault:
        """Read and check a description.

        :raises FaultSpecError: naming the field that is wrong and what it may be.
        """
        if not isinstance(spec, Mapping):
            raise FaultSpecError(f"A fault is an object with operation and kind, not {spec!r}.")
        unknown = set(spec) - {name for name in cls.__dataclass_fields__ if name not in _COUNTED}
        if unknown:
            raise FaultSpecError(f"Unknown field {sorted(unknown)[0]!r} in a fault.")
        if not isinstance(spec.get("kind"), str) or spec["kind"] not in KINDS:
            raise FaultSpecError(f"kind must be one of {', '.join(KINDS)}, not {spec.get('kind')!r}.")
        fault = cls(**spec)
        if fault.status is None:
            fault.status = _DEFAULT_STATUS.get(fault.kind, 503)
        _check_number("status", fault.status, 300, 599)
        _check_number("times", fault.times, 1)
        _check_number("skip", fault.skip, 0)
        _check_number("seconds", fault.seconds, 0)
        _check_number("bytes", fault.bytes, 0)
        _check_number("records", fault.records, 1)
        _check_headers(fault.headers)
        _check_number("probability", fault.probability, 0, 1)
        fault.headers = {str(name): str(value) for name, value in fault.headers.items()}
        operation, cut = spec.get("operation", "*"), spec.get("cut", False)
        if not isinstance(operation, str) or not isinstance(cut, bool):
            raise FaultSpecError("operation must be the id of an operation, and cut true or false.")
        for name in ("value", "reason"):
            if not isinstance(getattr(fault, name), str | None):
                raise FaultSpecError(f"{name} must be a text, not {getattr(fault, name)!r}.")
        if fault.operation != "*" and not fault.can_hit(fault.operation):
            raise FaultSpecError(f"A fault of the kind {fault.kind} cannot hit {fault.operation}.")
        return fault

    def can_hit(self, operation: str) -> bool:
        """Is the kind of the fault at home in an operation?"""
        operation = operation.lower()
        if self.kind in _GUARDED_KINDS:
            return operation not in _UNGUARDED
        return operation in _ONLY.get(self.kind, {operation})

    def concerns(self, operation: str) -> bool:
        """Is a call of this operation one of mine?"""
        return self.operation.lower() in ("*", operation.lower()) and self.can_hit(operation)

    def strikes(self, seed: int) -> bool:
        """Count a call that concerns the fault, and tell whether it is hit."""
        self.calls += 1
        if self.calls <= self.skip:
            return False
        if self.probability >= 1.0:
            return True
        draw = random.Random(f"{seed}:fault:{self.number}:{self.calls}").random()  # noqa: S311 - reproducible on purpose
        return draw < self.probability


#: Fields that the emulator counts and an order cannot set.
_COUNTED = {"number", "calls", "hits"}


def _check_headers(headers: Any) -> None:
    if not isinstance(headers, Mapping):
        raise FaultSpecError(f"headers must be an object, not {headers!r}.")
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(str(name)) or not _HEADER_VALUE.fullmatch(str(value)):
            raise FaultSpecError(f"headers: {name!r}: {value!r} is no header of HTTP.")


def _check_number(name: str, value: Any, least: float, most: float = _MOST) -> None:
    if value is None and name in ("times", "seconds", "bytes", "records"):
        return
    whole = name not in ("seconds", "probability")
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or not least <= value <= most:
        limits = f"at least {least}" if most == _MOST else f"from {least} to {most}"
        raise FaultSpecError(f"{name} must be a number of {limits}, not {value!r}.")


class FaultBook:
    """The faults in force. Safe to use from several threads.

    :param seed: seed of faults that hit with a probability.
    :param kept: what ``keep`` was last called with, to go on from there.
    :param keep: called with the faults as JSON text whenever they change.
    """

    def __init__(self, seed: int = 7, kept: str | None = None, keep: Callable[[str], None] | None = None) -> None:
        self._seed = seed
        self._keep = keep
        self._lock = threading.Lock()
        self._known: frozenset[str] = frozenset()
        fields = Fault.__dataclass_fields__
        self._faults = [
            Fault(**{name: value for name, value in fault.items() if name in fields})
            for fault in json.loads(kept or "[]")
        ]
        self._ordered = max((fault.number for fault in self._faults), default=0)

    def know(self, operations: Collection[str]) -> None:
        """Refuse orders for other operations than these."""
        self._known = frozenset({*operations, "*", "unknown"})

    def add(self, spec: Mapping[str, Any]) -> Fault:
        """Order a fault.

        :raises FaultSpecError: when the description is wrong.
        """
        (fault,) = self.add_all([spec])
        return fault

    def add_all(self, specs: Collection[Mapping[str, Any]]) -> list[Fault]:
        """Order several faults, or none of them.

        :raises FaultSpecError: when one of the descriptions is wrong.
        """
        faults = [Fault.parse(spec) for spec in specs]
        names = {name.lower() for name in self._known}
        for fault in faults:
            if names and fault.operation.lower() not in names:
                raise FaultSpecError(
                    f"There is no operation {fault.operation!r}; there are {', '.join(sorted(self._known))}."
                )
        with self._lock:
            for fault in faults:
                self._ordered += 1
                fault.number = self._ordered
                self._faults.append(fault)
            self._changed()
        return faults

    def listed(self) -> list[dict[str, Any]]:
        """The faults that can still hit."""
        with self._lock:
            return [asdict(fault) for fault in self._faults]

    def clear(self) -> None:
        """Cancel them all."""
        with self._lock:
            self._faults.clear()
            self._ordered = 0
            self._changed()

    def take(self, operation: str) -> tuple[Fault | None, dict[str, Fault]]:
        """The faults that hit this call. The call counts for all it concerns.

        :returns: what happens to its answer, if anything: the fault ordered first; and by kind what changes inside it.
            Nothing changes inside a call that is not carried out.
        """
        with self._lock:
            concerned = [fault for fault in self._faults if fault.concerns(operation)]
            if not concerned:
                return None, {}
            striking = [fault for fault in concerned if fault.strikes(self._seed)]
            outer = next((fault for fault in striking if fault.kind not in _WITHIN), None)
            inner: dict[str, Fault] = {}
            if outer is None or outer.kind not in _PREVENTING or operation == "results":
                for fault in striking:
                    if fault.kind in _WITHIN:
                        inner.setdefault(fault.kind, fault)
            for fault in (*([outer] if outer is not None else []), *inner.values()):
                fault.hits += 1
                if fault.hits == fault.times:
                    self._faults.remove(fault)
            self._changed()
            return outer, inner

    def _changed(self) -> None:
        if self._keep is not None:
            self._keep(json.dumps([asdict(fault) for fault in self._faults]))
