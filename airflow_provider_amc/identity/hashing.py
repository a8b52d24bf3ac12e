"""SHA-256 of whole arrays."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_amc.identity.text import HASH_LENGTH, are_hashes, as_text

_DIGITS = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)


def sha256(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Hash normalised identifiers: SHA-256 of their UTF-8 bytes, as 64 hexadecimal digits in lower case.

    Hashes are left as they are, and NULL stays NULL.

    :param values: text that :func:`normalize` returned.
    :returns: as many strings; a chunked array for a chunked array.
    :raises AmcValidationError: the values are no text.
    """
    if isinstance(values, pa.ChunkedArray):
        return pa.chunked_array([sha256(chunk) for chunk in values.chunks], pa.string())
    distinct = as_text(values).dictionary_encode()
    return hashed(distinct.dictionary).take(distinct.indices)


def hashed(values: pa.Array) -> pa.Array:
    """Hash strings; NULL stays NULL.

    :param values: strings.
    """
    present = values.drop_null()
    texts = present.cast(pa.binary()).to_numpy(zero_copy_only=False)
    sha = hashlib.sha256
    digests = np.frombuffer(b"".join([sha(text).digest() for text in texts]), dtype=np.uint8)
    # Digits and offsets of all hashes at once: a Python string for each would take most of the time.
    digits = np.empty(digests.size * 2, dtype=np.uint8)
    digits[0::2] = _DIGITS[digests >> 4]
    digits[1::2] = _DIGITS[digests & 15]
    offsets = np.arange(len(present) + 1, dtype=np.int32) * np.int32(HASH_LENGTH)
    hashes = pa.StringArray.from_buffers(len(present), pa.py_buffer(offsets), pa.py_buffer(digits))
    hashes = pc.if_else(are_hashes(present), present, hashes)
    if values.null_count == 0:
        return hashes
    return pc.replace_with_mask(pa.nulls(len(values), pa.string()), values.is_valid(), hashes)
