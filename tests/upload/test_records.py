from __future__ import annotations

import re
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_amc.client.advertiser_audiences import check_records
from airflow_provider_amc.exceptions import AmcLoadError, AmcValidationError
from airflow_provider_amc.upload.people import targets_of
from airflow_provider_amc.upload.records import Records

HASH = "0" * 63


def table(**columns: list[Any]) -> list[tuple[int, pa.RecordBatch]]:
    """Rows in batches of two."""
    batches = pa.table(columns).to_batches(max_chunksize=2)
    return [(1 + 2 * number, batch) for number, batch in enumerate(batches)]


def records(**fields: Any) -> Records:
    return Records(**{"external_id": "id", "identities": {"mail": "EMAIL"}, **fields})


def test_a_record_is_what_amc_takes() -> None:
    made = records(
        identities={"mail": "EMAIL", "mail2": "EMAIL", "postcode": "ZIP"},
        action_column="what",
        country="us",
        country_column="land",
        consents={"TCF": "tcf", "AMZN_AD_STORAGE": "ads"},
    )
    people = table(
        id=["a", "b"],
        mail=[f"{HASH}1", None],
        mail2=[f"{HASH}2", f"{HASH}3"],
        postcode=[f"{HASH}4", None],
        what=[None, "delete"],
        land=["uk", None],
        tcf=["CPx", None],
        ads=["GRANTED", None],
    )
    found = list(made.of(people))
    assert found == [
        {
            "externalUserId": "a",
            "action": "CREATE",
            "hashedPII": [{"email": f"{HASH}1", "postal": f"{HASH}4"}, {"email": f"{HASH}2"}],
            "countryCode": "GB",
            "userConsent": {"consent": {"tcf": "CPx", "amzn": {"amznAdStorage": "GRANTED"}}},
        },
        {"externalUserId": "b", "action": "DELETE", "hashedPII": [{"email": f"{HASH}3"}], "countryCode": "US"},
    ]
    check_records(found)
    assert made.facts() == {"added": 1, "removed": 1, "without_identity": 0}


def test_rows_of_a_person_are_one_record_also_across_batches() -> None:
    made = records()
    found = list(made.of(table(id=["a", "b", "b", "c"], mail=[f"{HASH}{n}" for n in range(3)] + [None])))
    assert [(one["externalUserId"], len(one["hashedPII"])) for one in found] == [("a", 1), ("b", 2)]
    assert made.facts() == {"added": 2, "removed": 0, "without_identity": 1}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": ["a", "b", "c", "b"]}, "Rows 2 and 4 have the same id"),
        ({"id": ["a", "b", "b", "c"], "what": [None, None, "DELETE", None]}, "Rows 2 and 3 have the same id"),
        ({"id": ["a", None, "b", "c"]}, "Row 2: id must have"),
        ({"id": ["a", "b", "c", "d@example.com"]}, "Row 4: id must have"),
        ({"id": ["a", "b", "c", "d"], "what": [None, None, "UPSERT me", None]}, "Row 3: what must be CREATE or DELETE"),
    ],
)
def test_a_wrong_row_is_named_without_its_values(columns: dict[str, list[Any]], message: str) -> None:
    made = records(action_column="what" if "what" in columns else None)
    with pytest.raises(AmcLoadError, match=re.escape(message)) as caught:
        list(made.of(table(mail=[f"{HASH}{n}" for n in range(4)], **columns)))
    assert not re.search("example|me", str(caught.value).replace("same", "").replace("UPSERT", "me"))


def test_too_many_identities_of_a_person() -> None:
    with pytest.raises(AmcLoadError, match="Row 101: AMC takes up to 100"):
        list(records().of(table(id=["a"] * 101, mail=[f"{HASH}1"] * 101)))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"action": "UPSERT"}, "action must be CREATE or DELETE"),
        ({"identities": {}}, "one column at least"),
        ({"consents": {"GDPR": "c"}}, "consent_columns knows TCF, GPP"),
    ],
)
def test_wrong_columns(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(AmcValidationError, match=message):
        records(**fields)


@given(
    st.lists(st.tuples(st.lists(st.booleans(), min_size=1, max_size=4), st.sampled_from(["CREATE", "DELETE"]))),
    st.integers(1, 7),
)
def test_nobody_is_lost_however_the_rows_are_cut(people: list[tuple[list[bool], str]], batch: int) -> None:
    """Each person has some rows, each with an identity or without."""
    rows = [(f"p{number}", has, action) for number, (row, action) in enumerate(people) for has in row]
    columns = pa.table(
        {
            "id": pa.array([row[0] for row in rows], pa.string()),
            "mail": pa.array([f"{at:064x}" if row[1] else None for at, row in enumerate(rows)], pa.string()),
            "what": pa.array([row[2] for row in rows], pa.string()),
        }
    )
    starts = range(0, max(len(rows), 1), batch)
    batches = zip((start + 1 for start in starts), columns.to_batches(max_chunksize=batch), strict=False)
    made = records(action_column="what")
    found = list(made.of(batches))
    known = [(f"p{number}", action, sum(row)) for number, (row, action) in enumerate(people) if any(row)]
    assert [(one["externalUserId"], one["action"], len(one["hashedPII"])) for one in found] == known
    hashes = [identity["email"] for one in found for identity in one["hashedPII"]]
    assert hashes == [f"{at:064x}" for at, row in enumerate(rows) if row[1]]
    facts = made.facts()
    assert facts["added"] + facts["removed"] == len(found)
    assert facts["without_identity"] == len(rows) - len(hashes)


def test_users_to_delete() -> None:
    people = table(mail=[f"{HASH}1", None], postcode=[f"{HASH}2", None], ramp=[None, "XY1"])
    found = list(targets_of(people, {"mail": "EMAIL", "postcode": "ZIP"}, {"ramp": "LIVERAMP"}))
    assert found == [
        {"hashedIdentity": {"EMAIL": f"{HASH}1", "ZIP": f"{HASH}2"}},
        {"externalIdentity": {"type": "LIVERAMP", "value": "XY1"}},
    ]
