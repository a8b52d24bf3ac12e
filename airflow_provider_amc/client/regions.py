"""Amazon's regions and the hosts that serve them, or one base URL in place of all of them."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from urllib.parse import urlsplit

from airflow_provider_amc.exceptions import AmcConfigurationError


class Region(enum.StrEnum):
    """Amazon Ads region. Source: AMC API documentation, "Make your first call"."""

    NA = "NA"
    EU = "EU"
    FE = "FE"

    @classmethod
    def parse(cls, value: str | Region | None) -> Region:
        """Read a region as people write it.

        :param value: ``NA``, ``eu``, `` fe `` and so on; ``APAC`` is Amazon's other name of ``FE``. ``None`` and an
            empty string mean ``NA``.
        :return: the region.
        :raises AmcConfigurationError: for anything else, with the choices.
        """
        if isinstance(value, Region):
            return value
        text = str(value or "NA").strip().upper()
        if text == "APAC":
            return cls.FE
        try:
            return cls(text)
        except ValueError:
            choices = ", ".join(region.value for region in cls)
            raise AmcConfigurationError(f"Unknown region {value!r}: choose one of {choices}.") from None


@dataclass(frozen=True)
class Endpoints:
    """The three addresses a client talks to.

    :param api: base URL of the Amazon Ads API, without trailing slash.
    :param token: address that hands out tokens.
    :param consent: page on which a person allows the application.
    """

    api: str
    token: str
    consent: str

    @classmethod
    def of(cls, region: str | Region | None = None, base_url: str | None = None) -> Endpoints:
        """Find the addresses of a region.

        :param region: see :meth:`Region.parse`.
        :param base_url: address that replaces Amazon's API *and* Login-with-Amazon hosts (an emulator or a proxy).
        :raises AmcConfigurationError: for an unknown region or a base URL that is not one.
        """
        parsed = Region.parse(region)
        base = clean_base_url(base_url)
        if base is not None:
            return cls(api=base, token=f"{base}/auth/o2/token", consent=f"{base}/ap/oa")
        return _AMAZON[parsed]


# Sources: AMC API documentation, "Make your first call" (API hosts) and "Authorization grants" (consent and token).
_AMAZON = {
    Region.NA: Endpoints(
        "https://advertising-api.amazon.com",
        "https://api.amazon.com/auth/o2/token",
        "https://www.amazon.com/ap/oa",
    ),
    Region.EU: Endpoints(
        "https://advertising-api-eu.amazon.com",
        "https://api.amazon.co.uk/auth/o2/token",
        "https://eu.account.amazon.com/ap/oa",
    ),
    Region.FE: Endpoints(
        "https://advertising-api-fe.amazon.com",
        "https://api.amazon.co.jp/auth/o2/token",
        "https://apac.account.amazon.com/ap/oa",
    ),
}


def clean_base_url(base_url: str | None) -> str | None:
    """Check a base URL and take its trailing slash off.

    :param base_url: ``http://127.0.0.1:8600/`` and the like; ``None`` or empty for Amazon's own hosts.
    :return: the URL without trailing slash, or ``None``.
    :raises AmcConfigurationError: when it is not an http(s) URL, or carries a password, a query or a fragment.
    """
    text = (base_url or "").strip()
    if not text:
        return None
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        parts, valid = None, False
    if parts is None or not valid or any(c.isspace() for c in text):
        # The text is not repeated when it could hold a password.
        shown = repr(text) if "@" not in text else "(not shown, it contains '@')"
        raise AmcConfigurationError(
            f"The base URL {shown} is not an http or https URL. Write it like http://127.0.0.1:8600, "
            "or leave it empty to use Amazon's hosts of the region."
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise AmcConfigurationError(
            "The base URL must be scheme, host, port and path only: no user name, password, query or fragment."
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")
