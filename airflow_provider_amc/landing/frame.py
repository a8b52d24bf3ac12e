"""A result as a pandas DataFrame with the types that AMC announced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from airflow_provider_amc.landing.reader import record_batches
from airflow_provider_amc.landing.schema import arrow_schema

if TYPE_CHECKING:
    from airflow_provider_amc.client.models import OutputColumn
    from airflow_provider_amc.client.results import ExecutionResults

_NULLABLE: dict[pa.DataType, object] = {
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
    pa.string(): pd.StringDtype(),
}


def read_frame(columns: Sequence[OutputColumn], results: ExecutionResults) -> pd.DataFrame:
    """Read a whole result into memory.

    Whole numbers and booleans become pandas' nullable types, decimals stay exact (Arrow-backed), text is ``string``,
    dates and timestamps are ``datetime64``; a missing cell is missing in each of them.

    :param columns: the execution's ``outputColumns``.
    :param results: its result files.
    """
    schema = arrow_schema(columns)
    table = pa.Table.from_batches(record_batches(results, schema), schema=schema)
    # pandas takes types by name, and a result may repeat one: convert under positional names, then put ours back.
    positional = table.rename_columns([str(position) for position in range(table.num_columns)])
    frame: pd.DataFrame = positional.to_pandas(types_mapper=_pandas_type, date_as_object=False)
    frame.columns = pd.Index(schema.names)
    return frame


def _pandas_type(kind: pa.DataType) -> object:
    if pa.types.is_decimal(kind):
        return pd.ArrowDtype(kind)
    return _NULLABLE.get(kind)
