"""The measured process of ``make bench-hash``: made-up people, hashed batch by batch."""

from __future__ import annotations

import json
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator

import pyarrow as pa

from airflow_provider_amc.identity import COUNTRIES, hash_identities

FIELDS = {
    "email": "EMAIL",
    "phone": "PHONE",
    "first_name": "FIRST_NAME",
    "last_name": "LAST_NAME",
    "address": "ADDRESS",
    "city": "CITY",
    "state": "STATE",
    "zip": "ZIP",
}
_STREETS = {
    "US": "{n} N. {w} Street, Apt #{m}",
    "CA": "{n}-{m} {w} Avenue West",
    "GB": "Flat {m}, {n} {w} Road",
    "DE": "{w}straße {n}",
    "FR": "{n} bis, allée de {w}",
    "IT": "V.le {w}, {n}",
    "ES": "C/ {w} {n}, {m}º A",
    "JP": "{w} {n}-{m}, １丁目",
    "IN": "Flat No. {m}, {w} Road {n}",
}
_PHONES = {
    "US": "({a}) {b}-0{c}",
    "CA": "+1 {a} {b} 0{c}",
    "GB": "07700 {b}{a}",
    "DE": "+49 (0)151 {b}{c}{m}",
    "FR": "06 {a}{b}{m}",
    "IT": "3{m} {a}{b}0",
    "ES": "0034 6{m}{a}{b}",
    "JP": "090-{c}-{c}",
    "IN": "91 98{m}{a}{b}",
}
_ZIPS = {"CA": "K{d}A {d}B{d}", "GB": "DN{m} {d}PT", "JP": "{b}-{c}", "IN": "{b}{a}"}
_STATES = ("Bavaria", "California", "New York", "Ontario", "Madrid", "Lorraine", "Gujarat", "TX", "Île-de-France")


def _people(rows: int, size: int) -> Iterator[pa.RecordBatch]:
    """Most e-mail addresses, phone numbers and streets differ; names and cities come back."""
    chance = random.Random(7)
    parts = (
        "an",
        "ber",
        "cor",
        "dü",
        "el",
        "fé",
        "gran",
        "hil",
        "is",
        "jo",
        "kel",
        "li",
        "mo",
        "nor",
        "o'",
        "pé",
        "ros",
    )
    words = ["".join(chance.choices(parts, k=3)).title() for _ in range(30_000)]
    for start in range(0, rows, size):
        batch: dict[str, list[str | None]] = {name: [] for name in [*FIELDS, "country"]}
        for number in range(start, min(start + size, rows)):
            country = chance.choice(COUNTRIES)
            first, last, street = chance.choice(words[:2_000]), chance.choice(words), chance.choice(words)
            digits = {
                "a": chance.randrange(200, 999),
                "b": chance.randrange(200, 999),
                "c": chance.randrange(1000, 9999),
                "d": chance.randrange(9),
                "m": chance.randrange(10, 99),
                "n": chance.randrange(1, 9999),
            }
            batch["email"].append(f" {first}.{last}{number}@Example.com" if number % 20 else None)
            batch["phone"].append(_PHONES[country].format(**digits) if number % 3 else None)
            batch["first_name"].append(first)
            batch["last_name"].append(last)
            batch["address"].append(_STREETS[country].format(w=street, **digits))
            batch["city"].append(words[digits["n"]])
            batch["state"].append(chance.choice(_STATES))
            batch["zip"].append(_ZIPS.get(country, "{b}{m}").format(**digits))
            batch["country"].append(country)
        yield pa.record_batch(batch)


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Hash as many rows as the command line says, and print what that took as JSON."""
    rows, size = (int(argument) for argument in sys.argv[1:])
    seconds = cpu = 0.0
    hashes = nulls = 0
    by_kind: Counter[str] = Counter()
    before = _peak_megabytes()
    for batch in _people(rows, size):
        began, began_cpu = time.perf_counter(), time.process_time()
        found = hash_identities(batch, FIELDS, country_column="country")
        seconds += time.perf_counter() - began
        cpu += time.process_time() - began_cpu
        nulls += sum(found[name].null_count for name in FIELDS)
        hashes += sum(len(found) - found[name].null_count for name in FIELDS)
        # Once more field by field, outside the figure.
        for name, kind in FIELDS.items():
            began = time.perf_counter()
            hash_identities(batch, {name: kind}, country_column="country")
            by_kind[kind] += time.perf_counter() - began
    told = {"seconds": seconds, "cpu": cpu, "memory": _peak_megabytes(), "memory_before": before, "fields": len(FIELDS)}
    print(json.dumps({**told, "hashes": hashes, "nulls": nulls, "by_kind": dict(by_kind)}))


if __name__ == "__main__":
    main()
