"""The operator that has users deleted from uploaded data.

Facts: AMC API documentation, "Advertiser data upload: data deletion".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.exceptions import AmcValidationError
from airflow_provider_amc.operators.base import AmcBaseOperator
from airflow_provider_amc.operators.task_run import TaskRun, run_prefix
from airflow_provider_amc.operators.waiting import AmcWaitingOperator

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_amc.upload.journal import Journal, Round
    from airflow_provider_amc.upload.people import PeopleFiles


class AmcDeleteUsersOperator(AmcWaitingOperator):
    """Have AMC delete users from everything that was uploaded into an instance, and keep the receipts.

    The users stand in files in S3, or are given as ``users``. AMC takes 1,000 with one request, so there are as many
    requests as that takes; all of them are made before the first is waited for. The hashed identities and AMC's ids of the
    requests are kept in S3 until the end, so that a retry makes those requests that are missing and goes on with the
    others. Raw identities stay in memory.

    :param s3_bucket: bucket with the files, and of what is kept. (templated)
    :param s3_key: one file; this, ``s3_prefix`` or ``users``. (templated)
    :param s3_prefix: all files below a prefix. (templated)
    :param users: the users as AMC names them, hashed: ``{"hashedIdentity": {"EMAIL": "9f86..."}}`` or
        ``{"externalIdentity": {"type": "LIVERAMP", "value": "..."}}``. Without ``s3_bucket`` or ``staging_bucket`` nothing
        is kept, and a retry asks for all of them again, which deletes nobody else. (templated)
    :param identities: columns of the files to hash, with the kind of identity in each: ``{"mail": "EMAIL"}``. Those of a
        row name one user together. (templated)
    :param external_identities: columns with ids of other providers: ``{"rampid": "LIVERAMP"}``. (templated)
    :param country_code: country of rows without one of their own, for the kinds that need one. (templated)
    :param country_column: column with the two-letter country of each row.
    :param source_format: ``csv`` (``.gz`` is decompressed) or ``parquet``. Default: ``csv``. (templated)
    :param source_options: of CSV: ``delimiter``, ``encoding``.
    :param staging_bucket: bucket of what is kept. Default: ``s3_bucket``. (templated)
    :param staging_prefix: its key prefix. Default: ``amc-staging``. (templated)
    :param aws_conn_id: Airflow connection for S3. Default: ``aws_default``. (templated)
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :param instance_id: AMC instance. Default: that of the connection. (templated)
    :returns: the receipt: ``users`` (how many), ``rows`` and ``unusable`` of the files, and ``requests``, each with
        ``user_deletion_request_id``, ``identity_count``, ``status``, ``requested_at`` (AMC's time) and ``seen_done_at`` (when
        the task saw that it is done; AMC tells no time).
    :raises AmcConfigurationError: there is no such file.
    :raises AmcLoadError: a file cannot be read with these columns, or holds nobody; nothing was asked for.
    :raises AmcValidationError: an argument is wrong; nothing was asked for.
    :raises AmcResourceFailedError: AMC could not delete them.

    See :class:`~airflow_provider_amc.operators.waiting.AmcWaitingOperator` for the arguments of the wait.
    """

    template_fields: Sequence[str] = (
        "s3_bucket",
        "s3_key",
        "s3_prefix",
        "users",
        "identities",
        "external_identities",
        "country_code",
        "source_format",
        "staging_bucket",
        "staging_prefix",
        "aws_conn_id",
        *AmcBaseOperator.template_fields,
    )
    template_fields_renderers = {"identities": "json", "external_identities": "json"}

    def __init__(
        self,
        *,
        s3_bucket: str | None = None,
        s3_key: str | None = None,
        s3_prefix: str | None = None,
        users: Sequence[Mapping[str, Any]] | None = None,
        identities: Mapping[str, str] | None = None,
        external_identities: Mapping[str, str] | None = None,
        country_code: str | None = None,
        country_column: str | None = None,
        source_format: str = "csv",
        source_options: Mapping[str, Any] | None = None,
        staging_bucket: str | None = None,
        staging_prefix: str = "amc-staging",
        aws_conn_id: str | None = "aws_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (users is None) == (s3_key is None and s3_prefix is None):
            raise AmcValidationError(f"Task {self.task_id}: give users, or files with s3_key or s3_prefix.")
        if users is None and (not s3_bucket or not (identities or external_identities)):
            raise AmcValidationError(
                f"Task {self.task_id}: files need s3_bucket, and identities or external_identities: what is in their "
                "columns, such as {'email': 'EMAIL'}."
            )
        self.s3_bucket = s3_bucket
        self.s3_key = s3_key
        self.s3_prefix = s3_prefix
        self.users = users
        self.identities = identities
        self.external_identities = external_identities
        self.country_code = country_code
        self.country_column = country_column
        self.source_format = source_format
        self.source_options = source_options
        self.staging_bucket = staging_bucket
        self.staging_prefix = staging_prefix
        self.aws_conn_id = aws_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Ask for the deletion, or find what an earlier try has asked for."""
        journal = self._journal(context)
        if journal is None:
            parts = list(self._in_parts(self._given(self.users or ())))
            requests = [self._asked(part) for part in parts]
            facts: dict[str, Any] = {"users": sum(len(part) for part in parts)}
        else:
            found = journal.rounds()
            first = found[0] if found else self._written(journal)
            requests = self._requests(journal, first)
            facts = {"users": first.items, **first.facts}
        return self._go_on(context, {"requests": requests, "done": [], "facts": facts})

    def concluded(self, context: Context, kind: str, names: Mapping[str, str], result: Any) -> Any:
        """Note what is done, and wait for the next request."""
        return self._go_on(context, self._noted(result))

    def _go_on(self, context: Context, state: dict[str, Any]) -> dict[str, Any]:
        """Wait for one request after the other.

        :param state: the ids of the ``requests``, and when those were seen ``done`` that are.
        """
        while self.wait_for_completion and len(state["done"]) < len(state["requests"]):
            request_id = state["requests"][len(state["done"])]
            names = {"user_deletion_request_id": request_id, "instance_id": self.client.instance_id or ""}
            self.settle("user deletion", names, state)
            state = self._noted(state)
        receipt = {**state["facts"], "requests": self._receipts(state)}
        if (journal := self._journal(context)) is not None:
            journal.clear()
        self.log.info("AMC was asked to delete %s users: %s", f"{receipt['users']:,}", receipt["requests"])
        return receipt

    def _noted(self, state: Mapping[str, Any]) -> dict[str, Any]:
        return {**state, "done": [*state["done"], datetime.now(UTC).isoformat(timespec="seconds")]}

    def _receipts(self, state: Mapping[str, Any]) -> list[dict[str, Any]]:
        receipts = []
        for at, request_id in enumerate(state["requests"]):
            found = self.client.user_deletions.get(request_id)
            asked = found.creation_date_time
            receipts.append(
                {
                    "user_deletion_request_id": request_id,
                    "identity_count": found.identity_count,
                    "status": found.status,
                    "requested_at": asked.isoformat() if asked else None,
                    "seen_done_at": state["done"][at] if at < len(state["done"]) else None,
                }
            )
        return receipts

    def _requests(self, journal: Journal, first: Round) -> list[str]:
        for number in range(first.parts):
            if number in first.accepted:
                self.log.info("An earlier try of this task has made AMC deletion request %s", first.accepted[number])
                continue
            journal.accept(first, number, self._asked(journal.part(0, number)))
        return [first.accepted[number] for number in range(first.parts)]

    def _asked(self, users: Sequence[Mapping[str, Any]]) -> str:
        known = self.client.user_deletions.create(users).user_deletion_request_id
        self.log.info("AMC deletion request %s for %s users", known, f"{len(users):,}")
        return known

    def _given(self, users: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        for number, user in enumerate(users):
            if len({*user} & {"hashedIdentity", "externalIdentity"}) != 1:
                raise AmcValidationError(f"users[{number}] must have hashedIdentity or externalIdentity.")
            check_hashes(user.get("hashedIdentity"), number)
        return users

    def _written(self, journal: Journal) -> Round:
        from airflow_provider_amc.upload.people import targets_of

        if self.users is not None:
            return journal.write(0, self._in_parts(self._given(self.users)))
        people = self._people()
        external = {name: str(kind).upper() for name, kind in (self.external_identities or {}).items()}
        users = targets_of(people.hashed(self._s3), people.identities, external)
        return journal.write(0, self._in_parts(users), lambda: {"rows": people.rows, "unusable": people.unusable})

    def _in_parts(self, users: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
        from airflow_provider_amc.client.uploads import MOST_IDENTITIES
        from airflow_provider_amc.upload.journal import in_parts

        nothing = "There is nobody with an identity to delete by. Nothing was asked for."
        return in_parts(users, MOST_IDENTITIES, nothing=nothing)

    def _people(self) -> PeopleFiles:
        from airflow_provider_amc.upload.people import PeopleFiles

        return PeopleFiles(
            bucket=str(self.s3_bucket),
            key=self.s3_key,
            prefix=self.s3_prefix,
            file_format=self.source_format,
            options=self.source_options or {},
            identities=self.identities or {},
            others=list(self.external_identities or {}),
            country=self.country_code,
            country_column=self.country_column,
        )

    def _journal(self, context: Context) -> Journal | None:
        from airflow_provider_amc.upload.journal import Journal

        bucket = self.staging_bucket or self.s3_bucket
        if not bucket:
            return None
        prefix = run_prefix(self.staging_prefix, "deletions", TaskRun.of(context), self.client.instance_id)
        return Journal(self._s3, bucket, prefix)

    @cached_property
    def _s3(self) -> S3Hook:
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        return S3Hook(aws_conn_id=self.aws_conn_id)


def check_hashes(identity: Any, number: int) -> None:
    """Check that nothing raw is sent.

    :param identity: hashed identities of a user by their kind, or nothing.
    :param number: place of the user, for the error.
    :raises AmcValidationError: a value is no hash; it is not shown.
    """
    from airflow_provider_amc.client.advertiser_audiences import SHA256

    for kind, value in (identity or {}).items():
        if kind != "COUNTRY_CODE" and not (isinstance(value, str) and SHA256.fullmatch(value)):
            raise AmcValidationError(
                f"users[{number}].{kind} is not a SHA-256 hash of 64 lower-case hexadecimal digits. Its value is not "
                "shown, and nothing was asked for."
            )
