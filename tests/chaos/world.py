"""An AMC and a time that stand still unless somebody lets them go on, and the processes that live in them."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import requests
import time_machine
import urllib3

from airflow_provider_amc.client import auth, http
from airflow_provider_amc.client.amc import AmcClient
from airflow_provider_amc.client.transport import Transport
from airflow_provider_amc.emulator import workflows
from airflow_provider_amc.emulator.app import create_app
from airflow_provider_amc.emulator.config import EmulatorConfig
from airflow_provider_amc.emulator.context import Emulator
from airflow_provider_amc.emulator.record import ExecutionRecord
from airflow_provider_amc.emulator.runner import ExecutionRunner
from airflow_provider_amc.hooks import amc
from airflow_provider_amc.operators.execution import AmcExecuteWorkflowOperator
from airflow_provider_amc.operators.submission import Submission
from airflow_provider_amc.triggers import shared
from airflow_provider_amc.triggers.execution import AmcWorkflowExecutionTrigger
from tests.chaos.process import Process
from tests.emulator.standin import StandIn

#: When a history begins, seconds since the epoch.
START = 1_800_000_000.0
#: Seconds that a request takes, and after which a client gives up to wait for an answer.
_LATENCY = 0.2
_SILENCE = 60.0
_ADDRESS = "http://127.0.0.1:8600"
INSTANCE = "amcemulator"

#: Faults that change an execution and hurt nobody's call.
_HARMLESS = (None, "duration", "not_visible", "fail")
#: Short names of the calls.
CALLS = {
    "createWorkflowExecution": "create",
    "listWorkflowExecutions": "list",
    "getWorkflowExecution": "get",
    "updateWorkflowExecution": "cancel",
    "getWorkflow": "workflow",
    "token": "token",
}


class SteppedRunner(ExecutionRunner):
    """Makes the steps of executions when it is told to, and checks and computes queries on the spot."""

    def _start_job(self, live: Any, pool: ThreadPoolExecutor, work: Callable[..., Any], *arguments: Any) -> None:
        job: Future[Any] = Future()
        # What the files of a result hold does not matter here.
        job.set_result([] if pool is self._pool else work(*arguments))
        self._job_done(live, job)  # type: ignore[arg-type]

    def catch_up(self) -> None:
        """Make every step that is due."""
        self._wake.set()
        while self._wake.is_set():
            self._wake.clear()
            self._step()


class Wire(requests.adapters.BaseAdapter):
    """Takes the requests of the process at work to the AMC, without a network between them."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Send one request, and lose its answer if AMC gives none."""
        world, process = self._world, self._world.process
        operation = world.operation_of(str(request.method), urlsplit(str(request.url)).path)
        process.step(f"before {operation}")
        world.pass_time(_LATENCY)
        answer = world.ask(request)
        process.step(
            f"{operation} was carried out" if answer is None or answer[0] < 400 else f"{operation} was refused"
        )
        if answer is None:
            if world.silent:
                world.pass_time(_SILENCE)
                raise requests.exceptions.ReadTimeout("no answer")
            raise requests.exceptions.ConnectionError(urllib3.exceptions.ProtocolError("cut"))
        response = requests.Response()
        response.status_code, headers, body = answer
        response.headers.update(headers)
        response.raw = io.BytesIO(body)
        response.url = str(request.url)
        return response

    def close(self) -> None:
        """There is nothing to close."""


class World:
    """One AMC and one time for all histories of a process, begun anew for each."""

    def __init__(self) -> None:
        self.emulator = Emulator(EmulatorConfig(speed="realistic"), StandIn)  # type: ignore[arg-type]
        self._app = create_app(self.emulator)
        self.runner = SteppedRunner(
            self.emulator.config,
            self.emulator.store,
            self.emulator.clock,
            self.emulator.queries,
            self.emulator.results,
        )
        self.emulator.runner = self.runner
        self.process = Process("nobody")
        #: Do answers that are lost keep the client waiting, instead of a cut connection?
        self.silent = False
        self.counts: Counter[str] = Counter()
        #: What happened, for people.
        self.diary: list[str] = []
        #: Called with the id of each new execution, and of each that is to be cancelled.
        self.on_create: Callable[[str, Process], None] = lambda execution_id, process: None
        self.on_cancel: Callable[[str, Process], None] = lambda execution_id, process: None
        self._traveller: Any = None

    def tell(self, text: str) -> None:
        """Write into the diary."""
        self.diary.append(f"{time.time() - START:9.1f} s  {text}")

    # -- time ------------------------------------------------------------------------------------------------------
    def pass_time(self, seconds: float) -> None:
        """Let time pass in which no process does anything."""
        if seconds > 0:
            self._traveller.shift(seconds)
        self.runner.catch_up()

    def sleep(self, seconds: float) -> None:
        """What ``time.sleep`` does in a process: a step of it that takes time."""
        # A process that will be killed meanwhile does not wake up.
        left = float("inf") if self.process.dies_at is None else max(0.0, self.process.dies_at - time.time())
        self.process.step("asleep")
        self.pass_time(min(max(seconds, 0.001), left))

    # -- AMC -------------------------------------------------------------------------------------------------------
    def operation_of(self, method: str, path: str) -> str:
        """Short name of what a request asks for."""
        kept = self._app._routes.find(method, path).operation  # type: ignore[attr-defined]
        return CALLS.get(kept.id, kept.id)

    def ask(self, request: requests.PreparedRequest) -> tuple[int, dict[str, str], bytes] | None:
        """Let AMC answer a request; ``None`` when the connection was cut."""
        url, body = urlsplit(str(request.url)), request.body or b""
        scope = {
            "type": "http",
            "method": request.method,
            "path": url.path,
            "raw_path": url.path.encode(),
            "query_string": url.query.encode(),
            "headers": [(name.lower().encode(), str(value).encode()) for name, value in request.headers.items()],
            "client": ("process", 1),
            "server": ("127.0.0.1", 8600),
            "scheme": "http",
            "root_path": "",
        }
        messages: list[Any] = []

        async def receive() -> Any:
            return {
                "type": "http.request",
                "body": body.encode() if isinstance(body, str) else body,
                "more_body": False,
            }

        async def send(message: Any) -> None:
            messages.append(message)

        before = self.emulator.store.count_executions() if request.method == "POST" else None
        call = self._app(scope, receive, send)
        try:
            call.send(None)  # type: ignore[attr-defined]
        except StopIteration:
            pass
        else:
            raise AssertionError(f"{request.method} {url.path} waits for something that never comes.")
        self.runner.catch_up()
        self._note(before)
        if not messages:
            return None
        headers = {name.decode().title(): value.decode() for name, value in messages[0]["headers"]}
        return messages[0]["status"], headers, b"".join(part.get("body", b"") for part in messages[1:])

    def _note(self, before: Mapping[str, int] | None) -> None:
        """Read in AMC's log what has just happened."""
        entry: dict[str, Any] = self.emulator.log._entries[-1]
        name = CALLS.get(entry["operation"], entry["operation"])
        fault = entry.get("fault")
        self.counts[f"call {name}"] += 1
        told = "" if fault in (None, "duration") else f" ({fault})"
        last = entry["path"].rsplit("/", 1)[-1]
        told_id = f" {last[:8]}" if name in ("get", "cancel") else ""
        self.tell(f"    {self.process.name}: {name}{told_id}: {entry['status']}{told}")
        if fault is not None and fault != "duration":
            self.counts[f"fault {name} {fault}"] += 1
        if fault not in _HARMLESS:
            self.process.hurt.append((time.time(), f"{name} {fault}"))
        if name == "create" and before != self.emulator.store.count_executions():
            self.on_create(self.newest(), self.process)
        if name == "cancel" and entry["status"] is not None and entry["status"] < 400:
            self.on_cancel(entry["path"].rsplit("/", 1)[1], self.process)

    def newest(self) -> str:
        """Id of the execution that was created last."""
        return next(reversed(self.runner._live))

    def execution(self, execution_id: str) -> ExecutionRecord:
        """An execution as AMC knows it, visible or not."""
        row = self.emulator.store.get_execution(execution_id)
        assert row is not None, execution_id
        return ExecutionRecord.load(row[1])

    def save_workflow(self, workflow_id: str, sql: str) -> None:
        """Save a workflow, or replace its SQL, as somebody does in AMC's console."""
        document = {**workflows.definition_of({"sqlQuery": sql}), "workflowId": workflow_id}
        store = self.emulator.store
        if not store.add_document(workflows.KIND, INSTANCE, workflow_id, document):
            store.replace_document(workflows.KIND, INSTANCE, workflow_id, document)

    def order(self, faults: Sequence[Mapping[str, Any]]) -> None:
        """Order faults."""
        self.emulator.faults.add_all(list(faults))

    def mend(self) -> None:
        """Cancel all faults but those that say how long executions run."""
        kept = [fault for fault in self.emulator.faults._faults if fault.kind == "duration"]
        self.emulator.faults.clear()
        self.emulator.faults._faults.extend(kept)

    # -- a history ---------------------------------------------------------------------------------------------------
    @contextlib.contextmanager
    def begun(self, seed: int, durations: Sequence[float]) -> Iterator[None]:
        """A world in which nothing has happened yet, for one history.

        :param seed: of everything that is drawn inside.
        :param durations: seconds that the executions run, in the order of their creation; the last is that of the rest.
        """
        draw = random.Random(seed)
        self.process, self.silent, self.counts, self.diary = Process("nobody"), False, Counter(), []
        self.runner.clear()
        self.emulator.store.clear()
        self.emulator.faults.clear()
        self.emulator.log.clear()
        auth.forget_tokens()
        state = random.getstate()
        with contextlib.ExitStack() as stack:
            self._traveller = stack.enter_context(time_machine.travel(START, tick=False))
            for target, name, value in (
                (time, "sleep", self.sleep),
                # The order of a set
                (shared.Wait, "__hash__", lambda wait: uuid.UUID(wait.execution_id).int >> 70),
                (uuid, "uuid4", lambda: uuid.UUID(int=draw.getrandbits(128), version=4)),
                (http, "new_session", self._session(http.new_session)),
            ):
                stack.enter_context(mock.patch.object(target, name, value))
            for function in (Submission.__init__, Transport.__init__, AmcClient.__init__, auth.TokenSource.__init__):
                defaults = {"sleep": self.sleep, "clock": time.time}
                known = {name: value for name, value in defaults.items() if name in function.__kwdefaults__}
                stack.enter_context(mock.patch.dict(function.__kwdefaults__, known))
            connection = json.dumps(self.emulator.connection(_ADDRESS))
            stack.enter_context(mock.patch.dict(os.environ, {"AIRFLOW_CONN_AMC_DEFAULT": connection}))
            stack.callback(logging.disable, logging.root.manager.disable)
            logging.disable(logging.CRITICAL)
            # Airflow would search all texts for the tokens of all histories.
            stack.enter_context(mock.patch.object(amc, "mask_secret"))
            stack.enter_context(mock.patch.object(amc, "_masker_for", return_value=None))
            for kind in (AmcExecuteWorkflowOperator, AmcWorkflowExecutionTrigger):
                stack.enter_context(mock.patch.object(kind, "log", logging.getLogger("chaos")))
            random.seed(seed)
            self.runner._scheduler.changed()
            self.order([{"kind": "duration", "operation": "createWorkflowExecution", "seconds": d} for d in durations])
            last = {"kind": "duration", "operation": "createWorkflowExecution", "seconds": durations[-1], "times": None}
            self.order([last])
            try:
                yield
            finally:
                random.setstate(state)

    def _session(self, make: Callable[[], requests.Session]) -> Callable[[], requests.Session]:
        wire = Wire(self)

        def session() -> requests.Session:
            made = make()
            made.mount("http://", wire)
            return made

        return session
