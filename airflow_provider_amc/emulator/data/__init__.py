"""Synthetic data of the emulator.

What users do is planted in profiles (:mod:`.journeys`), given to the users of an advertiser in a quarter
(:mod:`.audience`), and made into few narrow fact tables (:mod:`.events`, :mod:`.facts`). Small dimension tables say who
advertised what (:mod:`.world`), and the columns of AMC's tables are expressions over both (:mod:`.tabledata` and its
neighbours), so the 98 columns of an impression cost nothing until a query reads them. :mod:`.truth` tells what is in.

Every random choice is an integer hash of seed, quarter, journey and event: the same on every machine and for every
DuckDB version, and rows are the same whatever the present moment is.
"""

from __future__ import annotations
