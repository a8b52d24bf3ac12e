"""Result files on disk: one directory an execution, written aside and then moved into place.

AMC answers CSV with a header in every file; an empty result is a file with only the header (AMC API documentation,
"Get your results"). How many rows go into a file is not published and therefore a setting; neither is the layout of the
metadata file, so docs/emulator.md describes ours.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow

    from airflow_provider_amc.emulator.csv import CsvFormat
    from airflow_provider_amc.emulator.engine import OutputColumn

_CHUNK = 1 << 20


def write_result(
    rows: Iterator[pyarrow.RecordBatch],
    columns: tuple[OutputColumn, ...],
    directory: Path,
    *,
    name: str,
    rows_per_file: int,
    style: CsvFormat,
    metadata: dict[str, Any],
) -> list[dict[str, Any]]:
    """Write a result and its metadata into a directory that appears at once, whole.

    :param rows: record batches, none of them empty.
    :param columns: the output columns.
    :param directory: where the files go; what is there is replaced.
    :param name: file name of the result without ``.csv``.
    :param rows_per_file: rows after which another file is begun.
    :param style: separator, quote and escape character of the result.
    :param metadata: content of the metadata file; the number of rows and the files are added.
    :returns: for each file ``name``, ``size`` in bytes, ``etag``, ``rows``, and ``kind`` (``result``, ``metadata``).
    """
    aside = directory.with_name(directory.name + ".partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        files = _write(rows, columns, aside, name, rows_per_file, style)
        files.append(_write_metadata(aside / f"{name}-metadata.json", metadata, files))
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
    name: str,
    rows_per_file: int,
    style: CsvFormat,
) -> list[dict[str, Any]]:
    from airflow_provider_amc.emulator.csv import CsvWriter

    files: list[dict[str, Any]] = []
    with closing(CsvWriter(columns, style)) as writer:
        for number, part in enumerate(_parts(rows, rows_per_file)):
            path = aside / (f"{name}.csv" if number == 0 else f"{name}-{number + 1:04d}.csv")
            count = writer.write(part, path)
            files.append({"kind": "result", "rows": count, **_described(path)})
        if not files:
            path = aside / f"{name}.csv"
            writer.write(iter(()), path)
            files.append({"kind": "result", "rows": 0, **_described(path)})
    return files


def _write_metadata(path: Path, metadata: dict[str, Any], files: list[dict[str, Any]]) -> dict[str, Any]:
    result = {
        "rowCount": sum(file["rows"] for file in files),
        "files": [{name: file[name] for name in ("name", "rows", "size")} for file in files],
    }
    path.write_text(json.dumps({**metadata, **result}, indent=1), encoding="utf-8")
    return {"kind": "metadata", "rows": 0, **_described(path)}


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
