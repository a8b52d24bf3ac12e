from __future__ import annotations

import pytest

from airflow_provider_amc.client.regions import Endpoints, Region, clean_base_url
from airflow_provider_amc.exceptions import AmcConfigurationError


@pytest.mark.parametrize(
    ("value", "region"),
    [
        ("na", Region.NA),
        (" Eu ", Region.EU),
        ("FE", Region.FE),
        ("apac", Region.FE),
        (None, Region.NA),
        ("", Region.NA),
    ],
)
def test_regions_are_read_as_people_write_them(value: str | None, region: Region) -> None:
    assert Region.parse(value) is region


def test_an_unknown_region_names_the_choices() -> None:
    with pytest.raises(AmcConfigurationError, match="'US': choose one of NA, EU, FE"):
        Region.parse("US")


@pytest.mark.parametrize(
    ("region", "api", "token", "consent"),
    [
        ("NA", "advertising-api.amazon.com", "api.amazon.com", "www.amazon.com"),
        ("EU", "advertising-api-eu.amazon.com", "api.amazon.co.uk", "eu.account.amazon.com"),
        ("FE", "advertising-api-fe.amazon.com", "api.amazon.co.jp", "apac.account.amazon.com"),
    ],
)
def test_hosts_of_the_regions(region: str, api: str, token: str, consent: str) -> None:
    assert Endpoints.of(region) == Endpoints(
        f"https://{api}", f"https://{token}/auth/o2/token", f"https://{consent}/ap/oa"
    )


@pytest.mark.parametrize("base", ["http://127.0.0.1:8600", "http://127.0.0.1:8600/", " http://127.0.0.1:8600// "])
def test_a_base_url_replaces_every_host(base: str) -> None:
    assert Endpoints.of("EU", base) == Endpoints(
        "http://127.0.0.1:8600", "http://127.0.0.1:8600/auth/o2/token", "http://127.0.0.1:8600/ap/oa"
    )


def test_a_base_url_may_have_a_path() -> None:
    assert clean_base_url("https://proxy.example/amazon/") == "https://proxy.example/amazon"


@pytest.mark.parametrize(
    "base", ["127.0.0.1:8600", "ftp://host", "http://", "http://host:port", "http://a b", "http://[::1", "http:///x"]
)
def test_what_is_not_a_url_is_refused(base: str) -> None:
    with pytest.raises(AmcConfigurationError, match="not an http or https URL"):
        clean_base_url(base)


@pytest.mark.parametrize("base", ["http://user:secret-word@host", "http://host/?a=1", "http://host/#x"])
def test_what_a_base_url_must_not_have_is_refused_without_showing_a_password(base: str) -> None:
    with pytest.raises(AmcConfigurationError) as caught:
        clean_base_url(base)
    assert "secret-word" not in str(caught.value)
