"""Record batches: the identifiers in them replaced by their hashes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_amc.exceptions import AmcValidationError
from airflow_provider_amc.identity.hashing import hashed
from airflow_provider_amc.identity.kinds import COUNTRIES, IdentityKind, country_of
from airflow_provider_amc.identity.normalize import normalized
from airflow_provider_amc.identity.text import as_text

_NAMES = ", ".join(COUNTRIES)


def hash_identities(
    batch: pa.RecordBatch,
    fields: Mapping[str, IdentityKind | str],
    *,
    country: str | None = None,
    country_column: str | None = None,
    first_row: int = 1,
) -> pa.RecordBatch:
    """Normalise the identifiers of a batch and replace them by their hashes.

    Each batch stands for itself, so a stream of any length takes the memory of one batch. Other columns are left as they
    are. An identifier that has nothing in it to match by becomes NULL, never the hash of an empty text: more NULLs than
    before tell how many there were.

    :param batch: rows, with identifiers as text.
    :param fields: the columns to hash, and what is in each, for example ``{"mail": "EMAIL"}``.
    :param country: two-letter code of the country of all rows, or of those whose ``country_column`` is NULL.
    :param country_column: column with the two-letter code of each row's country.
    :param first_row: number of the batch's first row, for errors that name a row.
    :returns: the same rows.
    :raises AmcValidationError: a column is missing or no text, or a row has no country with rules although a field
        needs one (ADDRESS, PHONE, STATE, ZIP). The message names column and row, and no value.
    """
    kinds = {name: IdentityKind.of(kind) for name, kind in fields.items()}
    by_country: dict[str, pa.Array] = {}
    if any(kind.needs_country for kind in kinds.values()):
        by_country = _rows_by_country(batch, country, country_column, first_row)
    for name, kind in kinds.items():
        values = _text(batch, name, first_row)
        if kind.needs_country:
            parts = [(_hashes(kind, values.take(rows), iso), rows) for iso, rows in by_country.items()]
            values = _in_order(parts, len(batch))
        else:
            values = _hashes(kind, values, "")
        index = batch.schema.get_field_index(name)
        field = batch.schema.field(index).with_type(pa.string()).with_nullable(True)
        batch = batch.set_column(index, field, values)
    return batch


def _text(batch: pa.RecordBatch, name: str, first_row: int) -> pa.Array:
    at = batch.schema.get_all_field_indices(name)
    if len(at) != 1:
        count = f"{len(at)} columns" if at else "no column"
        raise AmcValidationError(
            f"The rows have {count} {name!r}; they have {', '.join(map(repr, batch.schema.names))}."
        )
    try:
        return as_text(batch.column(at[0]), first_row)
    except AmcValidationError as error:
        raise AmcValidationError(f"Column {name!r}: {error.message}") from None


def _hashes(kind: IdentityKind, values: pa.Array, country: str) -> pa.Array:
    """Both steps for each distinct value once."""
    distinct = values.dictionary_encode()
    return hashed(normalized(kind, distinct.dictionary, country)).take(distinct.indices)


def _rows_by_country(
    batch: pa.RecordBatch, country: str | None, column: str | None, first_row: int
) -> dict[str, pa.Array]:
    """The numbers of the rows of each country."""
    iso = country_of(country)
    if country is not None and iso is None:
        raise AmcValidationError(f"There are no rules for the country {country!r}, only for {_NAMES}.")
    if column is None:
        if iso is None:
            raise AmcValidationError(f"Name the country of the rows, or the column that has it: one of {_NAMES}.")
        return {iso: pa.array(np.arange(len(batch)))}
    codes = pc.fill_null(_text(batch, column, first_row), iso or "").dictionary_encode()
    found = pa.array([country_of(code) for code in codes.dictionary.to_pylist()], pa.string())
    countries = found.take(codes.indices)
    if countries.null_count:
        row = first_row + pc.index(countries.is_null(), True).as_py()
        raise AmcValidationError(f"Column {column!r}, row {row}: no country with rules. There are rules for {_NAMES}.")
    return {name: pc.indices_nonzero(pc.equal(countries, name)) for name in pc.unique(countries).to_pylist()}


def _in_order(parts: list[tuple[pa.Array, pa.Array]], rows: int) -> pa.Array:
    """Put the values of some countries back to where their rows are."""
    if len(parts) == 1:
        return parts[0][0]
    order = np.empty(rows, dtype=np.int64)
    start = 0
    for values, at in parts:
        order[at.to_numpy()] = np.arange(start, start + len(values))
        start += len(values)
    return pa.concat_arrays([pa.nulls(0, pa.string()), *(values for values, _ in parts)]).take(pa.array(order))
