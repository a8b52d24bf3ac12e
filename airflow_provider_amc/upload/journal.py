"""What a task sends in parts, and which of them AMC has accepted, kept in S3.

A worker can die between any two calls. The parts are written before the first of them is sent, so that another try sends
the same; and every acceptance is written down at once, so that it is clear what was sent. Only a part that was under way at
that moment can be sent twice. What is kept is hashed.

Below the prefix lie, for each round: its parts, ``_round.json`` written after all of them, and an empty object for each
accepted part that has AMC's id in its name: one listing tells everything.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from airflow_provider_amc.exceptions import AmcLoadError

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

_KEY = re.compile(r"round-(\d+)/(?:(_round\.json)|sent/(\d+)\.(.+))")


@dataclass
class Round:
    """Parts that belong together.

    :param number: number of the round, from 0.
    :param parts: how many there are.
    :param items: how many items are in them.
    :param facts: what was found out while they were written.
    :param accepted: AMC's ids of those it has accepted, by number of the part.
    """

    number: int
    parts: int
    items: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    accepted: dict[int, str] = field(default_factory=dict)


class Journal:
    """The parts of one task run in S3.

    :param hook: S3 hook.
    :param bucket: where.
    :param prefix: key prefix that nothing else uses, with a slash at its end.
    """

    def __init__(self, hook: S3Hook, bucket: str, prefix: str) -> None:
        self._hook, self._bucket, self._prefix = hook, bucket, prefix

    def rounds(self) -> list[Round]:
        """The rounds whose parts have all been written."""
        whole: list[int] = []
        accepted: dict[int, dict[int, str]] = {}
        for key in self._keys():
            match = _KEY.fullmatch(key.removeprefix(self._prefix))
            if match and match[2]:
                whole.append(int(match[1]))
            elif match:
                accepted.setdefault(int(match[1]), {})[int(match[3])] = unquote(match[4])
        return [self._round(number, accepted.get(number, {})) for number in sorted(whole)]

    def write(
        self, number: int, parts: Iterable[Sequence[Mapping[str, Any]]], facts: Callable[[], Mapping[str, Any]] = dict
    ) -> Round:
        """Write the parts of a round, which is there when all of them are.

        :param number: number of the round.
        :param parts: the parts.
        :param facts: gives what to remember of them, called after the last one.
        """
        count = items = 0
        try:
            for count, part in enumerate(parts, start=1):
                items += len(part)
                lines = "".join(f"{json.dumps(one, separators=(',', ':'))}\n" for one in part)
                self._put(self._part(number, count - 1), gzip.compress(lines.encode(), 1, mtime=0))
        except Exception:
            self._delete([key for key in self._keys() if key.startswith(f"{self._prefix}round-{number:02d}/")])
            raise
        found = dict(facts())
        kept = {"parts": count, "items": items, "facts": found}
        self._put(f"round-{number:02d}/_round.json", json.dumps(kept).encode())
        return Round(number, count, items, found)

    def part(self, number: int, part: int) -> list[dict[str, Any]]:
        """Read a part.

        :param number: number of the round.
        :param part: number of the part.
        """
        return [json.loads(line) for line in gzip.decompress(self._get(self._part(number, part))).splitlines()]

    def accept(self, of: Round, part: int, known_as: str) -> None:
        """Write down that AMC has accepted a part.

        :param of: its round.
        :param part: number of the part.
        :param known_as: AMC's id of it.
        """
        self._put(f"round-{of.number:02d}/sent/{part:05d}.{quote(known_as, safe='')}", b"")
        of.accepted[part] = known_as

    def clear(self) -> None:
        """Delete everything."""
        self._delete(self._keys())

    def _round(self, number: int, accepted: dict[int, str]) -> Round:
        kept = json.loads(self._get(f"round-{number:02d}/_round.json"))
        return Round(number, int(kept["parts"]), int(kept["items"]), kept["facts"], accepted)

    def _part(self, number: int, part: int) -> str:
        return f"round-{number:02d}/part-{part:05d}.jsonl.gz"

    def _keys(self) -> list[str]:
        return self._hook.list_keys(self._bucket, prefix=self._prefix) or []

    def _put(self, name: str, body: bytes) -> None:
        self._hook.load_bytes(body, f"{self._prefix}{name}", self._bucket, replace=True)

    def _delete(self, keys: list[str]) -> None:
        if keys:
            self._hook.delete_objects(self._bucket, keys)

    def _get(self, name: str) -> bytes:
        body: bytes = self._hook.get_key(f"{self._prefix}{name}", self._bucket).get()["Body"].read()
        return body


def in_parts(
    items: Iterable[Mapping[str, Any]], size: int, *, nothing: str | None = None
) -> Iterator[list[Mapping[str, Any]]]:
    """Cut into parts.

    :param items: what to cut.
    :param size: most in a part.
    :param nothing: what to say when there is nothing to cut, if that is an error.
    :raises AmcLoadError: there is nothing.
    """
    count = 0
    part: list[Mapping[str, Any]] = []
    for one in items:
        count += 1
        part.append(one)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part
    if not count and nothing:
        raise AmcLoadError(nothing)
