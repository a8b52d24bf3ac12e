"""Result files on disk: one directory an execution, written aside and then moved into place.

AMC answers CSV with a header in every file; an empty result is a file with only the header (AMC API documentation,
"Get your results"). How many rows go into a file is not published and therefore a setting.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow

    from airflow_provider_amc.emulator.engine import OutputColumn

_CHUNK = 1 << 20


def write_result(
    rows: Iterator[pyarrow.RecordBatch],
    columns: tuple[OutputColumn, ...],
    directory: Path,
    *,
    name: str,
    rows_per_file: int,
    metadata: dict[str, Any],
) -> list[dict[str, Any]]:
    """Write a result and its metadata into a directory that appears at once, whole.

    :param rows: record batches, none of them empty.
    :param columns: the output columns.
    :param directory: where the files go; what is there is replaced.
    :param name: file name of the result without ``.csv``.
    :param rows_per_file: rows after which another file is begun.
    :param metadata: content of the metadata file.
    :returns: for each file ``name``, ``size`` in bytes, ``etag``, ``rows``, and ``kind`` (``result``, ``metadata``).
    """
    aside = directory.with_name(directory.name + ".partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        files = _write(rows, columns, aside, name=name, rows_per_file=rows_per_file, metadata=metadata)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    shutil.rmtree(directory, ignore_errors=True)
    aside.rename(directory)
    return files


def _write(
    rows: Iterator[pyarrow.RecordBatch],
    columns: tuple[OutputColumn, ...],
    aside: Path,
    *,
    name: str,
    rows_per_file: int,
    metadata: dict[str, Any],
) -> list[dict[str, Any]]:
    from airflow_provider_amc.emulator.csv import write_result_csv

    files: list[dict[str, Any]] = []
    for number, part in enumerate(_parts(rows, rows_per_file)):
        path = aside / (f"{name}.csv" if number == 0 else f"{name}-{number + 1:04d}.csv")
        count = write_result_csv(part, columns, path)
        files.append({"kind": "result", "rows": count, **_described(path)})
    if not files:
        path = aside / f"{name}.csv"
        write_result_csv(iter(()), columns, path)
        files.append({"kind": "result", "rows": 0, **_described(path)})
    path = aside / f"{name}-metadata.json"
    path.write_text(json.dumps(metadata, indent=1, sort_keys=True), encoding="utf-8")
    files.append({"kind": "metadata", "rows": 0, **_described(path)})
    return files


def _parts(batches: Iterator[Any], rows_per_file: int) -> Iterator[Iterator[Any]]:
    """Cut a stream of batches into streams of at most ``rows_per_file`` rows; each must be read before the next."""
    rest: list[Any] = []

    def one() -> Iterator[Any]:
        room = rows_per_file
        while room:
            batch = rest.pop() if rest else next(batches, None)
            if batch is None:
                return
            if batch.num_rows > room:
                rest.append(batch.slice(room))
                batch = batch.slice(0, room)
            room -= batch.num_rows
            yield batch

    while True:
        part = one()
        first = next(part, None)
        if first is None:
            return
        yield chain((first,), part)


def _described(path: Path) -> dict[str, Any]:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return {"name": path.name, "size": path.stat().st_size, "etag": f'"{digest.hexdigest()}"'}
