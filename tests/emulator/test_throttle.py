"""Calls that come too fast are refused as by Amazon's gateway, when the setting says so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_amc.client import AmcClient, Credentials
from airflow_provider_amc.emulator.throttle import Throttle

READ, CREATE = "getAllQueryBasedAudiencesByInstanceId", "createLookalikeAudience"
AUDIENCE_HEADERS = {"Amazon-Marketing-Cloud-Audience-InstanceId": "amcemulator"}


@pytest.mark.parametrize(("operation", "burst"), [(READ, 10), (CREATE, 5)])
def test_burst_and_rate(operation, burst):
    throttle = Throttle("retry_after")
    assert [throttle.refusal(operation, 100.0) is None for _ in range(burst + 2)] == [True] * burst + [False] * 2
    # Five a second, however long nobody called before.
    assert [throttle.refusal(operation, 100.2) is None for _ in range(2)] == [True, False]
    assert sum(throttle.refusal(operation, 5_000.0) is None for _ in range(100)) == burst


@given(st.lists(st.floats(0, 3), max_size=60))
def test_never_more_than_the_limit(gaps):
    throttle, now, passed = Throttle("bare"), 0.0, []
    for gap in gaps:
        now += gap
        if throttle.refusal(CREATE, now) is None:
            passed.append(now)
    for first, start in enumerate(passed):
        for last in range(first, len(passed)):
            assert last - first + 1 <= 5 + 5 * (passed[last] - start) + 1e-6


def test_other_operations_and_the_default_have_no_limit():
    assert all(Throttle("bare").refusal("listWorkflows", 0.0) is None for _ in range(100))
    assert all(Throttle("off").refusal(READ, 0.0) is None for _ in range(100))


@pytest.mark.covers("switch", "throttle")
@pytest.mark.parametrize(("mode", "retry_after"), [("retry_after", "1"), ("bare", None)])
def test_refusal(serve, mode, retry_after):
    served = serve(throttle=mode)

    def call():
        return served.api.session.get(
            f"{served.api.url}/amc/audiences/query", headers={**served.api.headers, **AUDIENCE_HEADERS}
        )

    answers = [call()]
    # The bucket fills while this goes on, but not as fast as it empties.
    while answers[-1].status_code == 200 and len(answers) < 2_000:
        answers.append(call())
    assert len(answers) > 10
    refused = answers[-1]
    assert (refused.status_code, refused.json()) == (429, {"message": "Too Many Requests"})
    assert refused.headers["amazon-advertising-api-throttled"] == "true"
    assert refused.headers["x-amzn-ErrorType"] == "TooManyRequestsException"
    assert refused.headers.get("Retry-After") == retry_after
    served.server.advance_clock(10)
    assert call().status_code == 200


def test_the_client_comes_back_later(serve):
    served = serve(throttle="retry_after")
    client = AmcClient(
        Credentials("amzn1.application-oa2-client.emulator", "emulator-secret", "Atzr|emulator"),
        account_id="ENTITYEMULATOR01",
        marketplace_id="ATVPDKIKX0DER",
        instance_id="amcemulator",
        base_url=served.server.url,
        sleep=served.server.advance_clock,
    )
    for _ in range(100):
        assert list(client.audiences.list()) == []
    assert {request["status"] for request in served.server.requests_of(READ)} <= {200, 429}
