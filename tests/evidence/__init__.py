"""What the tests show of AMC: read from their marker ``covers``, written to docs/emulator-coverage.md."""

from __future__ import annotations
