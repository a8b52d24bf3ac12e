"""Rows in the binary form of PostgreSQL's COPY, which the server reads in half the time that it takes for CSV."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pyarrow as pa

from airflow_provider_amc.landing.reader import record_batches

if TYPE_CHECKING:
    from airflow_provider_amc.client.results import ExecutionResults


def has_binary_form(schema: pa.Schema) -> bool:
    """Can rows of these columns be sent in binary form? ``pgpq`` has to be installed, and has no decimals of 256 bits."""
    return find_spec("pgpq") is not None and not any(pa.types.is_decimal256(kind) for kind in schema.types)


def binary_rows(results: ExecutionResults, schema: pa.Schema) -> Generator[bytes]:
    """The rows of a result in binary form, a batch at a time.

    :param results: the result files.
    :param schema: their columns.
    :raises AmcResultError: the result is not what it was announced to be.
    """
    import pgpq

    # PostgreSQL has no integer of one byte, and pgpq makes a character of it.
    sent = pa.schema([field.with_type(pa.int16()) if field.type == pa.int8() else field for field in schema])
    encoder = pgpq.ArrowToPostgresBinaryEncoder(sent)
    yield encoder.write_header()
    with closing(record_batches(results, schema)) as batches:
        for batch in batches:
            # The encoder keeps few rows until more come. To a stream, an empty chunk would be the end.
            if chunk := encoder.write_batch(batch.cast(sent)):
                yield chunk
    yield encoder.finish()
