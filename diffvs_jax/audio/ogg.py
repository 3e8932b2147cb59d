"""Checksums of an Ogg file's pages: a decoder passes over damaged ones in silence."""

import os
import struct
import zlib

_HEADER = 27  # bytes of a page before its table of segments
_LAST_PAGE = 4  # flag
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def damaged_at(path: str | os.PathLike) -> float | None:
    """Where in an Ogg file, as a share of its bytes, the first damaged page begins; None: nowhere, or another format.

    Every page carries a checksum of itself and is followed by the next (RFC 3533, section 6).
    """
    size, at, last = os.path.getsize(path), 0, False
    with open(path, "rb") as file:
        if file.read(4) != b"OggS":
            return None
        file.seek(0)
        while header := file.read(_HEADER):
            if not header.startswith(b"OggS") and last:
                return None  # tags behind the stream
            if not header.startswith(b"OggS") or len(header) < _HEADER:
                return at / size
            segments = file.read(header[26])
            body = file.read(sum(segments))
            stored = struct.unpack_from("<I", header, 22)[0]
            if _checksum(header[:22] + bytes(4) + header[26:] + segments + body) != stored:
                return at / size
            last = bool(header[5] & _LAST_PAGE)
            at += _HEADER + len(segments) + len(body)
    return None


def _checksum(page: bytes) -> int:
    """CRC-32 with the bits of zlib's in the opposite order, and nothing inverted."""
    mirrored = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)
