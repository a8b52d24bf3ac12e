"""Whole files in Snappy: as one block, in the framing format, and as Hadoop writes them.

Facts: "Snappy framing format description" of the Snappy project; Hadoop's ``BlockCompressorStream``.
"""

from __future__ import annotations

from typing import Any

_STREAM = b"\xff\x06\x00\x00sNaPpY"
_COMPRESSED, _PLAIN = 0x00, 0x01
#: Chunks from this kind on may be skipped by who does not know them.
_FIRST_SKIPPABLE = 0x80
_CHECKSUM_BYTES = 4


def decompress(data: bytes) -> bytes:
    """The bytes of a Snappy file.

    :raises ValueError: it is none.
    """
    import pyarrow

    codec = pyarrow.Codec("snappy")
    try:
        if data.startswith(_STREAM):
            return b"".join(_framed(codec, data))
        try:
            return _block(codec, data)
        except (OSError, ValueError):
            return b"".join(_hadoop(codec, data))
    except (OSError, IndexError) as error:
        raise ValueError("the file is not compressed with Snappy") from error


def _block(codec: Any, data: bytes) -> bytes:
    """One block; it begins with its length, seven bits a byte, lowest first."""
    length = shift = 0
    for byte in data[:5]:
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            return bytes(codec.decompress(data, decompressed_size=length, asbytes=True))
        shift += 7
    raise ValueError("no length")


def _framed(codec: Any, data: bytes) -> list[bytes]:
    parts: list[bytes] = []
    position = 0
    while position < len(data):
        kind, length = data[position], int.from_bytes(data[position + 1 : position + 4], "little")
        chunk = data[position + 4 : position + 4 + length]
        if len(chunk) < length:
            raise ValueError("the file is cut")
        if kind == _COMPRESSED:
            parts.append(_block(codec, chunk[_CHECKSUM_BYTES:]))
        elif kind == _PLAIN:
            parts.append(chunk[_CHECKSUM_BYTES:])
        elif kind < _FIRST_SKIPPABLE:
            raise ValueError("the file has a chunk of an unknown kind")
        position += 4 + length
    return parts


def _hadoop(codec: Any, data: bytes) -> list[bytes]:
    """Blocks, each with its plain length, made of pieces, each with its compressed length."""
    parts: list[bytes] = []
    position = 0

    def number() -> int:
        nonlocal position
        if len(data) < position + 4:
            raise ValueError("the file is cut")
        position += 4
        return int.from_bytes(data[position - 4 : position], "big")

    while position < len(data):
        missing = number()
        while missing > 0:
            length = number()
            if length == 0 or len(data) < position + length:
                raise ValueError("the file is not compressed with Snappy")
            parts.append(_block(codec, data[position : position + length]))
            missing -= len(parts[-1])
            position += length
    return parts
