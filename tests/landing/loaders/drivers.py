"""PostgreSQL's two drivers, for tests of what goes through them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.landing.results import schema_of


class DriverHook:
    """As much of a hook as the loader needs, over one of the two drivers."""

    supports_autocommit = True
    placeholder = "%s"

    def __init__(self, connect: Callable[..., Any], settings: dict[str, Any], **extra: Any) -> None:
        self._connect = connect
        self._settings = {
            "host": settings["host"],
            "user": settings["login"],
            "password": settings["password"],
            "dbname": settings["schema"],
            **({"port": settings["port"]} if settings["port"] else {}),
            **extra,
        }

    def get_conn(self) -> Any:
        return self._connect(**self._settings)

    def set_autocommit(self, connection: Any, autocommit: bool) -> None:
        connection.autocommit = autocommit


def simple_schema() -> Any:
    """The columns of :func:`tests.landing.loaders.behaviour.simple`."""
    return schema_of("campaign STRING", "clicks LONG")
