"""FORMAT of AMC SQL with Java's patterns: dates, numbers and texts (Java API documentation, ``DateTimeFormatter``,
``DecimalFormat`` and ``Formatter``)."""

from __future__ import annotations

import datetime as dt
import re
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

_DATE_PART = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*")
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def java_format_moment(moment: dt.datetime, pattern: str) -> str | None:
    """A date or timestamp as text; ``None`` when the pattern holds a letter that means nothing."""
    numbers = {
        "d": moment.day, "D": moment.timetuple().tm_yday, "H": moment.hour, "h": moment.hour % 12 or 12,
        "K": moment.hour % 12, "k": moment.hour or 24, "m": moment.minute, "s": moment.second,
        "w": moment.isocalendar().week, "q": (moment.month + 2) // 3, "Q": (moment.month + 2) // 3,
        "e": moment.isoweekday() % 7 + 1,
    }  # fmt: skip

    def part(match: re.Match[str]) -> str:
        if match[2] is None:
            return match[1].replace("''", "'") or "'"
        letter, count = match[2], len(match[0])
        if letter in "yuY":
            year = moment.isocalendar().year if letter == "Y" else moment.year
            return f"{year % 100:02d}" if count == 2 else f"{year:0{count}d}"
        if letter in "ML" and count > 2:
            return _MONTHS[moment.month - 1][: 3 if count == 3 else None]
        if letter in "ML":
            return f"{moment.month:0{count}d}"
        if letter == "E":
            return _DAYS[moment.weekday()][: None if count > 3 else 3]
        if letter == "a":
            return "AM" if moment.hour < 12 else "PM"
        if letter == "S":
            return f"{moment.microsecond:06d}".ljust(count, "0")[:count]
        return f"{numbers[letter]:0{count}d}"

    try:
        return _DATE_PART.sub(part, pattern)
    except KeyError:
        return None


_NUMBER_PART = re.compile(r"[#0,]*(?:\.[#0]*)?(?=[^#0,.]|$)")


def java_format_number(number: str, pattern: str) -> str | None:
    """A number, given as text, as text; ``None`` when it is none, or the pattern has no place for digits."""
    try:
        value = Decimal(number)
    except InvalidOperation:
        return None
    if not value.is_finite():
        return "NaN" if value.is_nan() else "∞" if value > 0 else "-∞"
    positive, separator, negative = pattern.partition(";")
    place = next((found for found in _NUMBER_PART.finditer(positive) if found.group()), None)
    if place is None:
        return None
    prefix, suffix = positive[: place.start()], positive[place.end() :]
    digits = _digits(abs(value) * _factor(prefix + suffix), place.group())
    if value < 0 and any(digit in digits for digit in "123456789"):
        body = next((found for found in _NUMBER_PART.finditer(negative) if found.group()), None) if separator else None
        if body is not None:
            prefix, suffix = negative[: body.start()], negative[body.end() :]
        else:
            prefix = f"-{prefix}"
    return (prefix + digits + suffix).replace("'", "")


def _factor(around: str) -> int:
    return 100 if "%" in around else 1000 if "‰" in around else 1


def _digits(value: Decimal, pattern: str) -> str:
    whole, _, fraction = pattern.partition(".")
    rounded = value.quantize(Decimal(1).scaleb(-len(fraction)), rounding=ROUND_HALF_EVEN)
    left, _, right = f"{rounded:f}".partition(".")
    left = left.lstrip("0").rjust(whole.count("0"), "0")
    least = len(fraction.rstrip("#"))
    right = right[:least] + right[least:].rstrip("0")
    if "," in whole:
        size = len(whole) - whole.rindex(",") - 1
        if size:
            head = len(left) % size
            groups = ([left[:head]] if head else []) + [left[at : at + size] for at in range(head, len(left), size)]
            left = ",".join(groups)
    if not left and not right:
        left = "0"
    return f"{left}.{right}" if right else left


_TEXT_PART = re.compile(r"%(?:(-?)(\d+)?(?:\.(\d+))?([sS])|(%)|(n))")


def java_format_text(text: str, pattern: str) -> str:
    """A text in place of ``%s`` (``%-10s``, ``%.3s`` and ``%S`` as well)."""

    def part(match: re.Match[str]) -> str:
        if match[4] is None:
            return "%" if match[5] else "\n"
        found = text if match[3] is None else text[: int(match[3])]
        found = found.upper() if match[4] == "S" else found
        width = min(int(match[2] or 0), 10_000)
        return found.ljust(width) if match[1] else found.rjust(width)

    return _TEXT_PART.sub(part, pattern)
