"""From S3 into an advertiser audience, and out of it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.exceptions import AmcResourceFailedError, AmcValidationError
from airflow_provider_amc.operators.advertiser_audience import named_connection, require_accepted_terms
from airflow_provider_amc.operators.base import AmcBaseOperator
from airflow_provider_amc.operators.task_run import TaskRun, run_prefix
from airflow_provider_amc.operators.waiting import AmcWaitingOperator

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_amc.client.advertiser_audiences import RecordsJob
    from airflow_provider_amc.upload.journal import Journal, Round
    from airflow_provider_amc.upload.people import PeopleFiles
    from airflow_provider_amc.upload.records import Records

#: Records that AMC takes over one connection (AMC API documentation, "Audience management service").
_RECORDS_PER_SECOND = 15_000_000 / 3600
#: Reasons of invalid records that are told.
_MOST_REASONS = 10
_VALUES = re.compile(r"\b[0-9a-fA-F]{64}\b|\S+@\S+")


class S3ToAmcAudienceOperator(AmcWaitingOperator):
    """Read people from S3, normalise and hash their identities, and add them to an advertiser audience or remove them.

    The records are hashed in memory and kept in S3 in parts until the task has succeeded, together with AMC's id of the job
    of each part that it has accepted. All parts are sent before the first is waited for. A retry sends the parts that are
    missing and goes on with the jobs of the others; a part that was under way when a worker died may be sent twice, which
    says the same about the same people again. Records that AMC calls invalid are sent once more, and only those; a retry
    of the task sends them again.

    :param audience_id: the audience. (templated)
    :param connection_id: its connection. (templated)
    :param s3_bucket: bucket with the files. (templated)
    :param s3_key: one file; this or ``s3_prefix``. (templated)
    :param s3_prefix: all files below a prefix. (templated)
    :param external_id_column: column with your own id of a person: 1 to 128 letters, digits, ``-`` and ``_``. Rows of one
        person stand next to each other. (templated)
    :param identities: columns to hash, with the kind of identity in each: ``{"mail": "EMAIL", "postcode": "ZIP"}``.
        (templated)
    :param action: ``CREATE`` adds the people, ``DELETE`` removes them. Default: ``CREATE``. (templated)
    :param action_column: column that says so for each row; empty cells mean ``action``.
    :param consent_columns: columns with consents: by ``TCF``, ``GPP``, ``AMZN_AD_STORAGE`` or ``AMZN_USER_DATA``.
    :param country_code: country of rows without one of their own. (templated)
    :param country_column: column with the two-letter country of each row.
    :param source_format: ``csv`` (``.gz`` is decompressed) or ``parquet``. Default: ``csv``. (templated)
    :param source_options: of CSV: ``delimiter``, ``encoding``.
    :param staging_bucket: bucket of what is kept. Default: ``s3_bucket``. (templated)
    :param staging_prefix: its key prefix. Default: ``amc-staging``. (templated)
    :param batch_size: records of a part, up to 10,000. Default: 6,000, as AMC advises.
    :param record_retries: how often a try sends invalid records again. Default: 1.
    :param max_invalid_share: part of the records, 0 to 1, that may be invalid in the end. Default: 0.
    :param wait_for_completion: ``False`` returns when AMC has accepted all parts; invalid records are not looked for then.
        Default: ``True``.
    :param aws_conn_id: Airflow connection for S3. Default: ``aws_default``. (templated)
    :param amc_conn_id: Airflow connection of type ``amc``. Default: ``amc_default``. (templated)
    :returns: ``audience_id``; of the files ``rows``, ``unusable`` (by hashed column, how many values had nothing to match by)
        and ``without_identity`` (rows that were left out, as all of theirs had nothing); ``records``, ``added`` and
        ``removed``; ``jobs``; ``resent``, ``invalid`` and ``reasons``; ``matched``, ``match_share`` and ``dsp_audience_size``, as
        AMC tells them.
    :raises AmcConfigurationError: there is no such file.
    :raises AmcLoadError: a file cannot be read with these columns, a row has no id of a person, or a person comes up in two
        places; nothing was sent.
    :raises AmcTermsNotAcceptedError: the user behind the connection has not accepted the terms; nothing was sent.
    :raises AmcValidationError: an argument is wrong; nothing was sent.
    :raises AmcResourceFailedError: more records are invalid than ``max_invalid_share`` allows.

    See :class:`~airflow_provider_amc.operators.waiting.AmcWaitingOperator` for the other arguments of the wait.
    """

    template_fields: Sequence[str] = (
        "audience_id",
        "connection_id",
        "s3_bucket",
        "s3_key",
        "s3_prefix",
        "external_id_column",
        "identities",
        "action",
        "country_code",
        "source_format",
        "staging_bucket",
        "staging_prefix",
        "aws_conn_id",
        *AmcBaseOperator.template_fields,
    )
    template_fields_renderers = {"identities": "json"}

    def __init__(
        self,
        *,
        audience_id: str | int,
        connection_id: str,
        s3_bucket: str,
        identities: Mapping[str, str],
        external_id_column: str,
        s3_key: str | None = None,
        s3_prefix: str | None = None,
        action: str = "CREATE",
        action_column: str | None = None,
        consent_columns: Mapping[str, str] | None = None,
        country_code: str | None = None,
        country_column: str | None = None,
        source_format: str = "csv",
        source_options: Mapping[str, Any] | None = None,
        staging_bucket: str | None = None,
        staging_prefix: str = "amc-staging",
        batch_size: int = 6_000,
        record_retries: int = 1,
        max_invalid_share: float = 0.0,
        aws_conn_id: str | None = "aws_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value, most in (
            ("batch_size", batch_size, 10_000),
            ("record_retries", record_retries, 100),
            ("max_invalid_share", max_invalid_share, 1),
        ):
            least = 1 if name == "batch_size" else 0
            if not least <= value <= most:
                raise AmcValidationError(f"Task {self.task_id}: {name} must be {least} to {most:,}, got {value!r}.")
        self.audience_id = audience_id
        self.connection_id = connection_id
        self.s3_bucket = s3_bucket
        self.s3_key = s3_key
        self.s3_prefix = s3_prefix
        self.external_id_column = external_id_column
        self.identities = identities
        self.action = action
        self.action_column = action_column
        self.consent_columns = consent_columns
        self.country_code = country_code
        self.country_column = country_column
        self.source_format = source_format
        self.source_options = source_options
        self.staging_bucket = staging_bucket
        self.staging_prefix = staging_prefix
        self.batch_size = batch_size
        self.record_retries = record_retries
        self.max_invalid_share = max_invalid_share
        self.aws_conn_id = aws_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Read, hash, send, wait."""
        people, records = self._source()
        journal = self._journal(context)
        found = journal.rounds()
        if found:
            parts, accepted = sum(one.parts for one in found), sum(len(one.accepted) for one in found)
            self.log.info("An earlier try of this task has sent %s of %s parts: going on with them", accepted, parts)
        else:
            require_accepted_terms(self.client)
            self.client.advertiser_audiences.connections.get(named_connection(self.connection_id))
            self.client.advertiser_audiences.get(self.audience_id)
            found = [self._written(journal, people, records)]
        # Every try may send invalid records again.
        last = len(found) - 1 + self.record_retries
        return self._go_on(context, {"round": 0, "part": 0, "last": last, "jobs": 0, "resent": 0, **_NOTHING})

    def concluded(self, context: Context, kind: str, names: Mapping[str, str], result: Any) -> Any:
        """Count what the job has done, and go on with the next."""
        return self._go_on(context, self._counted(self._journal(context), result, names["job_request_id"]))

    def failed(self, kind: str, names: Mapping[str, str], result: Any, status: str, reason: str | None) -> None:
        """Go on: the records that failed are counted, and sent again."""
        self.log.warning("AMC job %s ended as %s", names["job_request_id"], status)

    def _go_on(self, context: Context, state: dict[str, Any]) -> dict[str, Any]:
        """Send what is not sent, wait for one job after the other, and send invalid records again.

        :param state: ``round`` and ``part`` that is waited for, the ``last`` round; of all rounds the number of ``jobs``,
            ``resent`` and ``matched`` records; of this round the ``invalid`` records, their ``reasons``, and the parts that
            have any (``failed``).
        """
        journal = self._journal(context)
        rounds = journal.rounds()
        while True:
            current = rounds[state["round"]]
            self._send(journal, current)
            if not self.wait_for_completion:
                return self._done(journal, rounds, state)
            while state["part"] < current.parts:
                names = {"job_request_id": current.accepted[state["part"]]}
                self.settle("audience records", names, state)
                state = self._counted(journal, state, names["job_request_id"])
            if state["round"] + 1 == len(rounds):
                if not state["failed"] or state["round"] >= state["last"]:
                    return self._done(journal, rounds, state)
                rounds.append(self._failed_again(journal, current, state))
            state = {
                **state,
                **{name: value for name, value in _NOTHING.items() if name in _OF_ROUND},
                "resent": state["resent"] + state["invalid"],
                "round": state["round"] + 1,
                "part": 0,
            }

    def _send(self, journal: Journal, current: Round) -> None:
        free_at = time.monotonic()
        for part in range(current.parts):
            if part in current.accepted:
                continue
            records = journal.part(current.number, part)
            time.sleep(max(0.0, free_at - time.monotonic()))
            free_at = max(free_at, time.monotonic()) + len(records) / _RECORDS_PER_SECOND
            job = self.client.advertiser_audiences.send_records(
                self.audience_id, records, connection_id=named_connection(self.connection_id)
            )
            journal.accept(current, part, job)
            self.log.info("AMC job %s works on %s records", job, f"{len(records):,}")

    def _counted(self, journal: Journal, state: Mapping[str, Any], job_request_id: str) -> dict[str, Any]:
        """Add what a job has done to the state."""
        job = self.client.advertiser_audiences.get_job(job_request_id)
        invalid, reasons = len(job.invalid_records), dict(state["reasons"])
        for one in job.invalid_records:
            reason = _without_values(str(one.get("error") or "AMC gives no reason"), str(one.get("externalId") or ""))
            if reason in reasons or len(reasons) < _MOST_REASONS:
                reasons[reason] = reasons.get(reason, 0) + 1
        if job.state == "FAILED" and not invalid:
            invalid = len(journal.part(state["round"], state["part"]))
            reasons["The job ended as FAILED"] = reasons.get("The job ended as FAILED", 0) + invalid
        size = job.audience_size
        return {
            **state,
            "part": state["part"] + 1,
            "jobs": state["jobs"] + 1,
            "invalid": state["invalid"] + invalid,
            "reasons": reasons,
            "failed": [*state["failed"], state["part"]] if invalid else state["failed"],
            "matched": _sum(state["matched"], size.get("idResolutionCount")),
            "dsp_audience_size": size.get("dspAudienceSize", state["dsp_audience_size"]),
        }

    def _failed_again(self, journal: Journal, current: Round, state: Mapping[str, Any]) -> Round:
        """Write a round with the records of another that failed."""
        from airflow_provider_amc.upload.journal import in_parts

        def failed() -> Iterable[dict[str, Any]]:
            for part in state["failed"]:
                job: RecordsJob = self.client.advertiser_audiences.get_job(current.accepted[part])
                wrong = {*job.failed_ids}
                for record in journal.part(current.number, part):
                    if not wrong or record["externalUserId"] in wrong:
                        yield record

        self.log.info("Sending %s invalid records again: %s", f"{state['invalid']:,}", state["reasons"])
        return journal.write(current.number + 1, in_parts(failed(), self.batch_size))

    def _done(self, journal: Journal, rounds: Sequence[Round], state: Mapping[str, Any]) -> dict[str, Any]:
        facts = rounds[0].facts
        records, invalid, matched = rounds[0].items, state["invalid"], state["matched"]
        result = {
            "audience_id": str(self.audience_id),
            "records": records,
            **facts,
            "jobs": sum(one.parts for one in rounds),
            **{name: state[name] for name in ("resent", "invalid", "reasons", "matched")},
            "match_share": None if matched is None else round(matched / records, 4),
            "dsp_audience_size": state["dsp_audience_size"],
        }
        if not self.wait_for_completion:
            result["job_request_ids"] = [job for one in rounds for _, job in sorted(one.accepted.items())]
        self.log.info("AMC audience %s: %s", self.audience_id, result)
        if invalid > self.max_invalid_share * records:
            raise AmcResourceFailedError(
                f"AMC calls {invalid:,} of {records:,} records of audience {self.audience_id} invalid: "
                f"{state['reasons']}. The others are in effect. A retry of the task sends the invalid ones again; "
                "max_invalid_share lets it succeed without them.",
                status="PARTIALLYSUCCEEDED",
            )
        journal.clear()
        return result

    def _written(self, journal: Journal, people: PeopleFiles, records: Records) -> Round:
        from airflow_provider_amc.upload.journal import in_parts

        nothing = "Nobody in the files has an identity to match by. Nothing was sent."
        written = journal.write(
            0,
            in_parts(records.of(people.hashed(self._s3)), self.batch_size, nothing=nothing),
            lambda: {"rows": people.rows, "unusable": people.unusable, **records.facts()},
        )
        self.log.info("%s records of %s rows are ready to be sent", f"{written.items:,}", f"{people.rows:,}")
        return written

    def _source(self) -> tuple[PeopleFiles, Records]:
        from airflow_provider_amc.upload.people import PeopleFiles
        from airflow_provider_amc.upload.records import Records

        people = PeopleFiles(
            bucket=self.s3_bucket,
            key=self.s3_key,
            prefix=self.s3_prefix,
            file_format=self.source_format,
            options=self.source_options or {},
            identities=self.identities,
            country=self.country_code,
            country_column=self.country_column,
        )
        records = Records(
            external_id=self.external_id_column,
            identities=people.identities,
            action=str(self.action).strip().upper(),
            action_column=self.action_column,
            country=self.country_code,
            country_column=self.country_column,
            consents=self.consent_columns or {},
        )
        people.others = records.columns
        return people, records

    def _journal(self, context: Context) -> Journal:
        from airflow_provider_amc.upload.journal import Journal

        prefix = run_prefix(
            self.staging_prefix, "audience-records", TaskRun.of(context), f"{self.connection_id}/{self.audience_id}"
        )
        return Journal(self._s3, self.staging_bucket or self.s3_bucket, prefix)

    @cached_property
    def _s3(self) -> S3Hook:
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        return S3Hook(aws_conn_id=self.aws_conn_id)


#: What is counted for a round, and then for all of them.
_OF_ROUND: Mapping[str, Any] = {"invalid": 0, "reasons": {}, "failed": []}
_NOTHING: Mapping[str, Any] = {**_OF_ROUND, "matched": None, "dsp_audience_size": None}


def _sum(one: int | None, other: Any) -> int | None:
    return one if other is None else (one or 0) + int(other)


def _without_values(reason: str, external_id: str) -> str:
    """AMC's reason without what stands in the record."""
    return _VALUES.sub("***", reason.replace(external_id, "***") if external_id else reason)[:200]
