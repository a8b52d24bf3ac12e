"""A local Amazon Marketing Cloud: one process that speaks the HTTP of Login with Amazon, AMC and the result store.

Start it with ``amc emulator`` or, inside a test, with :class:`airflow_provider_amc.emulator.server.EmulatorServer`.
It needs the ``emulator`` extra of this distribution. This module stays empty so that importing the package costs
nothing.
"""

from __future__ import annotations
