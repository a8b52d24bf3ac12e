"""Checks of arguments before anything is sent."""

from __future__ import annotations

import re
from urllib.parse import quote

from airflow_provider_amc.exceptions import AmcConfigurationError, AmcValidationError

_USER_CHOSEN_ID = re.compile(r"[A-Za-z0-9._-]+")
_HEADER_VALUE = re.compile(r"[A-Za-z0-9._-]+")


def check_id(value: object, field: str) -> str:
    """Check the id of a workflow or schedule: letters, digits, ``.``, ``-`` and ``_``.

    Source: AMC API documentation, "Create workflow".

    :param value: the id.
    :param field: name of the argument, for the error.
    :raises AmcValidationError: when it is empty or has another character.
    """
    if not isinstance(value, str) or not value:
        raise AmcValidationError(f"{field} must be a non-empty text, got {value!r}.")
    if not _USER_CHOSEN_ID.fullmatch(value):
        raise AmcValidationError(
            f"{field} {value!r} has characters AMC does not accept: use letters, digits, '.', '-' and '_' only, "
            "no spaces."
        )
    return _no_dots(value, field)


def check_segment(value: object, field: str) -> str:
    """Check an id that AMC chose, before it becomes part of a path.

    :param value: the id.
    :param field: name of the argument, for the error.
    :raises AmcValidationError: when it is empty, or has white space or control characters.
    """
    if not isinstance(value, str) or not value.strip():
        raise AmcValidationError(f"{field} must be a non-empty text, got {value!r}.")
    if any(c.isspace() or not c.isprintable() for c in value):
        raise AmcValidationError(f"{field} {value!r} contains white space or control characters.")
    return _no_dots(value, field)


def _no_dots(value: str, field: str) -> str:
    # HTTP libraries resolve "." and ".." in a path, which would address another resource.
    if value in (".", ".."):
        raise AmcValidationError(f"{field} {value!r} is not an id.")
    return value


def check_header(value: str | None, field: str) -> str | None:
    """Check an account or marketplace id, which travels in a header.

    :param value: the id, ``None`` or empty when it is not set.
    :param field: name of the setting, for the error.
    :return: the id without surrounding white space, or ``None``.
    :raises AmcConfigurationError: when it has characters such ids never have.
    """
    text = (value or "").strip()
    if not text:
        return None
    if not _HEADER_VALUE.fullmatch(text):
        raise AmcConfigurationError(f"{field} {text!r} is not an id: letters and digits only.")
    return text


def check_range(value: object, field: str, low: int, high: int) -> int:
    """Check a whole number.

    :param value: a number or its digits.
    :param field: name of the argument, for the error.
    :param low: smallest value allowed.
    :param high: largest value allowed.
    :raises AmcValidationError: when it is not a whole number or out of range.
    """
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value.strip()):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise AmcValidationError(f"{field} must be a whole number from {low} to {high}, got {value!r}.")
    return value


def path(*segments: str) -> str:
    """Join path segments, each percent-encoded: ``path("amc", "a/b")`` is ``/amc/a%2Fb``."""
    return "/" + "/".join(quote(segment, safe="") for segment in segments)


def is_blank(value: object) -> bool:
    """Is this not a text, or one without a visible character?"""
    return not isinstance(value, str) or not value.strip()
