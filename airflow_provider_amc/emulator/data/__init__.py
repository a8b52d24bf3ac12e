"""Synthetic data of the emulator.

Few narrow fact tables hold what happened (:mod:`.facts`), small dimension tables say who advertised what
(:mod:`.world`), and the columns of AMC's tables are expressions over both (:mod:`.columns` and its neighbours), so the
98 columns of an impression cost nothing until a query reads them.

Every random choice is an integer hash of (seed, day, row): the same on every machine and for every DuckDB version, and
a day has the same rows whatever the present moment is.
"""

from __future__ import annotations
