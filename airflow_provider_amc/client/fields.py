"""Fields of AMC's answers, read tolerantly: what is missing or odd is ``None``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Raw = Mapping[str, Any]


def unwrap(data: Raw, key: str, id_field: str) -> Raw:
    """Take an object out of its envelope, if it has one.

    AMC's specification wraps single objects (``{"workflow": {...}}``), recorded answers do not.

    :param data: the answer.
    :param key: name of the envelope.
    :param id_field: field that a flat answer has.
    """
    inner = data.get(key)
    if id_field not in data and isinstance(inner, Mapping):
        return inner
    return data


def text(value: object) -> str | None:
    """Read a text; numbers and booleans become one, objects and lists do not."""
    if value is None or isinstance(value, (dict, list)):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def integer(value: object) -> int | None:
    """Read a whole number, also when it was written as text."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        return int(str(value).strip())
    except ValueError:
        pass
    try:
        return int(float(str(value)))
    except (ValueError, OverflowError):
        return None


def boolean(value: object) -> bool | None:
    """Read a truth value, also when it was written as text."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(str(value).strip().lower())


def objects(value: object) -> tuple[Raw, ...]:
    """Read a list of objects; what is none is left out."""
    return tuple(item for item in value if isinstance(item, Mapping)) if isinstance(value, list) else ()


def texts(value: object) -> tuple[str, ...]:
    """Read a list of texts."""
    return tuple(str(item) for item in value if item is not None) if isinstance(value, list) else ()
