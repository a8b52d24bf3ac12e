"""Members of advertisers' audiences: records that add and remove them, and the jobs that do it.

Facts: AMC API documentation, "Advertiser audiences", and Amazon's OpenAPI file for them. What is wrong with the shape of a
record is refused at once; what is wrong with its values makes it an invalid record of the job.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from airflow_provider_amc.emulator import advertiser_audiences, background, connections
from airflow_provider_amc.emulator.advertiser_audiences import EVERYWHERE, JOB_KIND, operation
from airflow_provider_amc.emulator.api import Call
from airflow_provider_amc.emulator.columns import HASH
from airflow_provider_amc.emulator.errors import amc_error, bad_request

if TYPE_CHECKING:
    from airflow_provider_amc.emulator.context import Emulator

#: Records of one call, and sets of hashed identities of one record.
LIMIT, PII_LIMIT = 10_000, 100
_PATH = "/amc/audiences/records"
#: Names of the hashed identities of a record, and what kinds they are.
PII = {
    "email": "EMAIL",
    "phone": "PHONE",
    "firstname": "FIRST_NAME",
    "lastname": "LAST_NAME",
    "address": "ADDRESS",
    "city": "CITY",
    "state": "STATE",
    "postal": "ZIP",
}
#: In place of an instance for members who are in Amazon DSP only; no query can name its tables.
DSP_ONLY = "~dsp"
_EXTERNAL_ID = re.compile(r"[0-9a-zA-Z_-]{1,128}")
_ACTIONS = ("CREATE", "DELETE")
_CONSENTS = ("DENIED", "GRANTED", "NOT_APPLICABLE", "UNKNOWN")
_SUCCEEDED, _PARTIAL, _FAILED = "SUCCEEDED", "PARTIALLYSUCCEEDED", "FAILED"


def kind(emulator: Emulator) -> background.Kind:
    """What a job is as background work."""
    store, shelf = emulator.store, emulator.shelf

    def begin(instance_id: str, body: dict[str, Any]) -> Callable[[], dict[str, Any]]:
        audience = store.get_document(advertiser_audiences.KIND, EVERYWHERE, str(body["_audienceId"]))

        def work() -> dict[str, Any]:
            from airflow_provider_amc.emulator import audience_tables

            records = body["_records"]
            if audience is None:
                wrong = dict.fromkeys(range(len(records)), f"Audience with ID {body['_audienceId']} does not exist.")
                return _outcome(body, wrong, 0, 0)
            wrong = {number: text for number, one in enumerate(records) if (text := _problem(one)) is not None}
            wrong.update(dict.fromkeys(range(min(body["_ordered"], len(records))), body["_reason"]))
            change = audience_tables.Change(
                instance_id=body["_instance"],
                audience_id=body["_audienceId"],
                ttl=audience["metadata"]["ttl"],
                made=datetime.fromtimestamp(body[background.CREATED], UTC).replace(tzinfo=None),
                records=[one for number, one in enumerate(records) if number not in wrong],
                mark=body["jobRequestId"],
            )
            return _outcome(body, wrong, *audience_tables.apply(change, emulator.matcher, shelf))

        return work

    return background.Kind(JOB_KIND, begin, (30.0, 900.0), lambda text: {"jobState": _FAILED})


def _outcome(body: Mapping[str, Any], wrong: Mapping[int, str], matched: int, members: int) -> dict[str, Any]:
    """The fields of a job that has ended."""
    records = body["_records"]
    state = _SUCCEEDED if not wrong else _FAILED if len(wrong) == len(records) else _PARTIAL
    return {
        "jobState": state,
        "successful": {"recordsProcessedRate": round(100 * (len(records) - len(wrong)) / len(records), 2)},
        "invalidRecords": [
            {"audienceId": str(body["_audienceId"]), "externalId": records[number]["externalUserId"], "error": text}
            for number, text in sorted(wrong.items())
        ],
        "audienceSize": {
            "receivedRecordSize": len(records),
            "idResolutionCount": matched,
            "dspAudienceSize": members if body["_dsp"] else 0,
        },
        "_records": [],
    }


def _problem(record: Mapping[str, Any]) -> str | None:
    """Why a record is invalid; the value itself is not told."""
    for identity in record["hashedPII"]:
        for name, value in identity.items():
            if not re.fullmatch(HASH, value):
                return f"The {name} of hashedPII is not hashed with SHA-256 (64 hexadecimal digits)."
        if not identity:
            return "An entry of hashedPII has no value."
    return None


def _checked(given: Any, number: int) -> dict[str, Any]:
    """A record of a request.

    :raises ApiError: 400 when its shape is wrong.
    """
    place = f"records[{number}]"
    if not isinstance(given, dict):
        raise bad_request(f"{place} must be an object.")
    external_id = given.get("externalUserId")
    if not isinstance(external_id, str) or not _EXTERNAL_ID.fullmatch(external_id):
        raise bad_request(f"The externalUserId of {place} must be 1 to 128 letters, digits, dashes and underscores.")
    if given.get("action") not in _ACTIONS:
        raise bad_request(f"The action of {place} must be one of {', '.join(_ACTIONS)}.")
    identities = given.get("hashedPII")
    if not isinstance(identities, list) or not 1 <= len(identities) <= PII_LIMIT:
        raise bad_request(f"The hashedPII of {place} must be a list of 1 to {PII_LIMIT} objects.")
    for identity in identities:
        if not isinstance(identity, dict) or not all(isinstance(value, str) for value in identity.values()):
            raise bad_request(f"The hashedPII of {place} must be a list of objects with texts.")
        if not identity.keys() <= set(PII):
            raise bad_request(f"The hashedPII of {place} can have {', '.join(PII)} only.")
    _check_consent(given.get("userConsent"), place)
    return {"externalUserId": external_id, "action": given["action"], "hashedPII": identities}


def _check_consent(given: Any, place: str) -> None:
    amazon = given.get("consent", {}) if isinstance(given, dict) else {} if given is None else None
    amazon = amazon.get("amzn", {}) if isinstance(amazon, dict) else None
    if not isinstance(amazon, dict):
        raise bad_request(f"The userConsent of {place} must be an object.")
    for name in ("amznAdStorage", "amznUserData"):
        if amazon.get(name) not in (None, *_CONSENTS):
            raise bad_request(f"The {name} of {place} must be one of {', '.join(_CONSENTS)}.")


def _records(given: Any) -> list[dict[str, Any]]:
    if not isinstance(given, list) or not given:
        raise bad_request("records must be specified.")
    if len(given) > LIMIT:
        raise bad_request(f"At most {LIMIT} records can be sent in one request.")
    checked = [_checked(one, number) for number, one in enumerate(given)]
    for number, one in enumerate(given):
        if "countryCode" in one and not isinstance(one["countryCode"], str):
            raise bad_request(f"The countryCode of records[{number}] must be a string.")
    return checked


def _connection(call: Call, given: Any) -> Mapping[str, Any]:
    """The connection that the records go to: the one that is named, else the default one, if there is any."""
    if given is None:
        return connections.default(call) or {}
    if not isinstance(given, dict):
        raise bad_request("targetResource must be an object.")
    targets = given.get("targetTypes")
    if targets is not None and (not isinstance(targets, list) or targets not in ([], ["DSP"])):
        raise bad_request("targetTypes can have DSP only.")
    connection_id = given.get("connectionId")
    if not connection_id:
        return connections.default(call) or {}
    found = connections.find(call, str(connection_id))
    if found is None:
        raise bad_request(f"Connection with ID {connection_id} does not exist.")
    return {name: value for name, value in found.items() if not (targets and name == "amcInstanceId")}


async def manage_audience(call: Call) -> Response:
    """Add and remove members of an audience."""
    body = await call.body()
    audience_id = body.get("audienceId")
    if not advertiser_audiences.is_number(audience_id):
        raise bad_request("audienceId must be specified as a number.")
    records = _records(body.get("records"))
    connection = _connection(call, body.get("targetResource"))
    audience = advertiser_audiences.find(call, int(str(audience_id).partition(".")[0]))
    job_id = str(uuid.uuid4())
    fail, invalid, duration = call.fault("fail"), call.fault("invalid_records"), call.fault("duration")
    forced = None
    if fail is not None:
        forced = {"jobState": fail.value or _FAILED, "successful": {"recordsProcessedRate": 0}, "invalidRecords": []}
    call.emulator.the_background().submit(
        JOB_KIND,
        EVERYWHERE,
        job_id,
        {
            "jobRequestId": job_id,
            "jobState": "PENDING",
            "_audienceId": audience_id,
            "_records": records,
            "_instance": connection.get("amcInstanceId", DSP_ONLY),
            "_dsp": "dspAdvertiserId" in connection or bool(audience and "advertiserId" in audience),
            "_ordered": (invalid.records or 1) if invalid is not None else 0,
            "_reason": (invalid.reason or "Invalid record.") if invalid is not None else "",
        },
        lane=str(audience_id),
        seconds=(duration.seconds or 0.0) if duration is not None else None,
        forced=forced,
    )
    return call.answer({"jobRequestId": job_id}, status=202)


async def get_job(call: Call) -> Response:
    """One job."""
    job_id = call.path("job_id")
    document = call.emulator.store.get_document(JOB_KIND, EVERYWHERE, job_id)
    if document is None:
        raise amc_error(404, f"Job with ID {job_id} does not exist.")
    fault = call.fault("unknown_status")
    changed = {"jobState": fault.value or "UNKNOWN"} if fault is not None else {}
    return call.answer({**background.shown(document), **changed})


OPERATIONS = (
    operation("ManageAudienceV2", "POST", _PATH, manage_audience, 501, terms=True),
    operation("ManageAudienceStatusV2", "GET", _PATH + "/{job_id}", get_job, 404),
)
