"""Tables of expressions and values are evidence for the functions they call, unless markers say what they show."""

from __future__ import annotations

import re

import pytest

from tests.evidence.inventory import rows

#: Parameters of tests that hold AMC SQL to evaluate, and parameters that hold what comes out.
_EXPRESSIONS = ("expression", "aggregate")
_VALUES = ("expected", "of_a")
_NAMES = frozenset(row.name for row in rows() if row.kind == "function")
_QUOTED = re.compile(r"'(?:[^']|'')*'")
_WORDS = re.compile(
    r"\b(SIMILAR TO|NOT IN|IN|LIKE|CASE|CURRENT_DATE|CURRENT_TIMESTAMP|OVER)\b|\b([A-Z_][A-Z0-9_]*)\s*\("
)


def functions_of(expression: str) -> set[str]:
    """Names of the functions that an expression calls, as the inventory writes them."""
    words = {one or other for one, other in _WORDS.findall(_QUOTED.sub("''", expression).upper())}
    return words & _NAMES


def pytest_itemcollected(item: pytest.Item) -> None:
    parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    if item.get_closest_marker("covers") or not any(name in parameters for name in _VALUES):
        return
    for name in _EXPRESSIONS:
        if isinstance(parameters.get(name), str):
            for function in sorted(functions_of(parameters[name])):
                item.add_marker(pytest.mark.covers("function", function))
