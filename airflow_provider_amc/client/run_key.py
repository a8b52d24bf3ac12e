"""The key of a run: who submitted an execution, written where AMC keeps it.

AMC's create call has no idempotency token. For a query that is sent along, the key stands in a comment behind its SQL,
which AMC gives back with ``includeWorkflow`` (AMC's own samples show comments preserved). For a saved workflow, whose
SQL must not be touched, it is hinted at by a time limit of an odd number of seconds. All parts are hashes: neither
names of DAGs nor anything else about the caller goes to AMC.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_COMMENT = re.compile(r"/\* airflow_provider_amc key=([0-9a-f]{8})\.([0-9a-f]{16})\.([0-9a-f]{16})( detached)? \*/\s*$")

#: AMC's time limit of an execution when none is asked for, and the longest, in seconds (recorded answers; OpenAPI file).
_AMC_DEFAULT_TIMEOUT = 21600
_AMC_LONGEST_TIMEOUT = 86400
#: Seconds within which the odd time limits lie above the one that was wanted.
_MARKS = 3600


def digest(value: object, length: int) -> str:
    """A hash of a JSON-like value, as hexadecimal digits.

    :param value: the value; the order of keys does not matter.
    :param length: number of digits.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


@dataclass(frozen=True)
class RunKey:
    """Names a run: the same key means the same request by the same task instance, on purpose only once.

    :param deployment: hash of the Airflow deployment, 8 digits.
    :param task: hash of the task instance with what tells its runs apart, 16 digits.
    :param request: hash of what was asked for, 16 digits.
    :param detached: was it started to be left alone, with nobody waiting for it?
    """

    deployment: str
    task: str
    request: str
    detached: bool = False

    @classmethod
    def of(cls, deployment: str, task: object, request: object, *, detached: bool = False) -> RunKey:
        """Make a key.

        :param deployment: name of the Airflow deployment.
        :param task: what identifies the task instance and the run of it.
        :param request: what is asked for, with the instance.
        :param detached: see above.
        """
        return cls(digest(deployment, 8), digest([deployment, task], 16), digest(request, 16), detached)

    @classmethod
    def read(cls, sql: str | None) -> RunKey | None:
        """The key in the last comment of a query, if there is one."""
        match = _COMMENT.search(sql or "")
        return cls(match[1], match[2], match[3], bool(match[4])) if match else None

    def __str__(self) -> str:
        return f"{self.deployment}.{self.task}.{self.request}"

    @property
    def comment(self) -> str:
        """The comment that carries the key."""
        return f"/* airflow_provider_amc key={self}{' detached' if self.detached else ''} */"

    def timeout_mark(self, wanted: int | None = None) -> int:
        """A time limit in seconds that hints at the key: up to an hour above the wanted one, never a full minute.

        :param wanted: the time limit that is wanted; default AMC's own.
        """
        lowest = min(wanted or _AMC_DEFAULT_TIMEOUT, _AMC_LONGEST_TIMEOUT - _MARKS)
        limit = lowest + int(digest(str(self), 8), 16) % (_MARKS - 1)
        return limit + 1 if limit % 60 == 0 else limit

    def is_by_same_task(self, other: RunKey) -> bool:
        """Did the same run of the same task instance submit both?"""
        return (self.deployment, self.task) == (other.deployment, other.task)

    def signed(self, request: Mapping[str, Any], *, wanted_timeout: int | None = None) -> dict[str, Any]:
        """A request that carries the key, if there is a place for it.

        :param request: what :func:`~airflow_provider_amc.client.executions.execution_request` wrote. A time limit in it
            stays as it is.
        :param wanted_timeout: time limit that a saved workflow should have at least.
        """
        workflow = request.get("workflow")
        if workflow is not None:
            return {**request, "workflow": {**workflow, "sqlQuery": f"{workflow['sqlQuery']} {self.comment}"}}
        return {"workflowExecutionTimeoutSeconds": self.timeout_mark(wanted_timeout), **request}
