from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem

from airflow_provider_amc.exceptions import AmcConfigurationError, AmcResultError
from airflow_provider_amc.landing.land import Store
from airflow_provider_amc.landing.object_storage import ObjectStore


class Committing(MemoryFileSystem):
    """Keeps a file back until it is committed, as the file systems of object stores do."""

    def _open(self, path: str, mode: str = "rb", *arguments: Any, autocommit: bool = True, **options: Any) -> Any:
        if mode == "wb" and not autocommit:
            return MemoryFile(self, path)
        return super()._open(path, mode, *arguments, **options)


class RemotePath:
    """What an :class:`ObjectStoragePath` of an object store is to the landing, of one that needs no network."""

    protocol = "memory"

    def __init__(self, path: str) -> None:
        self.path = path
        self.fs = Committing()

    def __str__(self) -> str:
        return f"memory:/{self.path}"


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "file":
        return ObjectStore(ObjectStoragePath(f"file://{tmp_path}/base/"), "a/b/")
    return ObjectStore(RemotePath(f"{tmp_path}/base"), "a/b/")  # type: ignore[arg-type]


def test_objects(store: Store) -> None:
    assert store.sizes() == {}
    store.write("one", io.BytesIO(bytes(3_000_000)))
    store.write_small("two", b"22")
    assert store.sizes() == {"one": 3_000_000, "two": 2}
    store.write_small("two", b"again")
    assert store.read("two") == b"again"
    store.delete(["one"])
    assert store.sizes() == {"two": 5}
    assert store.address("x").endswith("/base/a/b/x")
    assert store.folder.endswith("/base/a/b/")


@pytest.mark.parametrize("error", [AmcResultError("gave up"), KeyboardInterrupt()])
@pytest.mark.parametrize("before", [{}, {"one": b"old"}])
def test_an_object_is_whole_or_as_before(store: Store, error: BaseException, before: dict[str, bytes]) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if not self.tell():
                return super().read(size)
            # Half of it has been written.
            assert {name: store.read(name) for name in store.sizes() if name == "one"} == before
            raise error

    for name, content in before.items():
        store.write_small(name, content)
    with pytest.raises(type(error)) as caught:
        store.write("one", Broken(bytes(5_000_000)))
    assert caught.value is error
    assert {name: store.read(name) for name in store.sizes()} == before


def test_lists_are_not_remembered(tmp_path: Path) -> None:
    class Remembering(MemoryFileSystem):
        forgot = 0

        def invalidate_cache(self, path: str | None = None) -> None:
            self.forgot += 1

    path = RemotePath("/x")
    path.fs = Remembering(skip_instance_cache=True)
    ObjectStore(path, "a/").sizes()  # type: ignore[arg-type]
    assert path.fs.forgot == 1


def test_a_storage_that_airflow_cannot_reach() -> None:
    with pytest.raises(AmcConfigurationError, match=r"Install the provider of that storage .* Nothing was written"):
        ObjectStore.at("unheard-of://bucket/x", None, "a/")


def test_a_disk_keeps_no_other_file(tmp_path: Path) -> None:
    store = ObjectStore(ObjectStoragePath(f"file://{tmp_path}"), "a/")
    store.write_small("one", json.dumps({}).encode())
    with pytest.raises(ZeroDivisionError):
        store.write("two", _Failing())
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["one"]


class _Failing(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        raise ZeroDivisionError
