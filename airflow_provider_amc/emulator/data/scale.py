"""How much synthetic data there is."""

from __future__ import annotations

#: DSP impressions in 13 months, by name.
SCALES = {"tiny": 10_000, "small": 100_000, "medium": 1_000_000, "large": 10_000_000}
LEAST, MOST = min(SCALES.values()), max(SCALES.values())


def parse_scale(value: object) -> str | int:
    """A scale as the user wrote it: a name stays a name, anything else is a number of impressions.

    :param value: a name of :data:`SCALES` or a number, also as text such as ``250_000``.
    :returns: the name or the number.
    :raises ValueError: it is neither, or the number is out of range.
    """
    if isinstance(value, str):
        if value in SCALES:
            return value
        try:
            value = int(value)
        except ValueError:
            value = None
    if not isinstance(value, int) or isinstance(value, bool) or not LEAST <= value <= MOST:
        raise ValueError(
            f"scale must be one of {', '.join(SCALES)}, or a number of impressions from {LEAST} to {MOST}."
        )
    return value


def impressions_of(scale: str | int) -> int:
    """The number of DSP impressions in 13 months.

    :param scale: as :func:`parse_scale` takes it.
    :raises ValueError: there is no such scale.
    """
    parsed = parse_scale(scale)
    return SCALES[parsed] if isinstance(parsed, str) else parsed
