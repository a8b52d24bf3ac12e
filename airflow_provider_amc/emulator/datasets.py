"""Data sets of advertisers and their columns.

Facts: AMC API documentation, "Advertiser data upload: data sets", "Dataset columns", and Amazon's OpenAPI file for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from airflow_provider_amc.emulator import columns
from airflow_provider_amc.emulator.api import Call, Operation
from airflow_provider_amc.emulator.config import AUDIENCES_SCOPE, CAMPAIGN_SCOPE
from airflow_provider_amc.emulator.errors import UPLOADS, ApiError, amc_error, bad_request

KIND = "dataSet"
#: Data sets that an instance may have.
LIMIT = 5000
PREFIX = "/amc/advertiserData/{instance_id}"
STATUSES = frozenset({400, 401, 403, 404, 429, 500, 504})

_MEDIA = "application/vnd.amcadvertiserdataset.v1+json"
_COLUMN_MEDIA = "application/vnd.amcadvertiserdatasetcolumn.v1+json"
_PATH = PREFIX + "/dataSets"
_ID = re.compile(r"[a-z0-9_]+")
#: The last part of the path that lists them.
_RESERVED = "list"


def operation(
    name: str, method: str, path: str, handler: Callable[[Call], Any], media_type: str, **more: Any
) -> Operation:
    """An operation of advertiser data upload."""
    return Operation(
        name,
        method,
        path,
        handler,
        media_type,
        scopes=(CAMPAIGN_SCOPE, AUDIENCES_SCOPE),
        errors=UPLOADS,
        known_statuses=STATUSES,
        **more,
    )


def not_found(text: str) -> ApiError:
    """The error for what does not exist."""
    return amc_error(404, text)


def find(call: Call, data_set_id: str) -> dict[str, Any]:
    """A data set of the instance.

    :raises ApiError: 404 when there is none.
    """
    document = call.emulator.store.get_document(KIND, call.instance_id, data_set_id)
    if document is None:
        raise not_found(f"Data set with ID {data_set_id} does not exist.")
    return document


def next_token(body: dict[str, Any], token: str | None) -> dict[str, Any]:
    """The body with the token of the next page, if there is one."""
    return body if token is None else {**body, "nextToken": token}


def _new(call: Call, given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise bad_request("dataSet must be specified.")
    data_set_id = given.get("dataSetId")
    if not isinstance(data_set_id, str) or not _ID.fullmatch(data_set_id) or data_set_id == _RESERVED:
        raise bad_request(
            f"Invalid value '{data_set_id}' for dataSetId: only lowercase letters, digits and underscores are allowed, "
            f"and it cannot be '{_RESERVED}'."
        )
    kept = columns.columns(given.get("columns"))
    document: dict[str, Any] = {"dataSetId": data_set_id, "columns": kept, **columns.country(given)}
    period = given.get("period")
    if period not in (None, *columns.PERIODS):
        raise bad_request(f"Invalid value '{period}' for period: expected one of {', '.join(columns.PERIODS)}.")
    if columns.role(kept, "isMainEventTime") is not None:
        document["period"] = period or columns.DEFAULT_PERIOD
    for name in ("description", "customerEncryptionKeyArn"):
        text = columns.description(given, name)
        if text is not None:
            document[name] = text
    return document


async def create_data_set(call: Call) -> Response:
    """Create a data set."""
    document = _new(call, (await call.body()).get("dataSet"))
    store, data_set_id = call.emulator.store, document["dataSetId"]
    if store.count_documents(KIND, call.instance_id) >= LIMIT:
        raise bad_request(
            f"The instance {call.instance_id} has {LIMIT} data sets already, which is the most it can have."
        )
    if not store.add_document(KIND, call.instance_id, data_set_id, document):
        raise bad_request(f"Data set with ID {data_set_id} already exists.")
    await _rebuild(call, document)
    return call.answer({"dataSetId": data_set_id, "instanceId": call.instance_id})


async def _rebuild(call: Call, document: dict[str, Any], renamed: dict[str, str] | None = None) -> None:
    """Make the table fit its data set again."""
    shelf, instance_id, name = call.emulator.shelf, call.instance_id, document["dataSetId"]

    def work() -> None:
        from airflow_provider_amc.emulator import ingest

        rows = shelf.rows(instance_id, name)
        if rows is not None and renamed:
            rows = rows.rename_columns([renamed.get(one, one) for one in rows.column_names])
        shelf.put(columns.table_of(instance_id, document), ingest.fitted(rows, document["columns"]))

    await call.emulator.the_background().alone(work)


async def list_data_sets(call: Call) -> Response:
    """All data sets of an instance, oldest first."""
    limit = call.limit(name="maxResults")
    found = call.emulator.store.page_documents(KIND, call.instance_id, call.after() or 0, limit + 1)
    token = call.token(found[limit - 1][0]) if len(found) > limit else None
    return call.answer(next_token({"dataSets": [document for _, document in found[:limit]]}, token))


async def get_data_set(call: Call) -> Response:
    """One data set."""
    return call.answer({"dataSet": find(call, call.path("data_set_id"))})


async def update_data_set(call: Call) -> Response:
    """Change the description or the country of a data set."""
    document = find(call, call.path("data_set_id"))
    body = await call.body()
    text = columns.description(body, "description", columns.DESCRIPTION_LIMIT)
    document.update({**columns.country(body), **({} if text is None else {"description": text})})
    return await _changed(call, document)


async def _changed(call: Call, document: dict[str, Any], renamed: dict[str, str] | None = None) -> Response:
    call.emulator.store.replace_document(KIND, call.instance_id, document["dataSetId"], document)
    await _rebuild(call, document, renamed)
    return call.answer({"dataSet": document})


async def delete_data_set(call: Call) -> Response:
    """Delete a data set with its rows."""
    data_set_id = find(call, call.path("data_set_id"))["dataSetId"]
    call.emulator.store.delete_document(KIND, call.instance_id, data_set_id)
    shelf = call.emulator.shelf
    await call.emulator.the_background().alone(lambda: shelf.drop(call.instance_id, data_set_id))
    return call.answer({"dataSetId": data_set_id, "instanceId": call.instance_id})


# -- columns -------------------------------------------------------------------------------------------------------
async def add_column(call: Call) -> Response:
    """Add a column to a data set."""
    document = find(call, call.path("data_set_id"))
    given = (await call.body()).get("column")
    if given is None:
        raise bad_request("column must be specified.")
    added = columns.column(given)
    for flag in ("isMainUserId", "isMainUserIdType", "isMainEventTime"):
        if added[flag]:
            raise bad_request(f"A column with {flag} cannot be added to a data set: create the data set anew.")
    document["columns"] = columns.with_user([*document["columns"], added])
    columns.check_together(document["columns"])
    return await _changed(call, document)


def _column(call: Call, document: dict[str, Any]) -> dict[str, Any]:
    name = call.path("column_name")
    for one in document["columns"]:
        if one["name"] == name:
            return dict(one)
    raise not_found(f"Data set with ID {document['dataSetId']} has no column {name}.")


async def update_column(call: Call) -> Response:
    """Change the name or the description of a column."""
    document = find(call, call.path("data_set_id"))
    before = _column(call, document)
    body = await call.body()
    after = dict(before)
    if body.get("updatedColumnName") is not None:
        after["name"] = columns.column_name(body["updatedColumnName"], "updatedColumnName")
    text = columns.description(body, "updateDescription", columns.DESCRIPTION_LIMIT)
    if text is not None:
        after["description"] = text
    document["columns"] = [after if one == before else one for one in document["columns"]]
    columns.check_together(document["columns"])
    return await _changed(call, document, {before["name"]: after["name"]})


async def delete_column(call: Call) -> Response:
    """Delete a column with its values."""
    document = find(call, call.path("data_set_id"))
    gone = _column(call, document)
    for flag in ("isMainEventTime", "isMainUserId"):
        if gone[flag]:
            raise bad_request(f"The column {gone['name']} with {flag} cannot be deleted.")
    document["columns"] = [one for one in document["columns"] if one != gone]
    if not document["columns"]:
        raise bad_request(f"The column {gone['name']} cannot be deleted: a data set needs a column.")
    return await _changed(call, document)


OPERATIONS = (
    operation("CreateDataSet", "POST", _PATH, create_data_set, _MEDIA),
    operation("ListDataSets", "POST", _PATH + "/list", list_data_sets, _MEDIA),
    operation("GetDataSet", "GET", _PATH + "/{data_set_id}", get_data_set, _MEDIA),
    operation("UpdateDataSet", "PUT", _PATH + "/{data_set_id}", update_data_set, _MEDIA),
    operation("DeleteDataSet", "DELETE", _PATH + "/{data_set_id}", delete_data_set, _MEDIA),
    operation("AddColumnToDataSet", "POST", _PATH + "/{data_set_id}/columns", add_column, _COLUMN_MEDIA),
    operation(
        "UpdateColumnInDataSet", "PUT", _PATH + "/{data_set_id}/columns/{column_name}", update_column, _COLUMN_MEDIA
    ),
    operation(
        "DeleteColumnFromDataSet",
        "DELETE",
        _PATH + "/{data_set_id}/columns/{column_name}",
        delete_column,
        _COLUMN_MEDIA,
    ),
)
