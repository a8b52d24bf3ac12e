"""The coverage table: what it says about a row, and when a run may write or refuse it."""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.evidence import plugin
from tests.evidence.collect import Evidence, claim, test_name
from tests.evidence.inventory import rows
from tests.evidence.table import UnknownNameError, render

SHOWN = [
    Evidence("function", "ABS", "sql/test_one.py::test_abs"),
    Evidence("function", "ABS", "sql/test_two.py::test_abs"),
    Evidence("function", "ABS", "sql/test_three.py::test_abs"),
    Evidence("function", "CEIL", "sql/test_one.py::test_ceil"),
    Evidence("function", "CEIL", "sql/test_one.py::test_ceil", "partial", "only | positive"),
    Evidence("rule", "a rule that only a test knows", "emulator/test_results.py::test_rule"),
    Evidence("endpoint", "createInstance", "emulator/test_access.py::test_absent", "unsupported"),
]


def lines(evidence: list[Evidence]) -> list[str]:
    return render(evidence).splitlines()


def test_rows_say_what_tests_show() -> None:
    table = lines(SHOWN)
    assert "| `ABS` | supported | `sql/test_one.py::test_abs`, `sql/test_three.py::test_abs` and 1 more |  |" in table
    assert "| `CEIL` | partial | `sql/test_one.py::test_ceil` | only \\| positive |" in table
    assert "| `FLOOR` | untested |  |  |" in table
    (absent,) = [line for line in table if line.startswith("| `createInstance`")]
    assert "`POST /amc/instances` | unsupported | `emulator/test_access.py::test_absent` |" in absent
    assert "| `adserver_traffic` | unsupported |  | removed by Amazon on 2025-06-30 |" in table


def test_rules_of_tests_stand_with_their_like() -> None:
    table = lines(SHOWN)
    at = table.index("| a rule that only a test knows | supported | `emulator/test_results.py::test_rule` |  |")
    assert [line for line in table[:at] if line.startswith("### ")][-1] == "### Results"


def test_the_summary_counts_rows() -> None:
    (line,) = [line for line in lines(SHOWN) if line.startswith("| [Functions]")]
    functions = len([row for row in rows() if row.kind == "function"])
    assert line == f"| [Functions](#functions) | 1 | 1 | {functions - 2} | 0 |"


def test_the_order_of_the_tests_does_not_matter() -> None:
    shuffled = SHOWN * 2
    random.Random(1).shuffle(shuffled)
    assert render(shuffled) == render(SHOWN)


def test_a_name_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"covers\('fault', 'flood'\): .* no such fault; see test_x.py::test_y"):
        render([Evidence("fault", "flood", "test_x.py::test_y")])


def test_claims_are_checked() -> None:
    assert claim("rule", "a") == ("rule", "a", "supported", "")
    with pytest.raises(ValueError, match="'rules' is none of the kinds function, statement"):
        claim("rules", "a")
    with pytest.raises(ValueError, match="'half' is none of supported, partial, unsupported"):
        claim("rule", "a", "half")


def test_parameters_are_no_part_of_a_name() -> None:
    assert test_name("tests/sql/test_a.py::test_b[x::y-/]") == "sql/test_a.py::test_b"


class Run:
    """A run of tests that the plugin follows."""

    def __init__(self, mode: str, **options: Any) -> None:
        chosen = {"keyword": "", "markexpr": "", "lf": False, "deselect": None, "coverage_table": mode, **options}
        source = pytest.Config.ArgsSource.TESTPATHS
        self.session: Any = SimpleNamespace(exitstatus=pytest.ExitCode.OK)
        self.gatherer = plugin.Gatherer(SimpleNamespace(option=SimpleNamespace(**chosen), args_source=source))  # type: ignore[arg-type]

    def report(self, passed: bool, when: str = "call") -> None:
        properties = [("other", 1), ("covers", ["function", "ABS", "supported", ""])]
        nodeid = "tests/sql/test_one.py::test_abs[1]"
        self.gatherer.pytest_runtest_logreport(
            SimpleNamespace(when=when, passed=passed, nodeid=nodeid, user_properties=properties)  # type: ignore[arg-type]
        )

    def finish(self, status: int = pytest.ExitCode.OK) -> int:
        self.session.exitstatus = status
        self.gatherer.pytest_sessionfinish(self.session, status)
        return int(self.session.exitstatus)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "table.md"
    monkeypatch.setattr(plugin, "TABLE", file)
    return file


def test_written_then_up_to_date_then_stale(table: Path) -> None:
    writing = Run("write", markexpr="covers")
    writing.report(passed=True)
    assert writing.finish() == 0
    assert "| `ABS` | supported | `sql/test_one.py::test_abs` |  |" in table.read_text()

    same = Run("check")
    same.report(passed=True)
    same.report(passed=True, when="teardown")
    assert same.finish() == 0
    assert same.gatherer.message == "up to date"

    for other in (Run("check"), Run("check")):
        other.report(passed=False)
        assert other.finish() == 1
        message = other.gatherer.message
        assert "out of date: run 'make coverage-table' and commit docs/emulator-coverage.md" in message
        assert "-| `ABS` | supported |" in message
        assert "+| `ABS` | untested |" in message


@pytest.mark.parametrize("options", [{"keyword": "abs"}, {"markexpr": "not packaging"}, {"lf": True}])
@pytest.mark.parametrize("mode", ["check", "write"])
def test_a_part_of_the_tests_says_nothing_about_the_table(table: Path, mode: str, options: dict[str, Any]) -> None:
    run = Run(mode, **options)
    assert run.finish() == 0
    assert "only some tests ran" in run.gatherer.message
    assert not table.exists()


def test_a_failing_run_is_not_made_worse(table: Path) -> None:
    run = Run("write")
    assert run.finish(pytest.ExitCode.TESTS_FAILED) == 1
    assert "did not pass" in run.gatherer.message
    assert not table.exists()
