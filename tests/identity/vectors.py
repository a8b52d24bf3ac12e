"""How test vectors are checked: every way through the package has to give the normalised text, and its hash."""

from __future__ import annotations

import hashlib

import pyarrow as pa

from airflow_provider_amc.identity import IdentityKind, hash_identities, normalize, sha256

#: What was written, and the text that Amazon hashes for it; ``None`` when there is none.
Vectors = list[tuple[str, str | None]]


def sha(text: str | None) -> str | None:
    """The hash as any other program makes it."""
    return None if text is None else hashlib.sha256(text.encode()).hexdigest()


def check(kind: IdentityKind, vectors: Vectors, country: str | None = None) -> None:
    """Compare what the package makes of the vectors, of the whole array and of each value alone.

    :param kind: what they are.
    :param vectors: the vectors.
    :param country: two-letter code.
    """
    written, wanted = [raw for raw, _ in vectors], [text for _, text in vectors]
    found = normalize(kind, pa.array(written, pa.string()), country=country)
    assert dict(zip(written, found.to_pylist(), strict=True)) == dict(vectors)
    for raw, text in vectors:
        assert normalize(kind, pa.array([raw]), country=country).to_pylist() == [text]
    hashes = [sha(text) for text in wanted]
    assert sha256(found).to_pylist() == hashes
    batch = pa.record_batch({"identity": pa.array(written)})
    assert hash_identities(batch, {"identity": kind}, country=country)["identity"].to_pylist() == hashes
