"""Settings of an emulator and its clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_amc.emulator.clock import VirtualClock, zulu, zulu_millis
from airflow_provider_amc.emulator.config import EmulatorConfig, parse_now


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"speed": "fast"}, "speed must be one of instant, realistic"),
        ({"envelope": "square"}, "envelope must be one of flat, wrapped"),
        ({"scale": "huge"}, "scale must be one of tiny, small, medium, large, or a number"),
        ({"scale": 9_999}, "from 10000 to 10000000"),
        ({"scale": "10000001"}, "from 10000 to 10000000"),
        ({"scale": True}, "scale must be one of"),
        ({"scale": 1e5}, "scale must be one of"),
        ({"unknown_id_status": 500}, "unknown_id_status must be one of 400, 404"),
        ({"not_ready_status": 200}, "not_ready_status"),
        ({"terms_status": 500}, "terms_status"),
        ({"scope_status": 500}, "scope_status"),
        ({"throttle": "on"}, "throttle must be one of off, retry_after, bare"),
        ({"workflow_validation": "never"}, "workflow_validation"),
        ({"z_suffix": "maybe"}, "z_suffix"),
        ({"access": "none"}, "access must be one of managed, self_service"),
        ({"max_instances": 0}, "max_instances must be a whole number of at least 1"),
        ({"max_advertisers": 0}, "max_advertisers"),
        ({"min_audience_users": 0}, "min_audience_users"),
        ({"min_seed_users": 0}, "min_seed_users"),
        ({"rows_per_file": 0}, "rows_per_file must be a whole number of at least 1"),
        ({"query_threads": 0}, "query_threads"),
        ({"port": 70000}, "port must be between 0 and 65535"),
        ({"now": "soon"}, "2026-01-01T00:00:00Z"),
        ({"extra_instances": -1}, "must not be negative"),
        ({"extra_instances": ["Bad Id"]}, "'Bad Id' is not an instance id"),
    ],
)
def test_wrong_settings(settings, text):
    with pytest.raises(ValueError, match=text):
        EmulatorConfig(**settings)


def test_unknown_setting():
    with pytest.raises(TypeError, match="colour"):
        EmulatorConfig().replaced(colour="red")


@pytest.mark.covers("switch", "extra_instances")
def test_extra_instances():
    assert list(EmulatorConfig(extra_instances=2).instances()) == [
        "amcemulator",
        "amcsandbox",
        "amcemulator02",
        "amcemulator03",
    ]
    assert list(EmulatorConfig(extra_instances="amcone").instances())[2:] == ["amcone"]
    assert EmulatorConfig(extra_instances=["amcsandbox"]).instances()["amcsandbox"] == "SANDBOX"


@pytest.mark.covers("switch", "scale")
@pytest.mark.parametrize(
    ("given", "kept"), [("tiny", "tiny"), (250_000, 250_000), ("250_000", 250_000), ("10000", 10_000)]
)
def test_scales_are_names_or_numbers(given, kept):
    assert EmulatorConfig(scale=given).scale == kept
    assert EmulatorConfig(scale=given).replaced(port=0).scale == kept


def test_clock_runs_with_real_time_plus_an_offset():
    real = [datetime(2026, 1, 1, tzinfo=UTC)]
    clock = VirtualClock(60.0, real_now=lambda: real[0])
    assert clock.now() == datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
    assert clock.advance(3600) == clock.now() == datetime(2026, 1, 1, 1, 1, tzinfo=UTC)
    clock.set(datetime(2020, 5, 5, tzinfo=UTC))
    real[0] += timedelta(seconds=5)
    assert clock.now() == datetime(2020, 5, 5, 0, 0, 5, tzinfo=UTC)
    before = clock.now()
    with pytest.raises(OverflowError):
        clock.advance(1e12)
    assert clock.now() == before


def test_times_as_text():
    moment = datetime(2026, 1, 1, 0, 0, 0, 987654, tzinfo=UTC)
    assert zulu(moment) == "2026-01-01T00:00:00Z"
    assert zulu_millis(moment) == "2026-01-01T00:00:00.987Z"
    assert parse_now("2026-01-01T02:00:00+02:00") == parse_now("2026-01-01T00:00:00") == parse_now("2026-01-01")
