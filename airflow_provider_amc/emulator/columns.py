"""Columns of advertisers' data sets: what a definition may say, and the table that queries read.

Facts: AMC API documentation, "Advertiser data upload: data sets", "Prepare data", and the enumerations of Amazon's
OpenAPI file for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_amc.emulator.api import boolean
from airflow_provider_amc.emulator.errors import bad_request
from airflow_provider_amc.emulator.shelf import AdvertiserColumn, AdvertiserTable
from airflow_provider_amc.sql import catalogue

#: Columns that a data set may have.
COLUMN_LIMIT = 100
#: Longest description that can be given later.
DESCRIPTION_LIMIT = 255
DATA_TYPES = ("DATE", "DECIMAL", "INTEGER", "LONG", "STRING", "TIMESTAMP")
#: Kinds of identity: hashed personal data, and ids of other providers.
HASHED_PII = ("ADDRESS", "CITY", "COUNTRY_CODE", "EMAIL", "FIRST_NAME", "LAST_NAME", "PHONE", "STATE", "ZIP")
EXTERNAL_IDS = ("EXPERIAN", "IDFA", "KANTAR", "LIVERAMP", "MAID", "MERKLE", "NEUSTAR", "REALID", "SAMBATV")
#: What a value hashed with SHA-256 looks like.
HASH = "[0-9a-fA-F]{64}"
CONSENT_TYPES = ("AMZN_AD_STORAGE", "AMZN_USER_DATA", "GPP", "TCF")
#: What an upload does with the rows of a data set; the last two compare periods of time, which only data sets with a main
#: event time have.
ADDITIVE, FULL_REPLACE, OVERLAP_REPLACE, OVERLAP_KEEP = STRATEGIES = (
    "ADDITIVE",
    "FULL_REPLACE",
    "OVERLAP_REPLACE",
    "OVERLAP_KEEP",
)
OF_FACTS = (OVERLAP_REPLACE, OVERLAP_KEEP)
#: Sizes of the partitions of data sets with a main event time, and the units of time they are.
PERIODS = {"PT1H": "hour", "P1D": "day", "P1M": "month"}
DEFAULT_PERIOD = "P1D"
COUNTRY = re.compile(r"[A-Z]{2}")
#: Aggregation threshold of what advertisers upload: 100 users, and comparing with literals is allowed.
_THRESHOLD = "MEDIUM"
_USER_ID, _USER_ID_TYPE = "user_id", "user_id_type"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FLAGS = ("isMainEventTime", "isMainUserId", "isMainUserIdType", "isCountryCode", "requiresOneWayHashing")
_ROLES = {
    "isMainEventTime": ("TIMESTAMP", "DATE"),
    "isMainUserId": ("STRING",),
    "isMainUserIdType": ("STRING",),
    "isCountryCode": ("STRING",),
}


def _one_of(value: Any, field: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise bad_request(f"Invalid value '{value}' for {field}: expected one of {', '.join(choices)}.")


def country(body: Mapping[str, Any]) -> dict[str, str]:
    """The country code of a body, if it has one.

    :raises ApiError: 400 unless it is two capital letters.
    """
    value = body.get("countryCode")
    if value is None:
        return {}
    if not isinstance(value, str) or not COUNTRY.fullmatch(value):
        raise bad_request(f"Invalid value '{value}' for countryCode: expected two capital letters, such as US.")
    return {"countryCode": value}


def description(body: Mapping[str, Any], field: str, limit: int | None = None) -> str | None:
    """A description of a body.

    :raises ApiError: 400 for another type, or when it is too long.
    """
    value = body.get(field)
    if value is not None and not isinstance(value, str):
        raise bad_request(f"Invalid value for {field}: expected a string.")
    if value is not None and limit is not None and len(value) > limit:
        raise bad_request(f"Invalid value for {field}: at most {limit} characters are allowed.")
    return value


def column_name(value: Any, field: str = "name") -> str:
    """The name of a column.

    :raises ApiError: 400 when SQL could not name it.
    """
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise bad_request(
            f"Invalid value '{value}' for {field} of a column: only letters, digits and underscores are allowed."
        )
    return value


def column(given: Any) -> dict[str, Any]:
    """A column as it is kept, with its defaults.

    :param given: the column of a request.
    :raises ApiError: 400 naming what is wrong.
    """
    if not isinstance(given, dict):
        raise bad_request("A column must be an object.")
    name = column_name(given.get("name"))
    _one_of(given.get("columnType"), f"columnType of the column {name}", (catalogue.DIMENSION, catalogue.METRIC))
    _one_of(given.get("dataType"), f"dataType of the column {name}", DATA_TYPES)
    kept: dict[str, Any] = {
        "name": name,
        "columnType": given["columnType"],
        "dataType": given["dataType"],
        "nullable": boolean(given, "nullable", default=True),
        **{flag: boolean(given, flag) for flag in _FLAGS},
    }
    text = description(given, "description")
    if text is not None:
        kept["description"] = text
    if given.get("externalUserIdType") is not None:
        kept["externalUserIdType"] = _external_id(given["externalUserIdType"], name)
    if given.get("consentType") is not None:
        _one_of(given["consentType"], f"consentType of the column {name}", CONSENT_TYPES)
        kept["consentType"] = given["consentType"]
    _check_roles(kept)
    return kept


def _external_id(given: Any, name: str) -> dict[str, str]:
    field = f"externalUserIdType of the column {name}"
    if not isinstance(given, dict) or len(given.keys() & {"hashedPii", "externalIdentity"}) != 1:
        raise bad_request(f"Invalid value for {field}: exactly one of hashedPii and externalIdentity is expected.")
    if "hashedPii" in given:
        _one_of(given["hashedPii"], field, HASHED_PII)
        return {"hashedPii": given["hashedPii"]}
    _one_of(given["externalIdentity"], field, EXTERNAL_IDS)
    return {"externalIdentity": given["externalIdentity"]}


def _check_roles(kept: Mapping[str, Any]) -> None:
    name = kept["name"]
    for flag, types in _ROLES.items():
        if kept[flag] and kept["dataType"] not in types:
            raise bad_request(f"The column {name} with {flag} must have the dataType {' or '.join(types)}.")
    for flag in ("isMainUserId", "isMainUserIdType"):
        if kept[flag] and kept["columnType"] == catalogue.METRIC:
            raise bad_request(f"The column {name} with {flag} cannot be a METRIC.")
    if (kept.get("externalUserIdType") or kept.get("consentType")) and kept["dataType"] != "STRING":
        raise bad_request(f"The column {name} with an identity or a consent must have the dataType STRING.")


def columns(given: Any) -> list[dict[str, Any]]:
    """The columns of a new data set; those of the matched user are added where identities ask for them.

    :param given: the columns of the request.
    :raises ApiError: 400 naming what is wrong.
    """
    if not isinstance(given, list) or not given:
        raise bad_request("columns must be specified.")
    kept = with_user([column(one) for one in given])
    check_together(kept)
    return kept


def check_together(kept: Sequence[Mapping[str, Any]]) -> None:
    """Check what the columns of a data set must be together.

    :raises ApiError: 400 naming what is wrong.
    """
    if len(kept) > COLUMN_LIMIT:
        raise bad_request(f"A data set can have at most {COLUMN_LIMIT} columns.")
    seen: set[str] = set()
    for one in kept:
        if one["name"].lower() in seen:
            raise bad_request(f"The column {one['name']} is defined multiple times.")
        seen.add(one["name"].lower())
    for flag in _ROLES:
        if sum(bool(one[flag]) for one in kept) > 1:
            raise bad_request(f"Only one column can have {flag}.")
    consents = [one["consentType"] for one in kept if one.get("consentType")]
    for consent in CONSENT_TYPES:
        if consents.count(consent) > 1:
            raise bad_request(f"Only one column can have the consentType {consent}.")


def with_user(kept: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The columns, and those of the matched user if there are identities and nobody defined them."""
    if not any(one.get("externalUserIdType") for one in kept):
        return kept
    added = []
    for flag, name, text in (
        ("isMainUserId", _USER_ID, "The id of the matched user."),
        ("isMainUserIdType", _USER_ID_TYPE, "The type of the id of the matched user."),
    ):
        if not any(one[flag] for one in kept):
            given = {"name": name, "columnType": "DIMENSION", "dataType": "STRING", flag: True, "description": text}
            added.append(column(given))
    return [*kept, *added]


def role(kept: Sequence[Mapping[str, Any]], flag: str) -> str | None:
    """The name of the column with a flag."""
    return next((str(one["name"]) for one in kept if one[flag]), None)


def table_of(instance_id: str, data_set: Mapping[str, Any]) -> AdvertiserTable:
    """The table that queries read. Identities are not part of it: AMC keeps only the user they lead to.

    :param instance_id: the instance.
    :param data_set: the data set as it is kept.
    """
    kept = data_set["columns"]
    thresholds = {role(kept, "isMainUserId"): "VERY_HIGH", role(kept, "isMainUserIdType"): "LOW"}
    time = role(kept, "isMainEventTime")
    user = role(kept, "isMainUserId")
    return AdvertiserTable(
        instance_id=instance_id,
        name=data_set["dataSetId"],
        description=data_set.get("description") or "Rows of the advertiser.",
        columns=tuple(
            AdvertiserColumn(
                one["name"],
                one["dataType"],
                one["columnType"],
                thresholds.get(one["name"], _THRESHOLD),
                one.get("description", ""),
            )
            for one in kept
            if not one.get("externalUserIdType")
        ),
        time_column=time.lower() if time else None,
        user_column=user,
    )
