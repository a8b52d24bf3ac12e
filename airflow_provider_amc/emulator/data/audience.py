"""Who is reached: the users of each advertiser in each quarter, and which profile each of them follows."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass

from airflow_provider_amc.emulator.data import world
from airflow_provider_amc.emulator.data.chance import draw, mix
from airflow_provider_amc.emulator.data.journeys import FIRST_SPONSORED, PROFILES, profiles

#: Days of 13 months.
_DAYS = 395
#: Percent of the average by quarter of the year.
_SEASON = (94, 97, 97, 112)
#: Parts of all impressions of Amazon DSP, by advertiser.
_PARTS = (3, 2, 2, 1)
#: Users there are for each that a quarter's journeys would need if they overlapped nowhere, in percent.
_POOL = 125
#: Step from the profile of a user to that of the next: near the golden section, so that any run of users has all kinds.
STEP = 619


@dataclass(frozen=True)
class Audience:
    """The users of an advertiser in a quarter: numbers ``0`` to ``size - 1``, each with a user and a profile.

    The user of number ``r`` is ``(r * factor + shift) % users``, so no user comes twice; the profile is
    ``(r * STEP + turn) % PROFILES``.

    :param quarter: number of the quarter.
    :param adv: number of the advertiser.
    :param size: how many there are.
    :param offset: journeys of other advertisers in the quarter before this one's.
    :param factor: see above.
    :param shift: see above.
    :param inverse: of ``factor``, modulo the number of users.
    :param turn: see above.
    """

    quarter: int
    adv: int
    size: int
    offset: int
    factor: int
    shift: int
    inverse: int
    turn: int

    def followers(self) -> list[int]:
        """How many users follow each profile."""
        inverse = pow(STEP, -1, PROFILES)
        firsts = ((number - self.turn) * inverse % PROFILES for number in range(PROFILES))
        return [len(range(first, self.size, PROFILES)) for first in firsts]

    def row(self) -> tuple[int, ...]:
        """The row of the dimension table ``d_audience``."""
        starts, ends = world.quarter_bounds(self.quarter)
        return (
            self.quarter, self.adv, self.size, self.offset, self.factor, self.shift, self.inverse, self.turn,
            (starts - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1), (ends - starts).days, starts.weekday(),
        )  # fmt: skip


class Audiences:
    """The audiences of all quarters.

    :param seed: seed of the data.
    :param impressions: impressions of Amazon DSP in 13 months.
    """

    def __init__(self, seed: int, impressions: int) -> None:
        self._seed = seed
        self._impressions = impressions
        self._shown = [
            sum(
                amount
                for profile in profiles(seed, adv)
                for counts in (profile.shown, profile.unknown)
                for slot, amount in counts.items()
                if slot < FIRST_SPONSORED
            )
            for adv in range(len(_PARTS))
        ]
        self.users = max(50, sum(self._size(adv, 91, 100) for adv in range(len(_PARTS))) * _POOL // 100)

    def _size(self, adv: int, days: int, season: int) -> int:
        parts = self._impressions * days * season * _PARTS[adv] * PROFILES
        return parts // (_DAYS * 100 * sum(_PARTS) * self._shown[adv])

    def of_quarter(self, quarter: int) -> list[Audience]:
        """The audiences of a quarter, by advertiser."""
        starts, ends = world.quarter_bounds(quarter)
        found: list[Audience] = []
        offset = 0
        for adv in range(len(_PARTS)):
            size = self._size(adv, (ends - starts).days, _SEASON[quarter % 4])
            key = mix(mix(self._seed) + quarter * 64 + adv)
            factor = self.users // 4 + draw(key, 1) % (self.users // 2)
            while math.gcd(factor, self.users) > 1:
                factor += 1
            inverse = pow(factor, -1, self.users)
            turn, shift = draw(key, 2) % PROFILES, draw(key, 3) % self.users
            found.append(Audience(quarter, adv, size, offset, factor, shift, inverse, turn))
            offset += size
        return found
