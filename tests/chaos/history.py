"""What happens in a history, as data: tasks, and moves of Airflow, of its users and of fate. Every part may be left out."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st


@dataclass(frozen=True)
class Fault:
    """AMC fails.

    :param operation: which call, see :data:`~tests.chaos.world.CALLS`; for ``hidden`` and ``ends`` always the create call.
    :param kind: kind of the emulator's fault.
    :param value: status of an answer, seconds for which an execution is hidden, or how an execution ends.
    :param times: how often.
    """

    operation: str
    kind: str
    value: int | str = 0
    times: int = 1


@dataclass(frozen=True)
class Work:
    """A worker runs what a task has to do next: its first try, a retry, or what comes after the wait.

    :param task: number of the task.
    :param step: step of the process before which the deed is done to it; 0 for none.
    :param deed: ``kill`` (SIGKILL), ``stop`` (SIGTERM of its machine), ``fail`` or ``clear`` (by a user, in Airflow).
    :param then_kill: step, counted from that one, before which SIGKILL follows; 0 for none.
    """

    task: int
    step: int = 0
    deed: str = "kill"
    then_kill: int = 0


@dataclass(frozen=True)
class Fails:
    """AMC is going to fail.

    :param faults: how.
    :param silent: a lost answer keeps the client waiting until it gives up, instead of a cut connection.
    """

    faults: tuple[Fault, ...]
    silent: bool = False


@dataclass(frozen=True)
class Pass:
    """Time passes, and the triggerer works.

    :param seconds: how much.
    :param step: step of the triggerer before which it is killed; 0 for none.
    """

    seconds: float
    step: int = 0


@dataclass(frozen=True)
class User:
    """A user acts on a task that no worker runs.

    :param task: number of the task.
    :param deed: ``fail``, ``succeed`` (mark as), ``clear``, or ``change`` (its SQL, or that of its workflow).
    """

    task: int
    deed: str


@dataclass(frozen=True)
class Event:
    """Something else happens.

    :param what: ``crash``, ``shutdown`` (of the triggerer), ``triggerer`` (another one starts), ``mended`` (AMC works
        again), ``sweep`` (``amc sweep --cancel`` is run), ``stranger`` (somebody runs the same query), ``cancelled``
        (somebody cancels the newest execution in AMC's console), ``token`` (the access token expires).
    """

    what: str


Move = Work | Fails | Pass | User | Event


@dataclass(frozen=True)
class Task:
    """A task of the DAG.

    :param saved: it runs a saved workflow.
    :param own_limit: with a time limit chosen by the user, so that its executions bear no mark.
    """

    saved: bool = False
    own_limit: bool = False
    deferrable: bool = True
    reattach: str = "retry"
    retries: int = 1
    retry_delay: int = 0
    timeout: int | None = None
    cancel_on_kill: bool = True
    wait: bool = True
    mapped: bool = False
    logical_date: bool = True


@dataclass(frozen=True)
class History:
    """What happens.

    :param tasks: tasks of one DAG run on one instance. Those of a kind share the text of their query.
    :param moves: one after the other. After them AMC works, and everything comes to its end.
    :param durations: seconds that executions run, in the order of their creation.
    :param modern: is it an Airflow that has the task state store, and tells triggers when a user ends their task (3.3)?
    :param seed: of jitter and delays.
    """

    tasks: tuple[Task, ...]
    moves: tuple[Move, ...]
    durations: tuple[float, ...] = (300.0,)
    modern: bool = True
    seed: int = 0


def _rarely(one_in: int) -> st.SearchStrategy[bool]:
    return st.integers(0, one_in - 1).map(lambda drawn: drawn == one_in - 1)


tasks = st.builds(
    Task,
    saved=_rarely(3),
    own_limit=_rarely(4),
    deferrable=_rarely(3).map(lambda drawn: not drawn),
    reattach=st.sampled_from(("retry", "retry", "retry", "always", "never")),
    retries=st.sampled_from((1, 0, 2, 3)),
    retry_delay=st.sampled_from((0, 30, 300)),
    timeout=st.sampled_from((None, None, 900, 3600)),
    cancel_on_kill=_rarely(12).map(lambda drawn: not drawn),
    wait=_rarely(12).map(lambda drawn: not drawn),
    mapped=st.booleans(),
    logical_date=st.booleans(),
)

_times = st.sampled_from((1, 1, 1, 2, 3, 20))
_calls = st.sampled_from(("create", "list", "get", "cancel"))
faults = st.one_of(
    st.builds(Fault, st.just("create"), st.sampled_from(("lost_answer", "cut_answer")), st.just(504), _times),
    st.builds(Fault, st.just("create"), st.just("not_visible"), st.sampled_from((20, 5, 45, 60)), _times),
    st.builds(Fault, _calls, st.just("status"), st.sampled_from((503, 500, 429, 504, 403)), _times),
    st.builds(Fault, _calls, st.sampled_from(("lost_answer", "cut_answer", "reset", "token_expired")), st.just(504), _times),
    st.builds(Fault, st.sampled_from(("list", "get")), st.just("unknown_status"), st.just("PUBLISHING"), _times),
    st.builds(Fault, st.just("create"), st.just("fail"), st.sampled_from(("FAILED", "REJECTED")), _times),
    st.builds(Fault, st.just("token"), st.sampled_from(("revoked", "status", "reset")), st.just(503), _times),
)  # fmt: skip

_task = st.integers(0, 2)
_work = st.builds(Work, _task)
_hurt_work = st.builds(
    Work,
    _task,
    step=st.one_of(st.integers(1, 16), st.integers(1, 16), st.integers(1, 40)),
    deed=st.sampled_from(("kill", "kill", "stop", "fail", "clear")),
    then_kill=st.sampled_from((0, 0, 0, 1, 2, 3, 4)),
)
moves: st.SearchStrategy[Move] = st.one_of(
    _work,
    _hurt_work,
    _hurt_work,
    st.builds(Fails, st.lists(faults, min_size=1, max_size=3).map(tuple), st.booleans()),
    st.builds(Pass, st.sampled_from((60.0, 600.0, 10.0, 4000.0)), st.one_of(st.just(0), st.integers(0, 12))),
    st.builds(User, _task, st.sampled_from(("clear", "fail", "change", "succeed"))),
    st.builds(Event, st.sampled_from(
        ("triggerer", "crash", "shutdown", "mended", "sweep", "stranger", "cancelled", "token")
    )),
)  # fmt: skip

histories = st.builds(
    History,
    tasks=st.lists(tasks, min_size=1, max_size=3).map(tuple),
    moves=st.lists(moves, min_size=3, max_size=16).map(tuple),
    durations=st.lists(st.sampled_from((300.0, 10.0, 60.0, 1500.0, 5000.0)), min_size=1, max_size=4).map(tuple),
    modern=_rarely(3).map(lambda drawn: not drawn),
    seed=st.integers(0, 2**16),
)
