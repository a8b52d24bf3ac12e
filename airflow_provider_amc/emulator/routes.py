"""Which operation a request asks for.

A table of some thirty operations needs no web framework, and leaving it out halves the time until the emulator is up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from airflow_provider_amc.emulator.api import Operation


@dataclass(frozen=True)
class Route:
    """What a request asks for.

    :param operation: the operation, ``None`` when there is none for this method and path.
    :param parameters: the parameters of the path.
    :param known_path: is there an operation for this path, though for another method perhaps?
    """

    operation: Operation | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    known_path: bool = False


class Routes:
    """Finds operations.

    :param operations: all operations.
    """

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._by_length: dict[int, list[Operation]] = {}
        for operation in operations:
            self._by_length.setdefault(operation.path.count("/"), []).append(operation)

    def find(self, method: str, path: str) -> Route:
        """The operation of a request. A slash at the end of the path, which some clients send, changes nothing."""
        path = path.removesuffix("/")
        known = False
        for operation in self._by_length.get(path.count("/"), ()):
            match = operation.pattern.fullmatch(path)
            if match is None:
                continue
            if operation.method == method:
                return Route(operation, match.groupdict(), True)
            known = True
        return Route(known_path=known)
