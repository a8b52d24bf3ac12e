"""The scalar functions of AMC SQL, written in DuckDB.

Names and meanings are those of the AMC documentation, "AMC SQL functions" and "Supported expressions". A function that
is not in this table does not exist for a query, which also keeps DuckDB's own functions (files, settings) out of reach.
"""

from __future__ import annotations

# Each of these modules adds its functions to the table
from airflow_provider_amc.sql import array_functions, condition_functions, number_functions
from airflow_provider_amc.sql.date_functions import EXTRACT_UNITS, TRUNC_UNITS
from airflow_provider_amc.sql.signatures import FUNCTIONS, Function, FunctionArgumentError
from airflow_provider_amc.sql.text_functions import similar

__all__ = [
    "EXTRACT_UNITS",
    "FUNCTIONS",
    "TRUNC_UNITS",
    "Function",
    "FunctionArgumentError",
    "array_functions",
    "condition_functions",
    "number_functions",
    "similar",
]
