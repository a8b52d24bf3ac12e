"""Instances: creation, change, deletion, idempotency, limits, self service."""

from __future__ import annotations

import pytest

from tests.emulator.api import Api, refusal

BUCKET = "my-amc-results"
ACCOUNT = "123456789012"


def create(api: Api, name: str = "Spring reports", **fields: object) -> dict[str, object]:
    answer = api.call("POST", "instances", {"instanceName": name, **fields})
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["instance"])


def get(api: Api, instance_id: object) -> dict[str, object]:
    answer = api.call("GET", f"instances/{instance_id}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["instance"])


def status(api: Api, instance_id: object) -> object:
    return get(api, instance_id)["creationStatus"]


@pytest.fixture
def slow(serve):
    """A server on which the creation of an instance takes its time."""
    return serve(speed="realistic", now="2026-03-01T12:00:00Z")


@pytest.mark.covers("endpoint", "createInstance")
@pytest.mark.covers("rule", "an instance is REQUESTED, then COMPLETED at the next look")
def test_create(api):
    made = create(api, advertiserName="My brand", awsAccountId=ACCOUNT, s3BucketName=BUCKET)
    assert (made["creationStatus"], made["creationDatetime"]) == ("REQUESTED", None)
    shown = get(api, made["instanceId"])
    assert shown["creationDatetime"].endswith("Z")
    assert {
        name: shown[name] for name in ("instanceName", "customerCanonicalName", "awsAccountId", "s3BucketName")
    } == {
        "instanceName": "Spring reports",
        "customerCanonicalName": "My brand",
        "awsAccountId": ACCOUNT,
        "s3BucketName": BUCKET,
    }
    assert (shown["creationStatus"], shown["instanceType"], shown["advertiserTypes"]) == ("COMPLETED", "STANDARD", [])
    listed = api.call("GET", "instances").json()["instances"]
    assert [one["instanceId"] for one in listed] == ["amcemulator", "amcsandbox", made["instanceId"]]
    assert get(api, made["instanceId"]) == listed[-1]


def test_only_the_name_is_required(api):
    shown = get(api, create(api)["instanceId"])
    assert (shown["customerCanonicalName"], shown["s3BucketName"], shown["awsAccountId"]) == (None, "", "")
    assert shown["acrCollaboration"] is None


@pytest.mark.covers("rule", "creating an instance takes up to 300 seconds of virtual time")
def test_creation_takes_its_time(slow):
    api = slow.api
    made = create(api)
    assert (made["creationStatus"], made["creationDatetime"]) == ("REQUESTED", None)
    seen = [made["creationStatus"]]
    for _ in range(60):
        slow.server.advance_clock(5)
        seen.append(status(api, made["instanceId"]))
    assert list(dict.fromkeys(seen)) == ["REQUESTED", "SUBMITTED", "IN_PROGRESS", "COMPLETED"]
    assert seen[11] != "COMPLETED", "it took less than a minute"


@pytest.mark.covers("rule", "an instance can be used once its creation is COMPLETED")
def test_nothing_runs_on_an_instance_before_it_is_completed(slow):
    made = create(slow.api)
    reporting = Api(slow.server.url, str(made["instanceId"]))
    expected = f"Instance {made['instanceId']} cannot be used because its creationStatus is REQUESTED."
    assert refusal(reporting.reporting("GET", "workflows")) == (400, expected)
    assert refusal(reporting.reporting("POST", "workflowExecutions", {})) == (400, expected)
    assert slow.api.call("GET", f"instances/{made['instanceId']}/advertisers").json()["advertisers"] == []
    slow.server.advance_clock(301)
    assert reporting.reporting("GET", "workflows").status_code == 200


def test_a_new_instance_runs_workflows(served):
    made = create(served.api)
    reporting = Api(served.server.url, str(made["instanceId"]))
    assert reporting.finished("SELECT n FROM rows_3")["status"] == "SUCCEEDED"
    assert reporting.reporting("GET", "dataSources").json() == served.api.reporting("GET", "dataSources").json()
    assert served.api.control("GET", "health")["instances"][made["instanceId"]] == "STANDARD"


@pytest.mark.parametrize(
    ("fields", "details"),
    [
        ({}, "instanceName must be specified."),
        ({"instanceName": ""}, "instanceName must be specified."),
        ({"instanceName": "ab"}, "Invalid value 'ab' for instanceName: expected 3 to 50 English letters, digits and spaces."),
        ({"instanceName": "a" * 51}, f"Invalid value '{'a' * 51}' for instanceName: expected 3 to 50 English letters, digits and spaces."),
        ({"instanceName": "Überblick"}, "Invalid value 'Überblick' for instanceName: expected 3 to 50 English letters, digits and spaces."),
        ({"instanceName": "a-b-c"}, "Invalid value 'a-b-c' for instanceName: expected 3 to 50 English letters, digits and spaces."),
        ({"instanceName": 5}, "Invalid value '5' for instanceName: expected 3 to 50 English letters, digits and spaces."),
        ({"instanceName": "abc", "advertiserName": "x_y_z"}, "Invalid value 'x_y_z' for advertiserName: expected 3 to 50 English letters, digits and spaces."),
        ({"instanceName": "abc", "awsAccountId": "12"}, "Invalid value '12' for awsAccountId: expected the 12 digits of an AWS account."),
        ({"instanceName": "abc", "s3BucketName": "No_Bucket"}, "Invalid value 'No_Bucket' for s3BucketName: expected the name of an S3 bucket."),
        ({"instanceName": "abc", "acrBacked": "maybe"}, "Invalid value 'maybe' for acrBacked: expected true or false."),
        ({"instanceName": "abc", "idempotencyToken": ""}, "Invalid value for idempotencyToken: expected 1 to 36 characters."),
        ({"instanceName": "abc", "idempotencyToken": "t" * 37}, "Invalid value for idempotencyToken: expected 1 to 36 characters."),
    ],
)  # fmt: skip
@pytest.mark.covers("rule", "names of instances and advertisers have 3 to 50 letters, digits and spaces")
def test_what_a_new_instance_must_be_like(api, fields, details):
    assert refusal(api.call("POST", "instances", fields)) == (400, details)
    assert len(api.call("GET", "instances").json()["instances"]) == 2


@pytest.mark.covers("rule", "an idempotency token gives the same instance for 10 minutes")
def test_idempotency_token(served):
    api = served.api
    first = create(api, idempotencyToken="t-1")
    again = create(api, idempotencyToken="t-1")
    assert again["instanceId"] == first["instanceId"]
    assert create(api, idempotencyToken="t-2")["instanceId"] != first["instanceId"]
    other = api.call("POST", "instances", {"instanceName": "Another", "idempotencyToken": "t-1"})
    assert refusal(other) == (400, "The idempotencyToken t-1 was used with other parameters.")
    served.server.advance_clock(599)
    assert create(api, idempotencyToken="t-1")["instanceId"] == first["instanceId"]
    served.server.advance_clock(2)
    assert create(api, idempotencyToken="t-1")["instanceId"] != first["instanceId"]


def test_a_token_is_good_again_when_its_instance_was_deleted(api):
    first = create(api, idempotencyToken="t")
    assert api.call("DELETE", f"instances/{first['instanceId']}").status_code == 204
    assert create(api, idempotencyToken="t")["instanceId"] != first["instanceId"]


@pytest.mark.covers("switch", "max_instances")
@pytest.mark.covers("rule", "an account has at most 4,000 instances")
def test_limit_of_the_account(serve):
    api = serve(max_instances=3).api
    create(api, idempotencyToken="t")
    refused = api.call("POST", "instances", {"instanceName": "One more"})
    assert refusal(refused) == (400, "The account has reached its limit of 3 instances.")
    assert create(api, idempotencyToken="t")["creationStatus"] == "COMPLETED"


def test_the_answer_to_a_repeated_request_tells_how_far_the_instance_is(slow):
    made = create(slow.api, idempotencyToken="t")
    slow.server.advance_clock(400)
    assert create(slow.api, idempotencyToken="t") == get(slow.api, made["instanceId"])


@pytest.mark.covers("endpoint", "updateInstance")
def test_update(api):
    instance_id = create(api, advertiserName="My brand", awsAccountId=ACCOUNT)["instanceId"]
    answer = api.call("PUT", f"instances/{instance_id}", {"instanceName": "New name", "s3BucketName": BUCKET})
    assert answer.status_code == 200
    assert answer.json()["instance"] == get(api, instance_id)
    shown = answer.json()["instance"]
    assert (shown["instanceName"], shown["customerCanonicalName"]) == ("New name", "My brand")
    assert (shown["s3BucketName"], shown["awsAccountId"]) == (BUCKET, ACCOUNT)
    renamed = api.call("PUT", "instances/amcemulator", {"advertiserName": "Their brand"}).json()["instance"]
    assert (renamed["customerCanonicalName"], renamed["advertiserTypes"]) == (
        "Their brand",
        ["DISPLAY", "SPONSORED_ADS"],
    )
    assert api.call("GET", "instances").json()["instances"][0] == renamed


@pytest.mark.covers("rule", "an instance can be changed and deleted only when its creation has ended")
def test_update_and_delete_wait_for_the_creation(slow):
    api = slow.api
    instance_id = create(api)["instanceId"]
    text = f"Instance {instance_id} cannot be {{}} because its creationStatus is REQUESTED."
    body = {"instanceName": "New name"}
    assert refusal(api.call("PUT", f"instances/{instance_id}", body)) == (400, text.format("updated"))
    assert refusal(api.call("DELETE", f"instances/{instance_id}")) == (400, text.format("deleted"))
    account = {"awsAccountId": ACCOUNT, "bucketName": BUCKET}
    assert refusal(api.call("POST", f"instances/{instance_id}/updateCustomerAwsAccount", account))[0] == 400
    slow.server.advance_clock(301)
    assert api.call("PUT", f"instances/{instance_id}", body).status_code == 200
    assert api.call("DELETE", f"instances/{instance_id}").status_code == 204


def test_update_checks_its_fields(api):
    answer = api.call("PUT", "instances/amcemulator", {"instanceName": "x"})
    assert refusal(answer)[1].startswith("Invalid value 'x' for instanceName")
    assert get(api, "amcemulator")["instanceName"] == "Emulator amcemulator"


@pytest.mark.covers("endpoint", "deleteInstance")
def test_delete_takes_everything_along(served):
    api = served.api
    instance_id = create(api)["instanceId"]
    reporting = Api(served.server.url, str(instance_id))
    reporting.reporting("POST", "workflows", {"workflowId": "wf", "sqlQuery": "SELECT n FROM rows_1"})
    running = reporting.run("SELECT n FROM gated rows_1")["workflowExecutionId"]
    reporting.until(running, "RUNNING")
    answer = api.call("DELETE", f"instances/{instance_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    for call in (
        lambda: api.call("GET", f"instances/{instance_id}"),
        lambda: api.call("DELETE", f"instances/{instance_id}"),
        lambda: reporting.reporting("GET", "workflows"),
    ):
        assert refusal(call()) == (403, "Unauthorized request.")
    assert served.server.emulator.store.documents("workflow", str(instance_id)) == []
    assert served.server.emulator.store.get_execution(running)[1]["status"] == "CANCELLED"


def test_an_instance_of_the_settings_comes_back_with_a_reset(served):
    api = served.api
    assert api.call("DELETE", "instances/amcsandbox").status_code == 204
    assert [one["instanceId"] for one in api.call("GET", "instances").json()["instances"]] == ["amcemulator"]
    api.control("POST", "reset")
    assert len(api.call("GET", "instances").json()["instances"]) == 2


@pytest.mark.covers("fault", "fail")
@pytest.mark.covers("fault", "duration")
def test_a_creation_that_fails(served):
    api = served.api
    served.server.add_fault(operation="createInstance", kind="duration", seconds=90)
    served.server.add_fault(operation="createInstance", kind="fail")
    instance_id = create(api)["instanceId"]
    assert status(api, instance_id) == "REQUESTED"
    served.server.advance_clock(91)
    assert status(api, instance_id) == "FAILED"
    text = f"Instance {instance_id} cannot be updated because its creationStatus is FAILED."
    assert refusal(api.call("PUT", f"instances/{instance_id}", {"instanceName": "New name"})) == (400, text)
    assert api.call("DELETE", f"instances/{instance_id}").status_code == 204


@pytest.mark.covers("endpoint", "updateInstanceCustomerAwsAccountMetadata")
def test_aws_account(api):
    path = "instances/amcemulator/updateCustomerAwsAccount"
    assert refusal(api.call("POST", path, {"bucketName": BUCKET})) == (400, "awsAccountId must be specified.")
    assert refusal(api.call("POST", path, {"awsAccountId": ACCOUNT})) == (400, "bucketName must be specified.")
    wrong = api.call("POST", path, {"awsAccountId": "1", "bucketName": BUCKET})
    assert refusal(wrong) == (400, "Invalid value '1' for awsAccountId: expected the 12 digits of an AWS account.")
    answer = api.call("POST", path, {"awsAccountId": ACCOUNT, "bucketName": BUCKET})
    assert answer.status_code == 200
    assert BUCKET in answer.json()["cfnBucketUrl"]
    shown = get(api, "amcemulator")
    assert (shown["awsAccountId"], shown["s3BucketName"]) == (ACCOUNT, BUCKET)


@pytest.mark.covers("switch", "instances_page_size")
def test_created_instances_come_in_pages(serve):
    api = serve(instances_page_size=2).api
    made = [create(api)["instanceId"] for _ in range(3)]
    seen, token = [], None
    while True:
        page = api.call("GET", "instances", params={"nextToken": token or ""}).json()
        seen += [one["instanceId"] for one in page["instances"]]
        token = page["nextToken"]
        if token is None:
            break
    assert seen == ["amcemulator", "amcsandbox", *made]


def test_instances_survive_a_restart(serve, tmp_path):
    first = serve(state_dir=tmp_path, speed="realistic")
    made = create(first.api, "Kept over night", idempotencyToken="t")
    first.api.call("DELETE", "instances/amcsandbox")
    first.server.advance_clock(300)
    first.close()
    again = serve(state_dir=tmp_path, speed="realistic")
    listed = again.api.call("GET", "instances").json()["instances"]
    assert [(one["instanceId"], one["creationStatus"]) for one in listed] == [
        ("amcemulator", "COMPLETED"),
        (made["instanceId"], "COMPLETED"),
    ]
    assert create(again.api, "Kept over night", idempotencyToken="t")["instanceId"] == made["instanceId"]


# -- self service ----------------------------------------------------------------------------------------------------
REFUSED = (400, "This operation is not supported for instances of self-service access.")


@pytest.mark.covers("switch", "access")
@pytest.mark.covers("rule", "self service: the first look at the instances creates one")
def test_self_service_creates_the_instance_at_the_first_look(serve):
    served = serve(access="self_service", speed="realistic")
    api = served.api
    assert refusal(api.call("GET", "instances/amcemulator")) == (403, "Unauthorized request.")
    (one,) = api.call("GET", "instances").json()["instances"]
    assert (one["instanceId"], one["creationStatus"]) == ("amcemulator", "REQUESTED")
    assert refusal(api.reporting("GET", "workflows"))[0] == 400
    served.server.advance_clock(300)
    (one,) = api.call("GET", "instances").json()["instances"]
    assert (one["creationStatus"], one["advertiserTypes"]) == ("COMPLETED", ["SPONSORED_ADS"])
    assert api.reporting("GET", "workflows").status_code == 200


@pytest.mark.covers("rule", "self service: no creation, deletion, sandbox or choice of advertisers")
def test_self_service_refuses(serve):
    api = serve(access="self_service").api
    assert [one["instanceType"] for one in api.call("GET", "instances").json()["instances"]] == ["STANDARD"]
    path = "instances/amcemulator"
    advertiser = {"advertisersToAdd": [{"id": "580000000000000002", "type": "DISPLAY"}]}
    for answer in (
        api.call("POST", "instances", {"instanceName": "Another"}),
        api.call("DELETE", path),
        api.call("PUT", path, {"advertiserName": "My brand"}),
        api.call("POST", f"{path}/advertisers/updates", advertiser),
        api.call("GET", f"{path}/advertisers/updates"),
        api.call("GET", f"{path}/advertisers/updates/0"),
    ):
        assert refusal(answer) == REFUSED
    renamed = api.call("PUT", path, {"instanceName": "New name"})
    assert (renamed.status_code, renamed.json()["instance"]["instanceName"]) == (200, "New name")
