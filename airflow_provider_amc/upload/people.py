"""Files in S3 whose rows are people: read as text, their identities hashed on the way. Nothing raw is written anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from airflow_provider_amc.exceptions import AmcValidationError
from airflow_provider_amc.identity import IdentityKind, hash_identities
from airflow_provider_amc.upload.source import FORMATS, batches_of, keys_of

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook


@dataclass
class PeopleFiles:
    """Files with one person, or a part of what is known of one, in each row.

    :param bucket: bucket with the files.
    :param key: one file; this or ``prefix``.
    :param prefix: all files below a prefix.
    :param file_format: ``csv`` (``.gz`` is decompressed) or ``parquet``.
    :param options: of CSV: ``delimiter``, ``encoding``.
    :param identities: columns to hash, with the kind of identity in each, such as ``{"mail": "EMAIL"}``.
    :param others: columns to read as they are.
    :param country: two-letter code of the country of rows without one of their own.
    :param country_column: column with the country of each row.
    :raises AmcValidationError: they are described wrongly.
    """

    bucket: str
    key: str | None
    prefix: str | None
    file_format: str
    options: Mapping[str, Any]
    identities: Mapping[str, str]
    others: Sequence[str] = ()
    country: str | None = None
    country_column: str | None = None
    #: Rows read so far.
    rows: int = 0
    #: By hashed column, how many values had nothing to match by.
    unusable: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.file_format not in FORMATS:
            raise AmcValidationError(f"source_format must be one of {', '.join(FORMATS)}, got {self.file_format!r}.")
        if (self.key is None) == (self.prefix is None):
            raise AmcValidationError("Give s3_key or s3_prefix, one of them.")
        self.identities = {name: IdentityKind.of(kind).name for name, kind in self.identities.items()}

    def hashed(self, hook: S3Hook) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Read the files, in their order.

        :param hook: S3 hook.
        :returns: batches of hashed rows, each with the number of its first row over all files, from 1.
        :raises AmcConfigurationError: there is no such file.
        :raises AmcLoadError: a file cannot be read with these columns; the message holds no value.
        :raises AmcValidationError: a row has no country with rules; likewise.
        """
        self.rows, self.unusable = 0, dict.fromkeys(self.identities, 0)
        named = [*self.identities, *self.others, *([self.country_column] if self.country_column else [])]
        columns = dict.fromkeys(named, "STRING")
        for key in keys_of(hook, self.bucket, self.key, self.prefix):
            for batch in batches_of(hook, self.bucket, key, self.file_format, columns, options=self.options):
                if not len(batch):
                    continue
                first = self.rows + 1
                hashed = hash_identities(
                    batch, self.identities, country=self.country, country_column=self.country_column, first_row=first
                ) if self.identities else batch  # fmt: skip
                for name in self.identities:
                    self.unusable[name] += hashed[name].null_count - batch[name].null_count
                self.rows += len(batch)
                yield first, hashed


def targets_of(
    batches: Iterable[tuple[int, pa.RecordBatch]], identities: Mapping[str, str], external: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """Write rows as AMC names the users that it is to delete; rows without any identity are left out.

    :param batches: hashed rows.
    :param identities: hashed columns, with the kind of identity in each. Those of a row name one user together.
    :param external: columns with ids of other providers, with the provider of each, such as ``{"rampid": "LIVERAMP"}``.
    """
    for _, batch in batches:
        values = {name: batch.column(index).to_pylist() for index, name in enumerate(batch.schema.names)}
        for at in range(len(batch)):
            hashed = {kind: values[name][at] for name, kind in identities.items() if values[name][at] is not None}
            if hashed:
                yield {"hashedIdentity": hashed}
            for name, provider in external.items():
                if values[name][at]:
                    yield {"externalIdentity": {"type": provider, "value": values[name][at]}}
