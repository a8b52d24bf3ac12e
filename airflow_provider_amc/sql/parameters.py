"""Parameters of a workflow: ``CUSTOM_PARAMETER('name')`` and its typed values (AMC documentation, "Create workflow").

Values never become SQL by pasting: each is converted to its declared type and written as a quoted literal with a cast.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from airflow_provider_amc.sql.coerce import Value, quote_text
from airflow_provider_amc.sql.errors import AmcSqlError
from airflow_provider_amc.sql.types import SqlType, array_of, parse_type, to_duckdb


@dataclass(frozen=True)
class Parameter:
    """A declared parameter.

    :param name: its name; case matters.
    :param type: its type.
    :param default: its ``defaultValue``, ``None`` when it has none.
    """

    name: str
    type: SqlType
    default: object = None


def _declared_type(declaration: Mapping[str, object]) -> SqlType:
    data_type = declaration.get("dataType") or "STRING"
    try:
        if isinstance(data_type, Mapping):
            if str(data_type.get("type", "")).upper() == "ARRAY":
                return array_of(parse_type(str(data_type.get("elementDataType") or "STRING")))
            return parse_type(str(data_type.get("type")))
        return parse_type(str(data_type))
    except ValueError:
        raise AmcSqlError(
            f"The workflow parameter {declaration.get('name')} has the unknown data type {data_type}."
        ) from None


def declared(declarations: Sequence[Mapping[str, object]]) -> dict[str, Parameter]:
    """Read the ``inputParameters`` of a workflow.

    :param declarations: objects with ``name``, ``dataType``, ``defaultValue``.
    :returns: the parameters by name.
    :raises AmcSqlError: a parameter has no name, is declared twice, or has an unknown type.
    """
    found: dict[str, Parameter] = {}
    for declaration in declarations:
        name = declaration.get("name")
        if not isinstance(name, str) or not name:
            raise AmcSqlError("A workflow parameter has no name.")
        if name in found:
            raise AmcSqlError(f"The workflow parameter {name} is defined multiple times")
        found[name] = Parameter(name, _declared_type(declaration), declaration.get("defaultValue"))
    return found


def _scalar_text(value: object, wanted: SqlType) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError
    text = str(value)
    if wanted.kind == "BOOLEAN" and text.lower() not in ("true", "false"):
        raise ValueError
    if wanted.is_integer:
        return str(int(text.strip()))
    if wanted.is_number:
        number = Decimal(text.strip())
        if not number.is_finite():
            raise ValueError
        return str(number)
    if wanted.kind == "DATE":
        return dt.date.fromisoformat(text.strip()[:10]).isoformat()
    if wanted.kind == "TIMESTAMP":
        moment = dt.datetime.fromisoformat(text.strip())
        if moment.tzinfo is not None:
            moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
        return moment.isoformat(sep=" ")
    return text


def value_of(parameter: Parameter, values: Mapping[str, object]) -> Value:
    """The value of a parameter as an expression.

    :param parameter: the parameter.
    :param values: the ``parameterValues`` of an execution. A parameter that is not among them takes its default.
    :returns: a typed expression.
    :raises AmcSqlError: there is neither value nor default, or the value is not of the declared type.
    """
    value = values.get(parameter.name)
    if value is None:
        value = parameter.default
    if value is None:
        raise AmcSqlError(f"No value was provided for the parameter {parameter.name}, which has no default value.")
    wanted = parameter.type
    try:
        if wanted.kind == "ARRAY":
            element = wanted.element or parse_type("STRING")
            parts = list(value) if isinstance(value, list | tuple) else str(value).split(",")
            items = [quote_text(_scalar_text(part, element)) for part in parts]
            return Value(f"CAST([{', '.join(items)}] AS {to_duckdb(wanted)})", wanted)
        if isinstance(value, list | tuple | dict):
            raise ValueError
        text = _scalar_text(value, wanted)
        if wanted.kind == "STRING":
            return Value(quote_text(text), wanted, text=text)
        return Value(f"CAST({quote_text(text)} AS {to_duckdb(wanted)})", wanted)
    except (ValueError, InvalidOperation):
        raise AmcSqlError(f"The value of the parameter {parameter.name} is not of its data type {wanted}.") from None


def unknown_value_of(parameter: Parameter) -> Value:
    """A stand-in while a workflow is only checked and no values are known: NULL of the declared type."""
    return Value(f"CAST(NULL AS {to_duckdb(parameter.type)})", parameter.type)
