from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_amc.emulator.outputcolumns import check_digits, differences

FOUND = [
    {"name": "campaign", "columnType": "DIMENSION", "dataType": "STRING"},
    {"name": "spend", "columnType": "METRIC", "dataType": "DECIMAL", "dataTypePrecision": 38, "dataTypeScale": 4},
    {"name": "path", "columnType": "DIMENSION", "dataType": "ARRAY"},
]


def test_a_promise_that_is_kept() -> None:
    assert differences(FOUND, FOUND) == []
    loose = [{"name": "campaign"}, {"name": "spend", "dataType": "DECIMAL"}, {"dataType": {"type": "ARRAY"}}]
    assert differences(loose, FOUND) == []


def test_every_difference_is_named() -> None:
    promised = [
        {"name": "Campaign", "columnType": "METRIC", "dataType": "LONG", "dataTypePrecision": 3},
        {"name": "spend", "columnType": "METRIC", "dataType": "DECIMAL", "dataTypePrecision": 20, "dataTypeScale": 2},
    ]
    assert differences(promised, FOUND) == [
        "the workflow specifies 2 output columns but its query produces 3",
        "column 1 (campaign): name Campaign is specified but it is campaign",
        "column 1 (campaign): data type LONG is specified but it is STRING",
        "column 1 (campaign): column type METRIC is specified but it is DIMENSION",
        "column 1 (campaign): precision 3 is specified but it has no precision",
        "column 2 (spend): precision 20 is specified but it is 38",
        "column 2 (spend): scale 2 is specified but it is 4",
        "column 3: path is not specified",
    ]
    assert differences([*FOUND, {"name": "extra"}], FOUND)[1:] == ["column 4: the query produces no extra"]


def test_columns_that_amc_adds_may_be_left_out() -> None:
    added = [*FOUND, {"name": "filtered", "columnType": "DIMENSION", "dataType": "BOOLEAN"}]
    assert differences(FOUND, added, optional=["filtered"]) == []
    assert differences(added, added, optional=["filtered"]) == []
    assert len(differences(FOUND[:2], added, optional=["filtered"])) == 3


@pytest.mark.parametrize(
    ("digits", "text"),
    [
        ({"dataTypePrecision": 39}, "'39' for dataTypePrecision of d in outputColumns: .* from 1 to 38"),
        ({"dataTypePrecision": "38"}, "dataTypePrecision"),
        ({"dataTypePrecision": True}, "dataTypePrecision"),
        ({"dataTypePrecision": 10, "dataTypeScale": 11}, "from 0 to 10"),
        ({"dataTypeScale": -1}, "dataTypeScale"),
    ],
)
def test_wrong_digits(digits: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        check_digits({"name": "d", **digits})
