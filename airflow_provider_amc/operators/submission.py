"""One submission: find the execution that an earlier try of this task has started, or start it.

The order on every try: what the task state store remembers (Airflow 3.3 and later), then AMC's own list of executions,
then the create call. That call is never repeated blindly: after a lost answer the list is asked for as long as AMC may
not show a new execution yet.

When an execution counts as started by this task:

- A query of the DAG (``sql=``): its SQL ends in the comment with the key of the run. Nobody else can have sent it.
- A saved workflow: same workflow, window, parameter values and the time limit that hints at the key, created since the
  run began, and only one such execution. A time limit that the user chose says nothing; then only the task state store
  can tell.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_amc.client.run_key import RunKey
from airflow_provider_amc.client.times import INVISIBLE_SECONDS
from airflow_provider_amc.exceptions import AmcDeadlineError, AmcError, AmcNotFoundError, AmcUnknownOutcomeError

if TYPE_CHECKING:
    from airflow_provider_amc.client import AmcClient
    from airflow_provider_amc.client.models import Execution

#: Name under which the task state store remembers the submission.
STORE_KEY = "amc_execution"
#: Seconds between two looks for an execution that may be invisible yet.
_LOOK_SECONDS = 5.0
#: Create calls of one try; each of them lost its answer and was not found.
_MOST_CALLS = 3
#: The clocks of AMC and of the worker may differ by so much.
_CLOCK_MARGIN = timedelta(minutes=15)


@dataclass(frozen=True)
class Submitted:
    """An execution of this task.

    :param execution: as AMC showed it last.
    :param first_start: when the task first asked for it, seconds since the epoch.
    """

    execution: Execution
    first_start: float


class Submission:
    """Submits a request once.

    :param client: client of the instance.
    :param request: the request, without the key.
    :param key: key of the run.
    :param since: when the DAG run began; no execution of it is older.
    :param log: logger of the task.
    :param store: task state store, ``None`` where Airflow has none.
    :param settle: seconds for which AMC may not show yet what an earlier try has started. The task state store, where
        there is one, knows better.
    :param allowed: seconds from the first start after which nothing is submitted any more; ``None`` for no limit.
    :param wanted_timeout: time limit that a saved workflow should have at least, seconds.
    :param cancel_outdated: cancel executions of earlier tries that nobody waits for any more: the request was another
        one, or their key is one of ``abandoned``.
    :param abandoned: keys of earlier tries that this one does not go on with.
    :param sleep: waits some seconds.
    :param clock: tells seconds since the epoch.
    """

    def __init__(
        self,
        client: AmcClient,
        request: Mapping[str, Any],
        key: RunKey,
        *,
        since: datetime,
        log: Any,
        store: Any = None,
        settle: float = 0.0,
        allowed: float | None = None,
        wanted_timeout: int | None = None,
        cancel_outdated: bool = True,
        abandoned: Collection[RunKey] = (),
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._key = key
        self._own_sql = request.get("workflow") is not None
        #: Can an execution of this request be told from those of others?
        self.is_marked = self._own_sql or "workflowExecutionTimeoutSeconds" not in request
        self._request = key.signed(request, wanted_timeout=wanted_timeout)
        self._since = since - _CLOCK_MARGIN
        self._log = log
        self._store = store
        self._cancel_outdated = cancel_outdated
        self._abandoned = abandoned
        self._sleep = sleep
        self._clock = clock
        self._first_start = clock()
        self._settle, self._allowed = settle, allowed
        self._settled = self._first_start + (0.0 if store is not None else settle)
        self._ended: list[Execution] = []
        #: What the task state store remembers: the execution, and when it was submitted.
        self._known_id: str | None = None
        self._submitting_at: float | None = None
        #: Was a create call sent whose outcome is not known yet?
        self.is_open = False

    def run(self) -> Submitted:
        """Find or start the execution.

        :raises AmcDeadlineError: there is none to go on with, and no time left for a new one.
        :raises AmcUnknownOutcomeError: every create call lost its answer, and AMC shows no execution of it. A later try
            looks again.
        :raises AmcError: AMC refused the request, or cannot be asked.
        """
        execution = self._remembered() or self._looked_for(self._settled)
        if execution is not None:
            if self._store is None and execution.create_time is not None:
                # Not when a clock is wrong
                created = execution.create_time.timestamp()
                if self._since.timestamp() <= created:
                    self._first_start = min(self._first_start, created)
            self._log.info(
                "AMC execution %s, which is %s, was started by an earlier try of this task: going on with it",
                execution.workflow_execution_id,
                execution.raw_status,
            )
            self._remember(execution)
            return Submitted(execution, self._first_start)
        if self._allowed is not None and self._clock() >= self._first_start + self._allowed:
            raise AmcDeadlineError(
                "The time of this task is over, counted from its first try, and no execution of it is active or has "
                "succeeded: nothing was submitted again. Raise timeout (or execution_timeout), or clear the task."
            )
        for ended in self._ended:
            self._log.info(
                "AMC execution %s, which is %s, was started by an earlier try of this task: starting a new one",
                ended.workflow_execution_id,
                ended.raw_status,
            )
        execution = self._submitted()
        self._remember(execution)
        return Submitted(execution, self._first_start)

    def cancel_own(self, client: AmcClient) -> None:
        """Cancel what this task has started, as far as AMC shows it: a create call may be without an answer, and an
        earlier try may have left an execution that this one has not found yet.

        :param client: client that does not keep trying for long.
        """
        for execution in self._own(client):
            if not execution.is_finished:
                client.executions.cancel(execution.workflow_execution_id)
                self._log.info("AMC execution %s cancelled", execution.workflow_execution_id)

    # --- the task state store ------------------------------------------------------------------------------------

    def _remembered(self) -> Execution | None:
        if self._store is None:
            return None
        try:
            known = self._store.get(STORE_KEY)
        except Exception as error:
            self._log.warning("The task state store cannot be read: %s", error)
            self._settled += self._settle
            return None
        if not isinstance(known, Mapping) or known.get("key") != str(self._key):
            return None
        self._first_start = min(self._first_start, float(known.get("first_start") or self._first_start))
        self._submitting_at = known.get("submitting_at")
        self._known_id = known.get("workflow_execution_id")
        if self._known_id is not None and (execution := self._known()) is not None:
            self._known_id = None
            return execution if _is_usable(execution) else None
        self._settled = float(self._submitting_at or 0.0) + INVISIBLE_SECONDS
        if self._known_id is None and self._submitting_at is not None and not self.is_marked:
            # Told once: who runs the task again means it.
            self._keep({})
            raise AmcUnknownOutcomeError("An earlier try of this task was ended while it submitted the execution.")
        return None

    def _known(self) -> Execution | None:
        """The execution that the store names, ``None`` while AMC does not show it."""
        try:
            return None if self._known_id is None else self._client.executions.get(self._known_id)
        except AmcNotFoundError:
            return None

    def _remember(self, execution: Execution | None = None) -> None:
        if execution is None:
            self._submitting_at = self._clock()
        known = {"key": str(self._key), "first_start": self._first_start, "submitting_at": self._submitting_at}
        if execution is not None:
            known["workflow_execution_id"] = execution.workflow_execution_id
        self._keep(known)

    def _keep(self, known: dict[str, Any]) -> None:
        if self._store is None:
            return
        try:
            self._store.set(STORE_KEY, known)
        except Exception as error:
            # The list of executions tells the same.
            self._log.warning("The task state store cannot be written: %s", error)

    # --- AMC's list ----------------------------------------------------------------------------------------------

    def _listed(self, client: AmcClient) -> Iterator[Execution]:
        since = self._since.astimezone(UTC).replace(tzinfo=None, microsecond=0)
        return client.executions.list(
            workflow_id=None if self._own_sql else str(self._request["workflowId"]),
            min_creation_time=since,
            include_workflow=self._own_sql or None,
        )

    def _own(self, client: AmcClient) -> list[Execution]:
        """Executions of this very request, oldest first; others of this task are cancelled on the way."""
        own: list[Execution] = []
        for execution in self._listed(client):
            if self._is_own(execution):
                own.append(execution)
            elif self._is_outdated(execution):
                self._cancel(execution, "an earlier try of this task started it, and nobody waits for it any more")
        return own[::-1]

    def _is_own(self, execution: Execution) -> bool:
        if self._own_sql:
            key = RunKey.read(execution.sql_query)
            return key is not None and str(key) == str(self._key)
        limit = self._request.get("workflowExecutionTimeoutSeconds")
        return (
            self.is_marked
            and execution.workflow_id == self._request["workflowId"]
            and execution.workflow_execution_timeout_seconds == limit
            and _same_values(execution.parameter_values, self._request.get("parameterValues") or {})
            and execution.time_window_start_original in (None, self._request.get("timeWindowStart"))
            and execution.time_window_end_original in (None, self._request.get("timeWindowEnd"))
        )

    def _is_outdated(self, execution: Execution) -> bool:
        key = RunKey.read(execution.sql_query) if self._own_sql and self._cancel_outdated else None
        if key is None or execution.is_finished:
            return False
        if key.is_by_same_task(self._key):
            return True
        return not key.detached and any(key.is_by_same_task(other) for other in self._abandoned)

    def _found(self) -> Execution | None:
        """The execution to go on with, ``None`` when AMC shows none."""
        if (known := self._known()) is not None and _is_usable(known):
            return known
        shown = self._own(self._client)
        own = [execution for execution in shown if _is_usable(execution)]
        self._ended = [execution for execution in shown if execution not in own]
        if not own:
            return None
        if not self._own_sql and len(own) > 1:
            self._log.warning(
                "%d executions of workflow %s look like that of this task: %s. None of them is taken, for it may be "
                "another's; the workflow is run again.",
                len(own),
                self._request["workflowId"],
                ", ".join(execution.workflow_execution_id for execution in own),
            )
            return None
        chosen = next((execution for execution in own if execution.is_succeeded), own[0])
        for other in own:
            if other is not chosen and not other.is_finished:
                self._cancel(other, f"execution {chosen.workflow_execution_id} runs the same for this task")
        return chosen

    def _cancel(self, execution: Execution, why: str) -> None:
        try:
            self._client.executions.cancel(execution.workflow_execution_id)
        except AmcError as error:
            self._log.warning("Could not cancel AMC execution %s: %s", execution.workflow_execution_id, error)
        else:
            self._log.info("AMC execution %s cancelled: %s", execution.workflow_execution_id, why)

    # --- the create call -----------------------------------------------------------------------------------------

    def _submitted(self) -> Execution:
        for call in range(1, _MOST_CALLS + 1):
            self._remember()
            try:
                execution = self._client.executions.submit(self._request)
            except AmcUnknownOutcomeError as error:
                if not self.is_marked or call == _MOST_CALLS:
                    raise
                self._log.warning("%s Looking for the execution.", error)
                found = self._looked_for(self._clock() + INVISIBLE_SECONDS)
                if found is not None:
                    return found
                self._log.info("AMC shows no execution after %.0f s: submitting again", INVISIBLE_SECONDS)
            else:
                return execution
        raise AssertionError("the last call returns or raises")

    def _looked_for(self, until: float) -> Execution | None:
        """Look for the execution, once or until it would have to be visible. Only a list that was read says no.

        :param until: when AMC shows an execution that was started before, seconds since the epoch.
        """
        while True:
            last = self._clock() >= until
            try:
                found = self._found()
            except AmcError as error:
                if last or not error.retryable:
                    raise
                self._log.warning("Could not list the executions, will try again: %s", error)
            else:
                if found is not None or last:
                    return found
            self._sleep(max(0.0, min(_LOOK_SECONDS, until - self._clock())))


def _is_usable(execution: Execution) -> bool:
    return execution.is_succeeded or not execution.is_finished


def _same_values(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Are parameter values equal? AMC may write numbers and booleans where text was sent."""
    if found.keys() != wanted.keys():
        return False
    return all(_text(found[name]) == _text(wanted[name]) for name in wanted)


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return repr([_text(item) for item in value])
    return str(value).lower() if isinstance(value, bool) else str(value)
