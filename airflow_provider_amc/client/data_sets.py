"""Data sets of advertiser data upload: tables of the advertiser's own rows inside an instance.

Source: AMC API documentation, "Advertiser data upload".
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_amc.client.fields import Raw, boolean, objects, text, unwrap
from airflow_provider_amc.client.paging import items
from airflow_provider_amc.client.transport import DATA_SET_COLUMNS, DATA_SETS, Transport
from airflow_provider_amc.client.validation import check_range, check_segment, path
from airflow_provider_amc.exceptions import AmcAlreadyExistsError, AmcNotFoundError, AmcValidationError

PERIODS = ("PT1H", "P1D", "P1M")
DATA_TYPES = ("STRING", "DECIMAL", "INTEGER", "LONG", "TIMESTAMP", "DATE")
MOST_COLUMNS = 100

_ID = re.compile(r"[a-z0-9_]+")


def check_data_set_id(value: object) -> str:
    """Check the id of a data set: lower-case letters, digits and underscores, and not ``list``.

    :raises AmcValidationError: it is no such id.
    """
    if not isinstance(value, str) or not _ID.fullmatch(value) or value == "list":
        raise AmcValidationError(
            f"data_set_id must have lower-case letters, digits and underscores only, and not be 'list', got {value!r}."
        )
    return value


@dataclass(frozen=True)
class DataSetColumn:
    """A column of a data set.

    :param name: its name.
    :param data_type: ``STRING``, ``DECIMAL``, ``INTEGER``, ``LONG``, ``TIMESTAMP`` or ``DATE``.
    :param column_type: ``DIMENSION`` or ``METRIC``.
    :param nullable: may it be empty?
    :param description: for people.
    :param is_main_event_time: the time of the event, which makes the data set one of facts.
    :param is_main_user_id: the column of user ids.
    :param is_main_user_id_type: the column that tells what kind of user id it is.
    :param is_country_code: the country of the row.
    :param external_user_id_type: kind of identity: such as ``{"hashedPii": "EMAIL"}`` in ``raw`` form.
    :param consent_type: ``TCF``, ``GPP``, ``AMZN_AD_STORAGE`` or ``AMZN_USER_DATA``.
    """

    name: str
    data_type: str = "STRING"
    column_type: str = "DIMENSION"
    nullable: bool | None = None
    description: str | None = None
    is_main_event_time: bool | None = None
    is_main_user_id: bool | None = None
    is_main_user_id_type: bool | None = None
    is_country_code: bool | None = None
    external_user_id_type: Any = None
    consent_type: str | None = None
    raw: Raw = field(repr=False, compare=False, default_factory=dict)

    @classmethod
    def from_api(cls, data: Raw) -> DataSetColumn:
        """Read a column, also one that a user wrote by AMC's names."""
        return cls(
            name=text(data.get("name")) or "",
            data_type=(text(data.get("dataType")) or "STRING").upper(),
            column_type=(text(data.get("columnType")) or "DIMENSION").upper(),
            nullable=boolean(data.get("nullable")),
            description=text(data.get("description")),
            is_main_event_time=boolean(data.get("isMainEventTime")),
            is_main_user_id=boolean(data.get("isMainUserId")),
            is_main_user_id_type=boolean(data.get("isMainUserIdType")),
            is_country_code=boolean(data.get("isCountryCode")),
            external_user_id_type=data.get("externalUserIdType"),
            consent_type=text(data.get("consentType")),
            raw=data,
        )

    def to_api(self) -> dict[str, Any]:
        """Write it as AMC takes it.

        :raises AmcValidationError: the name is empty, or the type unknown.
        """
        if not self.name.strip():
            raise AmcValidationError("A column of a data set has no name.")
        if self.data_type not in DATA_TYPES:
            raise AmcValidationError(
                f"Column {self.name}: data_type must be one of {', '.join(DATA_TYPES)}, got {self.data_type!r}."
            )
        fields = {
            "name": self.name,
            "dataType": self.data_type,
            "columnType": self.column_type,
            "nullable": self.nullable,
            "description": self.description,
            "isMainEventTime": self.is_main_event_time,
            "isMainUserId": self.is_main_user_id,
            "isMainUserIdType": self.is_main_user_id_type,
            "isCountryCode": self.is_country_code,
            "externalUserIdType": self.external_user_id_type,
            "consentType": self.consent_type,
        }
        return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True)
class DataSet:
    """A data set."""

    data_set_id: str
    columns: tuple[DataSetColumn, ...] = ()
    period: str | None = None
    country_code: str | None = None
    description: str | None = None
    instance_id: str | None = None
    raw: Raw = field(repr=False, compare=False, default_factory=dict)

    @property
    def is_fact(self) -> bool:
        """Does it hold events, each with a time?"""
        return any(column.is_main_event_time for column in self.columns)

    @classmethod
    def from_api(cls, data: Raw) -> DataSet:
        """Read a data set."""
        return cls(
            data_set_id=text(data.get("dataSetId")) or "",
            columns=tuple(DataSetColumn.from_api(one) for one in objects(data.get("columns"))),
            period=text(data.get("period")),
            country_code=text(data.get("countryCode")),
            description=text(data.get("description")),
            instance_id=text(data.get("instanceId")),
            raw=data,
        )


class DataSets:
    """``client.data_sets``; needs the scope ``advertising::audiences``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _path(self, instance_id: str | None, *segments: str) -> str:
        return path("amc", "advertiserData", self._transport.instance(instance_id), "dataSets", *segments)

    def _columns(self, data_set_id: str, instance_id: str | None, *names: str) -> str:
        known = [check_segment(name, "name") for name in names]
        return self._path(instance_id, check_data_set_id(data_set_id), "columns", *known)

    def list(self, instance_id: str | None = None, *, limit: int | None = None) -> Iterator[DataSet]:
        """List the data sets of an instance.

        :param instance_id: default the client's own.
        :param limit: size of a page, 1 to 100; all pages are read in any case.
        """
        size = None if limit is None else check_range(limit, "limit", 1, 100)
        address = self._path(instance_id, "list")

        def fetch(token: str | None) -> dict[str, Any]:
            query = {"maxResults": size, "nextToken": token}
            return self._transport.call("POST", address, media_type=DATA_SETS, query=query, body={})

        return map(DataSet.from_api, items(fetch, "dataSets", "dataSetList"))

    def get(self, data_set_id: str, instance_id: str | None = None) -> DataSet:
        """Get a data set with its columns.

        :param data_set_id: its id.
        :param instance_id: default the client's own.
        :raises AmcNotFoundError: when there is none.
        """
        address = self._path(instance_id, check_data_set_id(data_set_id))
        data = self._transport.call("GET", address, media_type=DATA_SETS)
        return DataSet.from_api(self._transport.whole(unwrap(data, "dataSet", "dataSetId"), "dataSetId", address))

    def create(
        self,
        data_set_id: str,
        *,
        columns: Sequence[DataSetColumn | Mapping[str, Any]],
        period: str | None = None,
        country_code: str | None = None,
        description: str | None = None,
        customer_encryption_key_arn: str | None = None,
        instance_id: str | None = None,
    ) -> None:
        """Create a data set.

        :param data_set_id: lower-case letters, digits and underscores.
        :param columns: up to 100 columns, as :class:`DataSetColumn` or as mappings by AMC's names.
        :param period: how the rows are kept apart: ``PT1H``, ``P1D`` or ``P1M``.
        :param country_code: ISO 3166-1 code of rows without a column for it.
        :param description: for people.
        :param customer_encryption_key_arn: KMS key of the rows.
        :param instance_id: default the client's own.
        :raises AmcAlreadyExistsError: when the id is taken.
        :raises AmcValidationError: an argument is wrong; nothing was sent.
        """
        known = check_data_set_id(data_set_id)
        written = [(one if isinstance(one, DataSetColumn) else DataSetColumn.from_api(one)).to_api() for one in columns]
        names = [str(one["name"]).lower() for one in written]
        if not written or len(written) > MOST_COLUMNS:
            raise AmcValidationError(f"columns: a data set has 1 to {MOST_COLUMNS}, got {len(written)}.")
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise AmcValidationError(f"columns: given more than once: {', '.join(repeated)}.")
        if period is not None and period not in PERIODS:
            raise AmcValidationError(f"period must be one of {', '.join(PERIODS)}, got {period!r}.")
        fields = {
            "dataSetId": known,
            "columns": written,
            "period": period,
            "countryCode": country_code,
            "description": description,
            "customerEncryptionKeyArn": customer_encryption_key_arn,
        }
        body = {"dataSet": {name: value for name, value in fields.items() if value is not None}}
        try:
            self._transport.call("POST", self._path(instance_id), media_type=DATA_SETS, body=body)
        except AmcAlreadyExistsError as error:
            # It can be ours, if the answer to an earlier attempt of this very call was lost.
            if not error.answer_lost or not self._has_columns(known, names, instance_id):
                raise

    def _has_columns(self, data_set_id: str, names: builtins.list[str], instance_id: str | None) -> bool:
        found = {column.name.lower() for column in self.get(data_set_id, instance_id).columns}
        return set(names) <= found

    def update(self, data_set_id: str, *, description: str, instance_id: str | None = None) -> None:
        """Change the description of a data set; nothing else of it can change.

        :param data_set_id: its id.
        :param description: for people.
        :param instance_id: default the client's own.
        """
        address = self._path(instance_id, check_data_set_id(data_set_id))
        self._transport.call("PUT", address, media_type=DATA_SETS, body={"description": description})

    def delete(self, data_set_id: str, instance_id: str | None = None) -> None:
        """Delete a data set with its rows.

        :param data_set_id: its id.
        :param instance_id: default the client's own.
        :raises AmcNotFoundError: when there is none.
        """
        self._delete(self._path(instance_id, check_data_set_id(data_set_id)), DATA_SETS)

    def add_column(
        self, data_set_id: str, column: DataSetColumn | Mapping[str, Any], *, instance_id: str | None = None
    ) -> None:
        """Add a column. Rows that are there already have it empty.

        :param data_set_id: the data set.
        :param column: the column.
        :param instance_id: default the client's own.
        """
        written = (column if isinstance(column, DataSetColumn) else DataSetColumn.from_api(column)).to_api()
        address = self._columns(data_set_id, instance_id)
        self._transport.call("POST", address, media_type=DATA_SET_COLUMNS, body={"column": written}, repeat=False)

    def update_column(
        self,
        data_set_id: str,
        name: str,
        *,
        new_name: str | None = None,
        description: str | None = None,
        instance_id: str | None = None,
    ) -> None:
        """Change name or description of a column.

        :param data_set_id: the data set.
        :param name: the column.
        :param new_name: its new name.
        :param description: for people.
        :param instance_id: default the client's own.
        """
        changes = {"updatedColumnName": new_name, "updateDescription": description}
        body = {key: value for key, value in changes.items() if value is not None}
        if not body:
            raise AmcValidationError("There is nothing to change: give new_name or description.")
        address = self._columns(data_set_id, instance_id, name)
        self._transport.call("PUT", address, media_type=DATA_SET_COLUMNS, body=body)

    def delete_column(self, data_set_id: str, name: str, *, instance_id: str | None = None) -> None:
        """Delete a column.

        :param data_set_id: the data set.
        :param name: the column.
        :param instance_id: default the client's own.
        :raises AmcNotFoundError: when there is none.
        """
        self._delete(self._columns(data_set_id, instance_id, name), DATA_SET_COLUMNS)

    def _delete(self, address: str, media_type: str) -> None:
        try:
            self._transport.call("DELETE", address, media_type=media_type)
        except AmcNotFoundError as error:
            if not error.answer_lost:
                raise
