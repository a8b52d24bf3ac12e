"""A folder that Airflow's ObjectStoragePath reaches as a store of results: a disk, or an object store of any maker."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.exceptions import AmcConfigurationError
from airflow_provider_amc.landing.ahead import CHUNK

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

#: Protocols of disks, where a file that is written can be read half.
_DISKS = ("file", "local")


class ObjectStore:
    """A folder.

    :param base: the user's folder.
    :param folder: the folder below it, with a slash at its end.
    """

    def __init__(self, base: ObjectStoragePath, folder: str) -> None:
        self._base = base
        self._fs: Any = base.fs
        self.folder = f"{str(base.path).rstrip('/')}/{folder}"
        self._address = f"{str(base).rstrip('/')}/{folder}"

    @classmethod
    def at(cls, path: str, conn_id: str | None, folder: str) -> ObjectStore:
        """Find a folder by its address.

        :param path: address of the user's folder.
        :param conn_id: Airflow connection of the storage.
        :param folder: the folder below it, with a slash at its end.
        :raises AmcConfigurationError: Airflow has no file system for such an address.
        """
        from airflow.providers.common.compat.sdk import ObjectStoragePath

        try:
            return cls(ObjectStoragePath(path, conn_id=conn_id), folder)
        except (ImportError, ValueError) as error:
            raise AmcConfigurationError(
                f"Airflow cannot reach {path}: {error}. Install the provider of that storage with its file system, for "
                "example apache-airflow-providers-amazon[s3fs] for s3://. Nothing was written."
            ) from error

    def address(self, name: str = "") -> str:
        """Address of an object, or of the folder."""
        return f"{self._address}{name}"

    def sizes(self) -> Mapping[str, int]:
        """Bytes of all objects in the folder, by name."""
        # Some file systems remember lists, and other tasks write too.
        self._fs.invalidate_cache()
        try:
            entries = self._fs.ls(self.folder, detail=True)
        except FileNotFoundError:
            return {}
        return {str(entry["name"]).rsplit("/", 1)[-1]: entry["size"] for entry in entries if entry["type"] == "file"}

    def read(self, name: str) -> bytes:
        """Read a small object."""
        content: bytes = self._fs.cat_file(f"{self.folder}{name}")
        return content

    def write(self, name: str, content: io.BufferedIOBase) -> None:
        """Write an object, which appears when it is whole."""
        with self._new(name) as file:
            while chunk := content.read(CHUNK):
                file.write(chunk)
        self._tell(name)

    def write_small(self, name: str, content: bytes) -> None:
        """Write an object that is in memory."""
        with self._new(name) as file:
            file.write(content)
        self._tell(name)

    def delete(self, names: Sequence[str]) -> None:
        """Delete objects."""
        self._fs.rm([f"{self.folder}{name}" for name in names])

    @contextmanager
    def _new(self, name: str) -> Iterator[Any]:
        path = f"{self.folder}{name}"
        self._fs.makedirs(self.folder, exist_ok=True)
        if self._base.protocol in _DISKS:
            # Readers of tables pass over names that begin like this.
            beside = f"{self.folder}_{name}.tmp"
            try:
                with self._fs.open(beside, "wb") as file:
                    yield file
                os.replace(beside, path)
            except BaseException:
                with suppress(FileNotFoundError):
                    os.remove(beside)
                raise
            return
        file = self._fs.open(path, "wb", autocommit=False)
        try:
            yield file
            file.close()
            file.commit()
        except BaseException:
            # Closing it would put what has come so far in its place.
            with suppress(Exception):
                file.discard()
            with suppress(AttributeError):
                file.closed = True
            raise

    def _tell(self, name: str) -> None:
        from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

        get_hook_lineage_collector().add_output_asset(context=self._base, uri=self.address(name))
