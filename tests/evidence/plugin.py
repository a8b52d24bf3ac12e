"""pytest hooks that gather the evidence of a run and write, or check, the coverage table.

``--coverage-table=write`` writes it after the tests with the marker ``covers``; ``--coverage-table=check`` compares it
after a run of all tests. With pytest-xdist, the claims travel from the workers in the reports.
"""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from tests.evidence.collect import Evidence, claim, test_name

TABLE = Path(__file__).resolve().parents[2] / "docs" / "emulator-coverage.md"
_PROPERTY = "covers"
_REMEDY = "run 'make coverage-table' and commit docs/emulator-coverage.md"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--coverage-table", choices=("check", "write"), help="check or write docs/emulator-coverage.md")


def pytest_configure(config: pytest.Config) -> None:
    if config.option.coverage_table and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Gatherer(config), "amc-coverage-table")


@pytest.hookimpl(trylast=True)
def pytest_itemcollected(item: pytest.Item) -> None:
    for marker in item.iter_markers("covers"):
        try:
            item.user_properties.append((_PROPERTY, claim(*marker.args, **marker.kwargs)))
        except (TypeError, ValueError) as error:
            raise pytest.UsageError(f"{item.nodeid}: {error}") from None


class Gatherer:
    """Gathers what the passed tests of a run show."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._write = config.option.coverage_table == "write"
        self._evidence: set[Evidence] = set()
        self.message = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            test = test_name(report.nodeid)
            claims = [value for name, value in report.user_properties if name == _PROPERTY]
            self._evidence.update(Evidence(*claim[:2], test, *claim[2:]) for claim in claims)  # type: ignore[misc]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus != pytest.ExitCode.OK:
            self.message = "not looked at, because the run did not pass"
        elif not self._whole_run():
            self.message = "not looked at, because only some tests ran"
        else:
            self._finish(session)

    def _finish(self, session: pytest.Session) -> None:
        from tests.evidence.table import UnknownNameError, render

        try:
            text = render(self._evidence)
        except UnknownNameError as error:
            self.message = str(error)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            return
        before = TABLE.read_text(encoding="utf-8") if TABLE.exists() else ""
        if text == before:
            self.message = "up to date"
        elif self._write:
            TABLE.write_text(text, encoding="utf-8")
            self.message = "written"
        else:
            difference = list(difflib.unified_diff(before.splitlines(), text.splitlines(), lineterm="", n=0))
            lines = [line for line in difference[2:] if not line.startswith("@@")]
            self.message = "\n".join([f"out of date: {_REMEDY}", *lines[:20]])
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _whole_run(self) -> bool:
        option = self._config.option
        chosen = option.keyword or getattr(option, "lf", False) or option.deselect
        everything = self._config.args_source == pytest.Config.ArgsSource.TESTPATHS and not chosen
        return everything and option.markexpr in ("", "covers")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("docs/emulator-coverage.md")
        terminalreporter.line(self.message)
