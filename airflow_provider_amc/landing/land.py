"""Lands a result in a store: parts first, several at once, then the manifest, and what is out of date goes last."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Protocol, TypeVar

from airflow_provider_amc.exceptions import AmcLoadError
from airflow_provider_amc.landing.files import (
    PART,
    LandedFile,
    Unwanted,
    check_format,
    open_part,
    part_name,
)
from airflow_provider_amc.landing.manifest import MANIFEST, Landing, files_of, manifest_of, read_manifest
from airflow_provider_amc.landing.schema import arrow_schema

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_provider_amc.client.results import ResultFile
    from airflow_provider_amc.landing.source import ResultSource

log = logging.getLogger(__name__)

#: Files that are landed at the same time. Each holds some tens of megabytes; compressing keeps a core busy.
_AT_ONCE = {"csv": 4, "csv.gz": 2, "parquet": 2}

Item = TypeVar("Item")
Made = TypeVar("Made")


class Store(Protocol):
    """One folder of an object store. An object that is written is there whole, or as it was before."""

    @property
    def folder(self) -> str:
        """What stands before the names of objects in their keys; ends in a slash."""
        ...

    def address(self, name: str = "") -> str:
        """Address of an object, or of the folder."""
        ...

    def sizes(self) -> Mapping[str, int]:
        """Bytes of all objects in the folder, by name."""
        ...

    def read(self, name: str) -> bytes:
        """Read a small object."""
        ...

    def write(self, name: str, content: io.BufferedIOBase) -> None:
        """Write an object in place of the one that may be there."""
        ...

    def write_small(self, name: str, content: bytes) -> None:
        """Write an object that is in memory."""
        ...

    def delete(self, names: Sequence[str]) -> None:
        """Delete objects."""
        ...


def land(store: Store, source: ResultSource, file_format: str) -> Landing:
    """Write a result to a store.

    A landing of the same workflow and window replaces an earlier one. The parts of a new execution have new names, so
    that the earlier landing can be read until the new manifest takes the place of its own, in one step; then its parts
    are deleted. Landing the same execution again writes the same objects again. Whenever this is cut off, a reader who
    follows the manifest finds a whole result, and doing it again gives the same as if nothing had happened.

    :param store: the folder of the workflow and window.
    :param source: the result.
    :param file_format: ``csv``, ``csv.gz`` or ``parquet``.
    :raises AmcResultError: a file could not be read whole, or does not fit ``outputColumns``.
    :raises AmcLoadError: the result of another instance has landed there, or the store does not hold what was written.
    :raises AmcPrivacyLossError: AMC has hidden more of the result than may be.

    Whichever of them it is, an earlier landing stays as it was.
    """
    check_format(file_format)
    schema = arrow_schema(source.execution.output_columns)
    _check_names(schema, file_format)
    before = store.sizes()
    manifest = read_manifest(store.read(MANIFEST)) if MANIFEST in before else {}
    _check_owner(manifest, store.address(), source.instance_id)
    delivered = source.results.files()
    execution_id = source.execution.workflow_execution_id
    names = {file.index: part_name(execution_id, file.index, file_format) for file in delivered}
    try:
        files = _write_parts(store, delivered, names, schema, file_format)
        if source.meter is not None:
            # Of files that are read side by side, nobody else knows when all have been.
            source.meter.finish()
        found = store.sizes()
        _check_sizes(files, found, store.address())
    except Exception:
        _tidy(store, [name for name in names.values() if name not in files_of(manifest)])
        raise
    landing = Landing(store.address(), store.folder, files)
    store.write_small(MANIFEST, json.dumps(manifest_of(landing, source, file_format), indent=2).encode())
    left_over = sorted(name for name in found if name.startswith(PART) and name not in names.values())
    if left_over:
        log.info("Deleting %s parts of an earlier landing", len(left_over))
        store.delete(left_over)
    return landing


def _write_parts(
    store: Store, files: Sequence[ResultFile], names: Mapping[int, str], schema: pa.Schema, file_format: str
) -> tuple[LandedFile, ...]:
    failed = threading.Event()

    def write(file: ResultFile) -> LandedFile:
        with open_part(file, schema, file_format, names[file.index], lambda: not failed.is_set()) as part:
            store.write(part.name, part)
            landed = part.landed()
        log.info("Wrote %s: %s rows, %s bytes", store.address(landed.name), landed.rows, landed.bytes)
        return landed

    return tuple(_at_once(write, files, _AT_ONCE[file_format], failed))


def _at_once(make: Callable[[Item], Made], items: Iterable[Item], most: int, failed: threading.Event) -> list[Made]:
    """Make something of each item, several at a time; the first failure ends them all."""
    with ThreadPoolExecutor(most, "amc-land") as pool:
        begun = [pool.submit(make, item) for item in items]
        try:
            wait(begun, return_when=FIRST_EXCEPTION)
        finally:
            # Also when the task is killed: what is on its way must not go on.
            if not all(one.done() and not one.cancelled() and one.exception() is None for one in begun):
                failed.set()
                pool.shutdown(wait=True, cancel_futures=True)
    errors = [error for one in begun if not one.cancelled() and (error := one.exception()) is not None]
    for error in [*(error for error in errors if not isinstance(error, Unwanted)), *errors]:
        raise error
    return [one.result() for one in begun]


def _check_names(schema: pa.Schema, file_format: str) -> None:
    repeated = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if repeated and file_format == "parquet":
        raise AmcLoadError(
            f"The result has several columns named {', '.join(repeated)}, which readers of Parquet refuse. Give them "
            "different aliases in the query, or land the result as csv."
        )


def _check_owner(manifest: Mapping[str, object], place: str, instance_id: str | None) -> None:
    owner = manifest.get("instance_id")
    if owner and instance_id and owner != instance_id:
        raise AmcLoadError(
            f"{place} holds the result of the AMC instance {owner}; that of {instance_id} would replace it. Put the "
            "instance into the prefix or path, for example 'amc/instance={{ task.instance_id }}'. Nothing was written."
        )


def _check_sizes(files: Iterable[LandedFile], found: Mapping[str, int], place: str) -> None:
    differing = [file.name for file in files if found.get(file.name) != file.bytes]
    if differing:
        raise AmcLoadError(
            f"{place} does not hold what was written to {', '.join(differing)}: another task may be landing the same "
            "workflow and window. Let one run at a time. The manifest was not changed."
        )


def _tidy(store: Store, names: Sequence[str]) -> None:
    """Delete what a failed landing has written; readers who list the folder would take it for rows."""
    try:
        written = sorted(set(names) & set(store.sizes()))
        if written:
            store.delete(written)
    except Exception as error:
        # What matters is why the landing failed. The next one deletes them.
        log.warning("Could not delete the parts of the failed landing in %s: %s", store.address(), type(error).__name__)
