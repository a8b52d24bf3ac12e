"""Every snippet of docs/identities.md, executed as a user would, and its tables against the code."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_amc.identity import COUNTRIES, IdentityKind, hash_identities, normalize
from tests.conftest import REPOSITORY
from tests.docs.documents import IDENTITIES
from tests.docs.markdown import Block, codes
from tests.identity.vectors import sha

pytestmark = pytest.mark.packaging


@IDENTITIES.executed("Hash the rows of a file")
def test_a_file(blocks: list[Block], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = blocks
    monkeypatch.chdir(tmp_path)
    people = {
        "mail": ["Anna@Example.com", "nobody"],
        "mobile": ["0151 12345678", None],
        "surname": ["Müller", "Smith"],
        "street": ["Hauptstraße 5", "1 High Street"],
        "postcode": ["80331", "sw1a 1aa"],
        "country": ["DE", "UK"],
        "spent": [1, 2],
    }
    pq.write_table(pa.table(people), "customers.parquet")
    exec(block.text, {})
    wanted = {
        "mail": [sha("anna@example.com"), None],
        "mobile": [sha("4915112345678"), None],
        "surname": [sha("mueller"), sha("smith")],
        "street": [sha("hauptstrasse5"), sha("1highst")],
        "postcode": [sha("80331"), sha("SW1A1AA")],
    }
    assert pq.read_table("hashed.parquet").to_pydict() == {**people, **wanted}


@IDENTITIES.executed("One column")
@IDENTITIES.executed("Errors", "errors")
def test_snippets(blocks: list[Block], errors: list[Block]) -> None:
    for block in [*blocks, *errors]:
        assert block.language == "python"
        exec(block.text, {})


def test_arguments() -> None:
    rows = IDENTITIES.table("Hash the rows of a file")
    assert [codes(row["argument"])[0] for row in rows] == list(inspect.signature(hash_identities).parameters)
    (fields,) = [row["what it is"] for row in rows if row["argument"] == "`fields`"]
    assert codes(fields) == [kind.value for kind in IdentityKind]


def test_kinds() -> None:
    told = [code for row in IDENTITIES.table("The rules") for code in codes(row["kind"])]
    assert told == [kind.value for kind in IdentityKind]


def test_countries() -> None:
    rows = IDENTITIES.table("Countries")
    assert [codes(row["code"])[0] for row in rows] == list(COUNTRIES)
    for row in rows:
        (country,) = codes(row["code"])
        # Ten digits that no other rule of a country touches.
        number = "6123456789" if country not in ("FR", "ES") else "612345678"
        code = row["phone numbers without calling code"].removeprefix("+")
        assert normalize("PHONE", pa.array([number]), country=country).to_pylist() == [code + number]


def test_what_surprises() -> None:
    text = IDENTITIES.text
    assert "`München` is `mnchen`" in text
    pairs = re.findall(r"`([^`]+)` is\s+`([^`]+)`", text[text.index("## What surprises") : text.index("## Errors")])
    kinds = [("LAST_NAME", "DE"), ("CITY", "DE"), ("CITY", "FR"), ("STATE", "DE"), ("STATE", "DE")]
    assert len(pairs) == len(kinds)
    for (written, told), (kind, country) in zip(pairs, kinds, strict=True):
        assert normalize(kind, pa.array([written]), country=country).to_pylist() == [told]
    for street in ("Blvd", "Boulevard"):
        assert normalize("ADDRESS", pa.array([street]), country="US").to_pylist() == [street.lower()]


def test_the_benchmark() -> None:
    assert "\nbench-hash: venv ##" in (REPOSITORY / "Makefile").read_text(encoding="utf-8")
