"""The packages of the extra ``emulator``, looked for without importing them."""

from __future__ import annotations

from importlib.util import find_spec

_PACKAGES = ("duckdb", "starlette", "uvicorn")


def what_to_install() -> str | None:
    """A sentence that names what is missing and how to install it; ``None`` when everything is there."""
    # Airflow itself brings two of the three along, so that a failing import would name them one by one.
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if not missing:
        return None
    return f"The emulator needs {', '.join(missing)}: pip install 'airflow-provider-amc[emulator]'"
