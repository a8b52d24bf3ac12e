"""Processes of the demo: started with a log file, waited for by what they print, and always stopped."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

#: Seconds; each wait ends earlier, as soon as there is an answer.
START_PATIENCE, STOP_PATIENCE = 90.0, 10.0
#: Lines of a log that name an error, as Python ends a traceback.
ERROR_LINE = re.compile(r"^(?:[\w.]+\.)?\w*(?:Error|Exception|Failure)\b.*", re.MULTILINE)


class DemoError(Exception):
    """What went wrong, and where to read more."""


@dataclass
class Child:
    """A process of the demo, in a process group of its own, so that Ctrl-C reaches the demo alone.

    :param command: program and arguments.
    :param log: where its output goes; the file's name is the process's in messages.
    :param env: its environment.
    """

    command: list[str | Path]
    log: Path
    env: dict[str, str]
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        """Start it."""
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command,
                env=self.env,
                cwd=self.log.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stop(self) -> None:
        """Ask it to end, then make it end, together with what it started."""
        for sign in (signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is not None:
                return
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_PATIENCE)

    def output(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def fail(self, what: str) -> NoReturn:
        """Raise with what its log says about it: its last error, or else its last lines."""
        output = self.output()
        errors = ERROR_LINE.findall(output)
        words = errors[-1:] or output.splitlines()[-10:]
        raise DemoError("\n".join([f"{self.log.stem} {what}.", *words, f"The whole log is {self.log}"]))

    def finish(self, patience: float) -> None:
        """Wait until it has ended well."""
        try:
            code = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.fail(f"took longer than {patience:.0f} seconds")
        if code:
            self.fail(f"ended with exit code {code}")

    def wait_for(self, pattern: str) -> str:
        """Wait until its output has a match.

        :param pattern: regular expression with one group.
        :returns: what the group matched.
        """
        for _ in ticks(START_PATIENCE):
            if match := re.search(pattern, self.output()):
                return match.group(1)
            if self.process.poll() is not None:
                self.fail(f"ended with exit code {self.process.returncode} instead of starting")
        self.fail(f"did not start within {START_PATIENCE:.0f} seconds")


@contextlib.contextmanager
def running(command: list[str | Path], log: Path, env: dict[str, str]) -> Iterator[Child]:
    """Run a process for as long as the block lasts."""
    child = Child(command, log, env)
    child.start()
    try:
        yield child
    finally:
        child.stop()


def ticks(patience: float) -> Iterator[float]:
    """Look again and again, five times a second, for so many seconds."""
    start = time.monotonic()
    while (passed := time.monotonic() - start) < patience:
        yield passed
        time.sleep(0.2)
