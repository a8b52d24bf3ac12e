"""Records of advertisers' audiences: jobs that add and remove members."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulator.advertiser import AMC, DSP, Advertiser, hashed, message, record, someone

PATH = "audiences/records"


@pytest.fixture
def me(api) -> Advertiser:
    return Advertiser(api)


@pytest.fixture
def audience_id(me) -> int:
    return me.audience(me.connection())


@pytest.mark.covers("endpoint", "ManageAudienceV2")
@pytest.mark.covers("endpoint", "ManageAudienceStatusV2")
def test_a_job_from_its_start_to_its_end(served):
    me = Advertiser(served.api)
    audience_id = me.audience(me.connection())
    served.server.add_fault(operation="ManageAudienceV2", kind="duration", seconds=600)
    answer = me.api.call("POST", PATH, {"audienceId": audience_id, "records": [record(1)]})
    assert answer.status_code == 202
    assert answer.headers["content-type"] == "application/vnd.amcaudiences.v1+json"
    job_id = answer.json()["jobRequestId"]
    assert me.api.call("GET", f"{PATH}/{job_id}").json() == {"jobRequestId": job_id, "jobState": "PENDING"}
    served.server.advance_clock(600)
    ended = me.job(job_id)
    assert ended["jobState"] == "SUCCEEDED"
    assert (ended["successful"], ended["invalidRecords"]) == ({"recordsProcessedRate": 100.0}, [])
    assert ended["audienceSize"]["receivedRecordSize"] == 1


@pytest.mark.covers("rule", "four of five identities are matched, the same in every run")
def test_four_of_five_are_matched(serve):
    sizes = []
    for seed in (7, 7, 8):
        me = Advertiser(serve(seed=seed).api)
        records = [record(number) for number in range(2000)]
        sizes.append(me.job(me.send(me.audience(me.connection()), records))["audienceSize"])
    assert sizes[0] == sizes[1] != sizes[2]
    assert all(1520 <= size["idResolutionCount"] <= 1680 for size in sizes)
    assert all(size["dspAudienceSize"] == size["idResolutionCount"] for size in sizes)


def test_members_of_amc_only_are_not_in_the_dsp(me):
    audience_id = me.audience(me.connection(**AMC))
    size = me.job(me.send(audience_id, [record(number) for number in range(20)]))["audienceSize"]
    assert size["idResolutionCount"] > 0 == size["dspAudienceSize"]


def test_an_audience_of_the_dsp_only(me):
    me.connection(**DSP)
    body = {"name": "Of the DSP only", "description": "", "targetResource": {"advertiserId": 5}}
    made = me.api.call("POST", "audiences/metadata", {**body, "metadata": {"externalAudienceId": "x"}}).json()
    size = me.job(me.send(made["audienceId"], [record(number) for number in range(20)]))["audienceSize"]
    assert size["dspAudienceSize"] == size["idResolutionCount"] > 0


@pytest.mark.covers("rule", "members are added, replaced and removed by their external id")
def test_members_come_and_go(me, audience_id):
    first = me.job(me.send(audience_id, [record(number) for number in range(100)]))["audienceSize"]
    again = me.job(me.send(audience_id, [record(number) for number in range(100)]))["audienceSize"]
    assert again == first
    gone = me.job(me.send(audience_id, [record(number, "DELETE") for number in range(100)]))["audienceSize"]
    assert (gone["idResolutionCount"], gone["dspAudienceSize"]) == (first["idResolutionCount"], 0)
    both = [record(1), record(1, "DELETE"), record(2, "DELETE"), record(2)]
    left = me.job(me.send(audience_id, both))["audienceSize"]["dspAudienceSize"]
    alone = me.job(me.send(me.audience(me.connection()), [record(2)]))["audienceSize"]["dspAudienceSize"]
    assert left == alone


def test_any_identity_of_a_record_will_do(me, audience_id):
    """Each of ten addresses leads to somebody in four of five cases, so all of them together nearly always do."""
    records = [
        {
            "externalUserId": f"person-{number}",
            "action": "CREATE",
            "hashedPII": [{"email": hashed(f"{number}-{address}")} for address in range(10)],
        }
        for number in range(200)
    ]
    assert me.job(me.send(audience_id, records))["audienceSize"]["idResolutionCount"] == 200


@pytest.mark.parametrize(
    ("identity", "found"),
    [
        ({"phone": "p"}, True),
        ({"firstname": "f", "lastname": "l", "postal": "z"}, True),
        ({"firstname": "f", "lastname": "l", "address": "a", "city": "c", "state": "s"}, True),
        ({"firstname": "f", "lastname": "l"}, False),
        ({"city": "c", "state": "s", "postal": "z"}, False),
    ],
)
def test_which_identities_lead_to_somebody(me, audience_id, identity, found):
    records = [
        record(number, **{name: hashed(f"{value}-{number}") for name, value in identity.items()})
        for number in range(100)
    ]
    matched = me.job(me.send(audience_id, records))["audienceSize"]["idResolutionCount"]
    assert (60 < matched < 100) if found else matched == 0


# -- partial failures --------------------------------------------------------------------------------------------------
@pytest.mark.covers("rule", "invalid records are told one by one")
def test_invalid_records(me, audience_id):
    plain, empty = record(1, email="someone@example.com"), {**record(2), "hashedPII": [{}]}
    ended = me.job(me.send(audience_id, [plain, record(3), empty, record(4)]))
    assert ended["jobState"] == "PARTIALLYSUCCEEDED"
    assert ended["successful"] == {"recordsProcessedRate": 50.0}
    unhashed = "The email of hashedPII is not hashed with SHA-256 (64 hexadecimal digits)."
    assert ended["invalidRecords"] == [
        {"audienceId": str(audience_id), "externalId": "person-1", "error": unhashed},
        {"audienceId": str(audience_id), "externalId": "person-2", "error": "An entry of hashedPII has no value."},
    ]
    assert me.job(me.send(audience_id, [plain]))["jobState"] == "FAILED"


@pytest.mark.covers("fault", "invalid_records")
def test_invalid_records_on_order(served):
    me = Advertiser(served.api)
    audience_id = me.audience(me.connection())
    served.server.add_fault(operation="ManageAudienceV2", kind="invalid_records", records=2, reason="Try again.")
    records = [record(number) for number in range(5)]
    ended = me.job(me.send(audience_id, records))
    assert ended["jobState"] == "PARTIALLYSUCCEEDED"
    assert [(one["externalId"], one["error"]) for one in ended["invalidRecords"]] == [
        ("person-0", "Try again."),
        ("person-1", "Try again."),
    ]
    assert me.job(me.send(audience_id, records[:2]))["jobState"] == "SUCCEEDED"


def test_failures_on_order(served):
    me = Advertiser(served.api)
    audience_id = me.audience(me.connection())
    served.server.add_fault(operation="ManageAudienceV2", kind="fail")
    job_id = me.send(audience_id, [record(1)])
    assert me.job(job_id)["jobState"] == "FAILED"
    served.server.add_fault(operation="ManageAudienceStatusV2", kind="unknown_status", value="COMPLETED")
    assert me.api.call("GET", f"{PATH}/{job_id}").json()["jobState"] == "COMPLETED"
    served.server.add_fault(operation="ManageAudienceV2", kind="status", status=429, headers={"Retry-After": "2"})
    answer = me.api.call("POST", PATH, {"audienceId": audience_id, "records": [record(1)]})
    assert message(answer) == (429, "Too Many Requests")
    assert answer.headers["retry-after"] == "2"


@pytest.mark.covers("rule", "an audience that was not created through the API is invalid")
def test_unknown_audience(me):
    ended = me.job(me.send(347891, [record(1)]))
    assert ended["jobState"] == "FAILED"
    assert ended["invalidRecords"] == [
        {"audienceId": "347891", "externalId": "person-1", "error": "Audience with ID 347891 does not exist."}
    ]


def test_jobs_follow_virtual_time_and_survive_a_restart(serve, tmp_path):
    served = serve(speed="realistic", state_dir=tmp_path)
    me = Advertiser(served.api)
    job_id = me.send(me.audience(me.connection()), [record(1)])
    served.server.stop()
    served.server.start()
    assert me.api.call("GET", f"{PATH}/{job_id}").json()["jobState"] == "PENDING"
    served.server.advance_clock(1000)
    assert me.job(job_id)["jobState"] == "SUCCEEDED"


# -- refusals ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"audienceId": None}, "audienceId must be specified as a number."),
        ({"audienceId": "5"}, "audienceId must be specified as a number."),
        ({"records": None}, "records must be specified."),
        ({"records": []}, "records must be specified."),
        ({"records": [record(1)] * 10_001}, "At most 10000 records can be sent in one request."),
        ({"records": [5]}, "records[0] must be an object."),
        (
            {"records": [record(1), {**record(1), "externalUserId": "a b"}]},
            "The externalUserId of records[1] must be 1 to 128 letters, digits, dashes and underscores.",
        ),
        ({"records": [record(1, "UPDATE")]}, "The action of records[0] must be one of CREATE, DELETE."),
        *(
            (
                {"records": [{**record(1), "hashedPII": given}]},
                "The hashedPII of records[0] must be a list of 1 to 100 objects.",
            )
            for given in (None, [], [{"email": someone(1)}] * 101)
        ),
        ({"records": [{**record(1), "hashedPII": [5]}]}, "The hashedPII of records[0] must be a list of objects with"),
        ({"records": [record(1, name="x")]}, "The hashedPII of records[0] can have email, phone, firstname"),
        ({"records": [{**record(1), "userConsent": "yes"}]}, "The userConsent of records[0] must be an object."),
        ({"records": [{**record(1), "countryCode": 5}]}, "The countryCode of records[0] must be a string."),
        (
            {"records": [{**record(1), "userConsent": {"consent": {"amzn": {"amznUserData": "YES"}}}}]},
            "The amznUserData of records[0] must be one of DENIED, GRANTED, NOT_APPLICABLE, UNKNOWN.",
        ),
        ({"targetResource": 5}, "targetResource must be an object."),
        ({"targetResource": {"connectionId": "none"}}, "Connection with ID none does not exist."),
        ({"targetResource": {"connectionId": "", "targetTypes": ["AMC"]}}, "targetTypes can have DSP only."),
    ],
)
@pytest.mark.covers("rule", "at most 10,000 records in a call, each with at most 100 identities")
def test_wrong_requests(me, changes, text):
    body: dict[str, Any] = {"audienceId": 5, "records": [record(1)], **changes}
    status, told = message(me.api.call("POST", PATH, {name: one for name, one in body.items() if one is not None}))
    assert status == 400
    assert told.startswith(text)


def test_the_most_that_is_allowed(me, audience_id):
    many = {**record(1), "hashedPII": [{"email": someone(number)} for number in range(100)]}
    consent = {"consent": {"amzn": {"amznUserData": "GRANTED"}, "tcf": "x"}, "geo": {"countryCode": "US"}}
    records = [{**record(number), "countryCode": "US", "userConsent": consent} for number in range(9_999)]
    ended = me.job(me.send(audience_id, [many, *records], targetResource={"connectionId": "", "targetTypes": ["DSP"]}))
    assert ended["audienceSize"]["receivedRecordSize"] == 10_000
    assert ended["jobState"] == "SUCCEEDED"


def test_unknown_job(me):
    assert message(me.api.call("GET", f"{PATH}/none")) == (404, "Job with ID none does not exist.")
