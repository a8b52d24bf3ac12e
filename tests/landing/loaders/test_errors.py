from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_amc.landing.loaders.errors import without_values
from tests.landing.results import PLANTED, PROPERTY


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('relation "results" does not exist', 'relation "results" does not exist'),
        ("permission denied for schema public", "permission denied for schema public"),
        (f'invalid input syntax for type bigint: "{PLANTED}"', 'invalid input syntax for type bigint: "…"'),
        ('value "4711" is out of range for type integer', 'value "…" is out of range for type integer'),
        (
            f"Could not convert string '{PLANTED}\nfoo' to INT32\n\nLINE 1: {PLANTED}",
            "Could not convert string '…' to INT32",
        ),
        (f"Could not convert string '{PLANTED}\nfoo", "Could not convert string '…'"),
        (f"bad 'it's {PLANTED}' here", "bad '…' here"),
        (
            "Type INT64 with value 4711 can't be cast to the type INT32",
            "Type INT64 with value … can't be cast to the type INT32",
        ),
        ("Incorrect integer value: '4711' for column 'clicks' at row 1", "Incorrect integer value: '…' at row …"),
        ("column 'clicks' is 'NOT NULL'", "column 'clicks' is '…'"),
        ("ORA-12899: value too large", "ORA-12899: value too large"),
        ("invalid byte sequence: 0xff 0x47", "invalid byte sequence: … …"),
        ("UNIQUE constraint failed: results.clicks", "UNIQUE constraint failed: results.clicks"),
        ("", ""),
    ],
)
def test_what_is_shown(text: str, shown: str) -> None:
    assert without_values(RuntimeError(text), ["results", "clicks", ""]) == f"RuntimeError: {shown}"


@PROPERTY
@given(
    value=st.text(min_size=0, max_size=10).map(lambda text: f"{text}{PLANTED}{text}"),
    form=st.sampled_from(
        ['failed: "{}"', "cannot convert '{}' to x", 'value "{}" for column "clicks"', "`{}`\nDETAIL: {}"]
    ),
)
def test_a_quoted_value_is_never_shown(value: str, form: str) -> None:
    assert "Zebra" not in without_values(ValueError(form.replace("{}", value)), ["clicks"])
