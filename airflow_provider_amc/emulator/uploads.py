"""Uploads from S3 into data sets.

Facts: AMC API documentation, "Advertiser data upload: upload data" and "Appendix", and Amazon's OpenAPI file for it. That
file and the guide name the statuses of an upload differently, which the setting ``upload_statuses`` decides.
"""

from __future__ import annotations

import operator
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from airflow_provider_amc.emulator import background, columns, datasets, rowfiles
from airflow_provider_amc.emulator.api import Call
from airflow_provider_amc.emulator.clock import zulu
from airflow_provider_amc.emulator.config import parse_now
from airflow_provider_amc.emulator.errors import bad_request
from airflow_provider_amc.emulator.s3source import S3Source

if TYPE_CHECKING:
    from airflow_provider_amc.emulator.context import Emulator

KIND = "upload"
#: Statuses by the OpenAPI file, and what the guide calls them.
STATUSES = {"SUBMITTED": "PENDING", "IN_PROGRESS": "PENDING", "SUCCESS": "COMPLETED", "FAILED": "FAILED"}
_MEDIA = "application/vnd.amcadvertiserdataupload.v1+json"
_PATH = datasets.PREFIX + "/uploads"
_SOURCES = ("sourceFileS3Key", "sourceS3Prefix", "sourceManifestS3Key")
_FORMATS = ("csvDataFormat", "jsonDataFormat", "parquetDataFormat")
_BUCKET_LENGTH = range(3, 64)
_RETIRED = "ZIP"
_COMPARATORS: dict[str, Callable[[float, float], bool]] = {
    "EQ": operator.eq,
    "GT": operator.gt,
    "GTE": operator.ge,
    "LT": operator.lt,
    "LTE": operator.le,
}


def kind(emulator: Emulator) -> background.Kind:
    """What an upload is as background work."""
    config, store, shelf = emulator.config, emulator.store, emulator.shelf

    def begin(instance_id: str, body: dict[str, Any]) -> Callable[[], dict[str, Any]]:
        data_set = store.get_document(datasets.KIND, instance_id, body["dataSetId"])
        if data_set is None:
            return lambda: {"status": "FAILED", "message": f"Data set with ID {body['dataSetId']} does not exist."}

        def work() -> dict[str, Any]:
            from airflow_provider_amc.emulator import ingest

            order = ingest.UploadOrder(
                instance_id=instance_id,
                upload_id=body["uploadId"],
                data_set=data_set,
                source=body["dataSource"],
                file_format=body["_format"],
                compression=body["_compression"],
                strategy=body["_strategy"],
            )
            s3 = S3Source(config.s3_endpoint_url, config.bucket_tags)
            try:
                count = ingest.upload(order, s3, emulator.matcher, shelf)
            except ingest.RejectedError as error:
                return {"status": "FAILED", "message": str(error)}
            return {"status": "SUCCESS", "metrics": {"OutputRowCount": count}}

        return work

    return background.Kind(KIND, begin, (20.0, 600.0), lambda text: {"status": "FAILED", "message": text})


def _source(given: Any) -> dict[str, str]:
    if not isinstance(given, dict):
        raise bad_request("dataSource must be specified.")
    bucket = given.get("sourceS3Bucket")
    if not isinstance(bucket, str) or len(bucket) not in _BUCKET_LENGTH:
        raise bad_request(f"Invalid value '{bucket}' for sourceS3Bucket: expected the name of a bucket.")
    named = [name for name in _SOURCES if given.get(name) is not None]
    if len(named) != 1:
        raise bad_request(f"Exactly one of {', '.join(_SOURCES)} must be provided.")
    value = given[named[0]]
    if not isinstance(value, str) or not value:
        raise bad_request(f"Invalid value '{value}' for {named[0]}: expected a string.")
    return {"sourceS3Bucket": bucket, named[0]: value}


def _format(given: Any) -> dict[str, Any]:
    named = [name for name in _FORMATS if isinstance(given, dict) and given.get(name) is not None]
    if len(named) != 1:
        raise bad_request(f"Exactly one of {', '.join(_FORMATS)} must be provided.")
    name, value = named[0], given[named[0]]
    if name == "csvDataFormat":
        _check_csv(value)
    elif name == "jsonDataFormat" and value not in ("LINES", "DOCUMENT"):
        raise bad_request(f"Invalid value '{value}' for jsonDataFormat: expected LINES or DOCUMENT.")
    elif name == "parquetDataFormat" and value not in ("PARQUET_DATA_FORMAT", {}):
        raise bad_request(f"Invalid value '{value}' for parquetDataFormat: expected PARQUET_DATA_FORMAT.")
    return {name: value}


def _check_csv(given: Any) -> None:
    if not isinstance(given, dict):
        raise bad_request("Invalid value for csvDataFormat: expected an object.")
    for option, value in given.items():
        if option not in rowfiles.CSV_DEFAULTS:
            raise bad_request(f"Unknown option {option} of csvDataFormat.")
        if not isinstance(value, str):
            raise bad_request(f"Invalid value for {option}: expected a string.")
    if len(given.get("fieldDelimiter", ",")) != 1 or len(given.get("quoteCharacter", "")) > 1:
        raise bad_request("Invalid value for fieldDelimiter or quoteCharacter: expected one character.")
    if len(given.get("quoteEscapeCharacter", "")) > 1 and given["quoteEscapeCharacter"] != '""':
        raise bad_request("Invalid value for quoteEscapeCharacter: expected one character, or a doubled quote.")
    if not given.get("recordDelimiter", "\n"):
        raise bad_request("Invalid value for recordDelimiter: expected at least one character.")


def _order(body: Mapping[str, Any], data_set: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a request, checked."""
    strategy, compression = body.get("updateStrategy"), body.get("compressionFormat")
    if strategy not in columns.STRATEGIES:
        raise bad_request(
            f"Invalid value '{strategy}' for updateStrategy: expected one of {', '.join(columns.STRATEGIES)}."
        )
    if strategy in columns.OF_FACTS and columns.role(data_set["columns"], "isMainEventTime") is None:
        raise bad_request(
            f"The updateStrategy {strategy} applies to FACT data sets only, and {data_set['dataSetId']} has no column "
            "with isMainEventTime."
        )
    if compression == _RETIRED:
        raise bad_request(f"The compressionFormat {_RETIRED} is no longer supported.")
    if compression not in rowfiles.COMPRESSIONS:
        raise bad_request(
            f"Invalid value '{compression}' for compressionFormat: expected one of {', '.join(rowfiles.COMPRESSIONS)}."
        )
    return {
        "dataSource": _source(body.get("dataSource")),
        **columns.country(body),
        "_format": _format(body.get("fileFormat")),
        "_compression": compression,
        "_strategy": strategy,
    }


async def create_upload(call: Call) -> Response:
    """Start an upload."""
    data_set = datasets.find(call, call.path("data_set_id"))
    fields = _order(await call.body(), data_set)
    upload_id = str(uuid.uuid4())
    fault, duration = call.fault("fail"), call.fault("duration")
    forced = None
    if fault is not None:
        forced = {"status": fault.value or "FAILED", "message": fault.reason or "Upload failed."}
    call.emulator.the_background().submit(
        KIND,
        call.instance_id,
        upload_id,
        {"uploadId": upload_id, "dataSetId": data_set["dataSetId"], "instanceId": call.instance_id, **fields},
        lane=f"{call.instance_id}/{data_set['dataSetId']}",
        seconds=(duration.seconds or 0.0) if duration is not None else None,
        forced=forced,
    )
    return call.answer({"status": _named(call, "SUBMITTED"), "uploadId": upload_id})


def _status(call: Call, document: Mapping[str, Any]) -> str:
    if document[background.ENDED] is not None:
        return str(document["status"])
    return "IN_PROGRESS" if call.emulator.the_background().begun(document) else "SUBMITTED"


def _named(call: Call, status: str) -> str:
    return STATUSES.get(status, status) if call.emulator.config.upload_statuses == "guide" else status


def _shown(call: Call, document: Mapping[str, Any]) -> dict[str, Any]:
    status = _status(call, document)
    moment = document[background.ENDED]
    if moment is None:
        moment = document[background.CREATED if status == "SUBMITTED" else background.STARTS]
    fault = call.fault("unknown_status")
    return {
        **background.shown(document),
        "status": fault.value or "UNKNOWN" if fault is not None else _named(call, status),
        "metrics": document.get("metrics", {}),
        "createdAt": _time(document[background.CREATED]),
        "updatedAt": _time(moment),
    }


def _time(seconds: float) -> str:
    return zulu(datetime.fromtimestamp(seconds, UTC))


def _since(call: Call) -> Callable[[Mapping[str, Any]], bool]:
    """The filter by time of creation, which has whole seconds in the API."""
    text, name = call.query("createdAt"), call.query("createdAtComparator")
    if text is None and name is None:
        return lambda document: True
    if text is None or name is None:
        raise bad_request("createdAt and createdAtComparator must be specified together.")
    if name not in _COMPARATORS:
        raise bad_request(f"Invalid value '{name}' for createdAtComparator: expected one of {', '.join(_COMPARATORS)}.")
    try:
        moment = parse_now(text).timestamp()
    except ValueError:
        raise bad_request(
            f"Invalid value '{text}' for createdAt: expected a time such as 2026-01-01T00:00:00Z."
        ) from None
    return lambda document: _COMPARATORS[name](float(int(document[background.CREATED])), float(int(moment)))


async def list_uploads(call: Call) -> Response:
    """All uploads of an instance, oldest first."""
    limit, wanted, data_set_id = call.limit(name="maxResults"), call.query("status"), call.query("dataSetId")
    known = sorted({_named(call, status) for status in STATUSES})
    if wanted is not None and wanted not in known:
        raise bad_request(f"Invalid value '{wanted}' for status: expected one of {', '.join(known)}.")
    since = _since(call)
    found = [
        document
        for document in call.emulator.store.documents(KIND, call.instance_id)
        if data_set_id in (None, document["dataSetId"])
        and wanted in (None, _named(call, _status(call, document)))
        and since(document)
    ]
    chosen, token = call.page(found, limit)
    return call.answer(datasets.next_token({"uploads": [_shown(call, document) for document in chosen]}, token))


async def get_upload(call: Call) -> Response:
    """One upload."""
    upload_id = call.path("upload_id")
    document = call.emulator.store.get_document(KIND, call.instance_id, upload_id)
    if document is None or document["dataSetId"] != call.path("data_set_id"):
        raise datasets.not_found(f"Upload with ID {upload_id} does not exist.")
    return call.answer({"upload": _shown(call, document)})


OPERATIONS = (
    datasets.operation("ListUploads", "POST", _PATH + "/list", list_uploads, _MEDIA),
    datasets.operation("CreateUpload", "POST", _PATH + "/{data_set_id}", create_upload, _MEDIA),
    datasets.operation("GetUpload", "GET", _PATH + "/{data_set_id}/{upload_id}", get_upload, _MEDIA),
)
