"""Whatever goes wrong between AMC and the store: what has landed is what lands when nothing does."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_amc.client import ExecutionResults
from airflow_provider_amc.exceptions import AmcResultError
from airflow_provider_amc.landing.land import land
from airflow_provider_amc.landing.object_storage import ObjectStore
from airflow_provider_amc.landing.source import ResultSource
from tests.client.scripted import FakeTime, Reply, ScriptedServer
from tests.client.test_results import Store as ResultHost
from tests.landing.results import FakeResults
from tests.landing.test_s3 import execution

HEADER = b"id,cost\n"
FILES = [
    HEADER + b"".join(b"%d,%d.25\n" % (10**17 + 10_000 * file + row, row) for row in range(1500)) for file in range(3)
]
FORMATS = ["csv", "csv.gz", "parquet"]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    scripted = ScriptedServer()
    yield scripted
    scripted.stop()


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()


def store_in(folder: Path) -> ObjectStore:
    return ObjectStore(ObjectStoragePath(f"file://{folder}"), "reach/")


def landed(folder: Path) -> dict[str, Any]:
    """All objects, and the manifest without the time of its writing and the folder."""
    found: dict[str, Any] = {path.name: path.read_bytes() for path in (folder / "reach").iterdir()}
    if "_manifest.json" in found:
        manifest = json.loads(found["_manifest.json"])
        del manifest["written_at"]
        found["_manifest.json"] = json.loads(json.dumps(manifest).replace(str(folder), ""))
    return found


def land_in(store: Any, results: Any, file_format: str, execution_id: str = "e-1") -> None:
    source = ResultSource(execution(workflowExecutionId=execution_id), results, "reach", "amcone", None)
    land(store, source, file_format)


def undisturbed(folder: Path, file_format: str, execution_id: str = "e-1") -> dict[str, Any]:
    land_in(store_in(folder), FakeResults(*FILES), file_format, execution_id)
    return landed(folder)


class Disturbed:
    """Result files that come through a faulty host."""

    def __init__(self, server: ScriptedServer, time: FakeTime, contents: Sequence[bytes] = FILES) -> None:
        self.host = ResultHost(server, *contents)
        self.results = ExecutionResults(
            "e-1", self.host.urls, base_url=server.url, timeout=(2.0, 5.0), sleep=time.sleep, clock=time.clock
        )


def cut_at_every_percent(host: ResultHost) -> None:
    # Some of the cuts come to each of the files that are read side by side.
    host.interruptions = [len(FILES[0]) // 100] * 297


def expired_at_once(host: ResultHost) -> None:
    host.interruptions = [Reply(403, b"<Code>AccessDenied</Code>"), None, Reply(403, b"")]


def expired_inside(host: ResultHost) -> None:
    host.interruptions = [5000, 7000, 9000, *[Reply(403, b"")] * 3]


def no_ranges(host: ResultHost) -> None:
    host.ranges = False
    host.interruptions = [1000, 20_000, 100, 30_000, None]


def outage(host: ResultHost) -> None:
    host.interruptions = [Reply(503, b""), Reply(429, b""), Reply(fault="reset"), Reply(fault="close"), 100, 200, 300]


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("fault", [cut_at_every_percent, expired_at_once, expired_inside, no_ranges, outage])
def test_what_lands_after_a_fault_is_what_lands_without_one(
    server: ScriptedServer,
    fake_time: FakeTime,
    tmp_path: Path,
    fault: Callable[[ResultHost], None],
    file_format: str,
) -> None:
    disturbed = Disturbed(server, fake_time)
    fault(disturbed.host)
    land_in(store_in(tmp_path / "a"), disturbed.results, file_format)
    assert landed(tmp_path / "a") == undisturbed(tmp_path / "b", file_format)


@pytest.mark.parametrize("file_format", FORMATS)
def test_an_answer_that_is_cut_and_looks_whole(
    server: ScriptedServer, fake_time: FakeTime, tmp_path: Path, file_format: str
) -> None:
    """A host between that corrects the length of what it has cut."""
    disturbed = Disturbed(server, fake_time, FILES[:1])
    stated = {"Content-Range": f"bytes 0-{len(FILES[0]) - 1}/{len(FILES[0])}", "ETag": '"etag-0"'}
    disturbed.host.interruptions = [Reply(206, FILES[0][:1000], stated)]
    land_in(store_in(tmp_path / "a"), disturbed.results, file_format)
    land_in(store_in(tmp_path / "b"), FakeResults(FILES[0]), file_format)
    assert landed(tmp_path / "a") == landed(tmp_path / "b")


@pytest.mark.parametrize("file_format", FORMATS)
def test_compressed_files_land_as_others_do(
    server: ScriptedServer, fake_time: FakeTime, tmp_path: Path, file_format: str
) -> None:
    contents = [gzip.compress(FILES[0]), FILES[1], gzip.compress(FILES[2][:9000]) + gzip.compress(FILES[2][9000:])]
    disturbed = Disturbed(server, fake_time, contents)
    disturbed.host.interruptions = [100, 1000, 3000, 50, 60, 70]
    land_in(store_in(tmp_path / "a"), disturbed.results, file_format)
    assert landed(tmp_path / "a") == undisturbed(tmp_path / "b", file_format)


def changed_inside(host: ResultHost) -> None:
    host.interruptions = [5000, Reply(412, b"")] * 3


def another_host(host: ResultHost) -> None:
    host.interruptions = [None, Reply(302, b"", {"Location": "http://example.com/x"})]


def another_header(host: ResultHost) -> None:
    host.contents[2] = b"id,price\n1,2.00\n"


def no_header(host: ResultHost) -> None:
    host.contents[1] = FILES[1].removeprefix(HEADER)


def row_cut_in_the_object(host: ResultHost) -> None:
    host.contents[1] = FILES[1] + b"100000000000000001"


def quote_left_open(host: ResultHost) -> None:
    host.contents[0] = FILES[0] + b'"1'


def gzip_cut_in_the_object(host: ResultHost) -> None:
    host.contents[2] = gzip.compress(FILES[2])[:-10]


def empty(host: ResultHost) -> None:
    host.contents[0] = b""


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("execution_id", ["e-1", "e-2"])
@pytest.mark.parametrize(
    "fault",
    [
        changed_inside,
        another_host,
        another_header,
        no_header,
        row_cut_in_the_object,
        quote_left_open,
        gzip_cut_in_the_object,
        empty,
    ],
)
def test_what_cannot_be_read_whole_changes_nothing(
    server: ScriptedServer,
    fake_time: FakeTime,
    tmp_path: Path,
    fault: Callable[[ResultHost], None],
    execution_id: str,
    file_format: str,
) -> None:
    before = undisturbed(tmp_path, file_format)
    disturbed = Disturbed(server, fake_time)
    fault(disturbed.host)
    with pytest.raises(AmcResultError):
        land_in(store_in(tmp_path), disturbed.results, file_format, execution_id)
    after = landed(tmp_path)
    # Landing the same execution again may have written some of its parts again, with the same bytes.
    assert after == before


class Killed(BaseException):
    """The worker is gone."""


class Mortal:
    """A store that does so many steps and no more; each read of a part is one."""

    def __init__(self, store: ObjectStore, steps: int) -> None:
        self._store = store
        self._left = steps
        self.folder = store.folder

    def _step(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise Killed

    def address(self, name: str = "") -> str:
        return self._store.address(name)

    def sizes(self) -> Mapping[str, int]:
        self._step()
        return self._store.sizes()

    def read(self, name: str) -> bytes:
        self._step()
        return self._store.read(name)

    def write(self, name: str, content: BinaryIO) -> None:
        outer = self

        class Content:
            def read(self, size: int) -> bytes:
                outer._step()
                return content.read(4096)

        self._store.write(name, Content())  # type: ignore[arg-type]
        self._step()

    def write_small(self, name: str, content: bytes) -> None:
        self._step()
        self._store.write_small(name, content)
        self._step()

    def delete(self, names: Sequence[str]) -> None:
        self._step()
        for name in names:
            self._store.delete([name])
            self._step()


def check_followed(folder: Path) -> str:
    """Follow the manifest, as a reader does; tell whose result it is."""
    objects = landed(folder)
    manifest = objects["_manifest.json"]
    for file in manifest["files"]:
        assert hashlib.sha256(objects[file["name"]]).hexdigest() == file["sha256"]
    assert sum(file["rows"] for file in manifest["files"]) == manifest["rows"]
    return str(manifest["workflow_execution_id"])


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("execution_id", ["e-1", "e-2"])
def test_killed_between_any_two_steps(tmp_path: Path, file_format: str, execution_id: str) -> None:
    before = undisturbed(tmp_path / "before", file_format)
    whole = undisturbed(tmp_path / "whole", file_format, execution_id)
    owners = []
    for steps in range(1000):
        folder = tmp_path / str(steps)
        assert undisturbed(folder, file_format) == before
        try:
            land_in(Mortal(store_in(folder), steps), FakeResults(*FILES), file_format, execution_id)
        except Killed:
            owners.append(check_followed(folder))
        else:
            break
        land_in(store_in(folder), FakeResults(*FILES), file_format, execution_id)
        assert landed(folder) == whole
    assert landed(folder) == whole
    # The earlier one up to a step, the new one from then on.
    assert owners == sorted(owners)
    assert len(owners) > 10
    assert set(owners) == {"e-1", execution_id}
