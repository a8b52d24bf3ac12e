from __future__ import annotations

import base64
import json

from airflow_provider_amc.emulator import spec


def test_what_the_file_knows_stays():
    document = {
        "workflowId": "w",
        "sqlQuery": "SELECT 1",
        "inputParameters": [{"name": "p", "dataType": "DATE", "columnType": "DIMENSION", "defaultValue": "2026-01-01"}],
        "outputColumns": [{"name": "n", "dataType": "DECIMAL", "dataTypePrecision": 38, "dataTypeScale": 2}],
        "outputFormat": {"separatorCharacter": ";"},
    }
    assert spec.workflow(document) == document


def test_arrays_numbers_and_nested_types_become_what_comes_closest():
    shown = spec.workflow(
        {
            "sqlQuery": "SELECT 1",
            "inputParameters": [
                {"name": "a", "dataType": {"type": "ARRAY", "elementDataType": "STRING"}, "defaultValue": ["x", "y"]},
                {"name": "n", "dataType": "LONG", "defaultValue": 5, "description": None, "displayName": 7},
            ],
            "outputColumns": [{"name": "s", "dataType": {"type": "STRUCT"}}, {"name": "t", "dataType": "MAP"}],
            "inputSchema": None,
        }
    )
    assert shown == {
        "sqlQuery": "SELECT 1",
        "inputParameters": [
            {"name": "a", "dataType": "STRING", "defaultValue": '["x", "y"]'},
            {"name": "n", "dataType": "LONG", "defaultValue": "5"},
        ],
        "outputColumns": [{"name": "s"}, {"name": "t"}],
    }


def test_legacy_queries_are_base64():
    (one,) = spec.workflow({"query": {"operations": [{"type": "Select"}]}})["query"]
    assert json.loads(base64.b64decode(one)) == {"type": "Select"}
    assert len(spec.workflow({"query": [{"type": "Select"}] * 2})["query"]) == 2
