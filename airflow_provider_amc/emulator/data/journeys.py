"""What is planted: the journeys that users take through the ads of an advertiser in a quarter.

An advertiser has :data:`PROFILES` profiles, equally common. A profile says which campaigns a user sees, how often, in
which order, whether the user converts, after which ad and how long after it. Every number that tests look for in the
data - reach, frequency, overlap of ad products, paths, conversion lag - is a sum over profiles, and so is known without
the data; see :mod:`.truth`. The shares are whole numbers that are kept exactly, by largest remainders, not by chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import TypeVar

from airflow_provider_amc.emulator.data.chance import mix

_T = TypeVar("_T")

#: Profiles of an advertiser.
PROFILES = 1000
#: Slots are kinds of campaigns: three of Amazon DSP, then six of sponsored ads, as in :mod:`.world`.
VIDEO, DISPLAY, RETARGETING, SP_AUTO, SP_BRAND, SP_CATEGORY, SB, SD, STV = range(9)
FIRST_SPONSORED = 3
DSP = "amazon_dsp"
#: The ad product of a slot; AMC writes NULL for Amazon DSP.
PRODUCTS = (
    DSP, DSP, DSP, "sponsored_products", "sponsored_products", "sponsored_products", "sponsored_brands",
    "sponsored_display", "sponsored_television",
)  # fmt: skip
#: A profile has less impressions than this, so that a number names each.
EVENTS = 64

# Slots in order of the first impression; how common for each of the four advertisers; buyers in a thousand
_PATHS = (
    ((VIDEO,), (170, 150, 190, 120), 5),
    ((DISPLAY,), (180, 190, 150, 140), 8),
    ((VIDEO, DISPLAY), (110, 90, 120, 80), 18),
    ((VIDEO, DISPLAY, RETARGETING), (50, 40, 60, 30), 60),
    ((DISPLAY, RETARGETING), (60, 70, 40, 50), 50),
    ((VIDEO, SP_BRAND), (35, 30, 40, 30), 110),
    ((DISPLAY, SP_CATEGORY), (45, 50, 40, 50), 80),
    ((VIDEO, SB, SP_BRAND), (15, 10, 20, 10), 170),
    ((DISPLAY, RETARGETING, SP_BRAND), (20, 20, 15, 20), 190),
    ((SP_AUTO,), (95, 100, 80, 150), 40),
    ((SP_CATEGORY,), (75, 90, 80, 120), 40),
    ((SP_BRAND,), (45, 40, 55, 70), 75),
    ((SB,), (25, 25, 30, 40), 35),
    ((SB, SP_BRAND), (15, 20, 15, 25), 110),
    ((SD,), (20, 25, 20, 25), 15),
    ((SP_CATEGORY, SD), (12, 15, 10, 15), 70),
    ((SP_AUTO, RETARGETING), (13, 15, 10, 15), 100),
    ((STV,), (10, 15, 20, 5), 5),
    ((STV, SP_BRAND), (5, 5, 5, 5), 90),
)
#: For each buyer, so many (in tenths) who add to the cart only, who only look, and who convert off Amazon.
_CARTS, _LOOKS, _OFFS = 8, 24, 2


# How many users of a campaign see it once, twice, ...: the share of ``n`` times falls with the square of ``n + calm``
def _falling(calm: int, most: int) -> tuple[int, ...]:
    return tuple(1_000_000 // (times + calm) ** 2 for times in range(1, most + 1))


_SELDOM, _OFTEN, _FOLLOWED = _falling(1, 22), _falling(2, 30), _falling(4, 34)
_FREQUENCIES = (_SELDOM, _OFTEN, _FOLLOWED, _SELDOM, _SELDOM, _OFTEN, _SELDOM, _OFTEN, _SELDOM)
#: Clicks in 10,000 impressions, beside those that a conversion follows.
_CLICK_RATES = (10, 25, 30, 120, 150, 110, 120, 60, 3)
#: One further impression of a user whom AMC cannot tell, in 10,000 impressions.
_UNKNOWN_RATE = 620

#: Upper bounds of the time between ad and conversion, in hours, and what the truth calls each span.
LAG_HOURS = (1, 6, 24, 72, 168, 336, 672)
LAG_NAMES = ("0-1h", "1-6h", "6-24h", "1-3d", "3-7d", "7-14d", "14-28d")
#: Spans of conversions that AMC attributes: 14 days.
ATTRIBUTED = 6
_AFTER_VIEW = (12, 13, 17, 20, 17, 13, 8)
_AFTER_CLICK = (44, 13, 12, 12, 9, 7, 3)

NOTHING, LOOK, CART, ORDER, OFF_AMAZON = range(5)
#: Steps of a conversion: 0 look, 1 cart, 2 order, 3 off Amazon.
STEPS: tuple[tuple[int, ...], ...] = ((), (0,), (0, 1), (0, 1, 2), (0, 3))
VIEW_TOUCH, CLICK_TOUCH = 0, 1


@dataclass
class Profile:
    """What one in a thousand users does.

    :param path: slots in the order of their first impressions.
    :param shown: impressions by slot.
    :param unknown: further impressions by slot that AMC cannot assign to the user.
    :param clicks: clicks by slot, on the first impressions.
    :param kind: how the user converts, after the last slot of the path.
    :param touch: is a view or a click the ad event of the conversion?
    :param lag: number of the span in which the conversion comes.
    :param items: rows of the order, one a product.
    :param early: does the user also look at a product within an hour after the first ad of the first slot?
    """

    path: tuple[int, ...]
    shown: dict[int, int] = field(default_factory=dict)
    unknown: dict[int, int] = field(default_factory=dict)
    clicks: dict[int, int] = field(default_factory=dict)
    kind: int = NOTHING
    touch: int = VIEW_TOUCH
    lag: int = 0
    items: int = 0
    early: bool = False

    @property
    def products(self) -> tuple[str, ...]:
        """The ad products in the order of their first impressions."""
        return tuple(dict.fromkeys(PRODUCTS[slot] for slot in self.path))

    @property
    def reserve(self) -> int:
        """Days before the end of the quarter that are kept free of ads, so that the conversion comes before it."""
        return LAG_HOURS[self.lag] // 24 + 2 if self.kind else 0

    def rows(self) -> Iterator[tuple[int, int]]:
        """The conversions that follow the last slot: step, and number of the row within it."""
        for step in STEPS[self.kind]:
            yield from ((step, row) for row in range(self.items if step == 2 else 1))


def apportion(shares: Sequence[int], seats: int) -> list[int]:
    """Whole numbers in proportion to shares that add up to ``seats`` (largest remainders, the first of equal ones)."""
    total = sum(shares)
    parts = [share * seats // total for share in shares]
    order = sorted(range(len(shares)), key=lambda index: (-(shares[index] * seats % total), index))
    for index in order[: seats - sum(parts)]:
        parts[index] += 1
    return parts


class _Shuffler:
    """Orders that differ with each use, and are the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311

    def shuffled(self, items: Sequence[_T]) -> list[_T]:
        # Python promises the same numbers of random() for the same seed for ever, but not the same shuffle()
        keys = [self._random.random() for _ in items]
        return [items[index] for index in sorted(range(len(items)), key=keys.__getitem__)]

    def dealt(self, shares: Sequence[int], to: Sequence[Profile]) -> Iterator[tuple[int, Profile]]:
        """Each of some profiles with the number of the share it gets."""
        numbers = [number for number, count in enumerate(apportion(shares, len(to))) for _ in range(count)]
        return zip(numbers, self.shuffled(to), strict=True)


@lru_cache(maxsize=16)
def profiles(seed: int, adv: int) -> tuple[Profile, ...]:
    """The profiles of an advertiser; those of a path lie beside each other.

    :param seed: seed of the data.
    :param adv: number of the advertiser.
    """
    shuffler = _Shuffler(mix(seed) + 7919 * adv)
    counts = apportion([shares[adv] for _, shares, _ in _PATHS], PROFILES)
    groups = [[Profile(path) for _ in range(count)] for (path, _, _), count in zip(_PATHS, counts, strict=True)]
    _convert(groups, adv, shuffler)
    everyone = [profile for group in groups for profile in group]
    for slot, table in enumerate(_FREQUENCIES):
        there = [profile for profile in everyone if slot in profile.path]
        for number, profile in shuffler.dealt(table, there):
            profile.shown[slot] = number + 1
        for rate, found in ((_CLICK_RATES[slot], "clicks"), (_UNKNOWN_RATE, "unknown")):
            owed = 0
            for profile in shuffler.shuffled(there):
                owed += profile.shown[slot] * rate
                amount = min(owed // 10_000, profile.shown[slot] if found == "clicks" else owed)
                owed -= amount * 10_000
                getattr(profile, found)[slot] = amount
    for profile in everyone:
        _finish(profile)
    return tuple(everyone)


def _convert(groups: list[list[Profile]], adv: int, shuffler: _Shuffler) -> None:
    """Decide who converts, after what, and when."""
    owed = dict.fromkeys((ORDER, CART, LOOK, OFF_AMAZON), 0)
    for (path, _, rate), group in zip(_PATHS, groups, strict=True):
        rates = {ORDER: rate * 10, CART: rate * _CARTS, LOOK: rate * _LOOKS, OFF_AMAZON: 0}
        if path[-1] < FIRST_SPONSORED and adv < 2:
            rates[OFF_AMAZON] = rate * _OFFS
        waiting = shuffler.shuffled(group)
        for kind, each in rates.items():
            owed[kind] += each * len(group)
            for _ in range(min(owed[kind] // 10_000, len(waiting))):
                waiting.pop().kind = kind
                owed[kind] -= 10_000
    converting = [profile for group in groups for profile in group if profile.kind]
    by_touch: tuple[list[Profile], list[Profile]] = ([], [])
    for number, profile in shuffler.dealt((1, 3), converting):
        # Sponsored products and brands work by clicks, videos by views, displays by both
        last = profile.path[-1]
        clicked = last in (SP_AUTO, SP_BRAND, SP_CATEGORY, SB) or (number == 0 and last not in (VIDEO, STV))
        profile.touch = CLICK_TOUCH if clicked else VIEW_TOUCH
        by_touch[profile.touch].append(profile)
    for shares, those in zip((_AFTER_VIEW, _AFTER_CLICK), by_touch, strict=True):
        for number, profile in shuffler.dealt(shares, those):
            profile.lag = number
    for number, profile in shuffler.dealt((75, 19, 6), [profile for profile in converting if profile.kind == ORDER]):
        profile.items = number + 1
    for number, profile in shuffler.dealt((3, 2), converting):
        profile.early = number == 1 and len(profile.path) > 1


def _finish(profile: Profile) -> None:
    """Add the click of the conversion, and keep the number of impressions below :data:`EVENTS`."""
    while sum(profile.shown.values()) + sum(profile.unknown.values()) >= EVENTS:
        most = max(profile.shown, key=lambda slot: profile.shown[slot])
        profile.shown[most] -= 1
        profile.clicks[most] = min(profile.clicks[most], profile.shown[most])
    last = profile.path[-1]
    if profile.kind:
        # The first impression of the slot is the one before the conversion
        profile.clicks[last] = max(profile.clicks[last], 1) if profile.touch == CLICK_TOUCH else 0
