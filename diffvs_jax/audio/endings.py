"""Whether a file is all there, where libsndfile plays what is left and says nothing."""

import os
import struct
from typing import BinaryIO

_PAGE_HEADER = 27  # bytes of an Ogg page before its table of segments
_LONGEST_PAGE = _PAGE_HEADER + 255 + 255 * 255
_LAST_PAGE = 4  # flag of the page that ends a stream
# Magic bytes -> how the size is written, where, and the bytes that it does not count.
_SIZES = {b"FORM": (">I", 4, 8), b"RF64": ("<Q", 20, 8), b"riff": ("<Q", 16, 0)}  # aiff, long wav, w64
_SLACK = 8  # bytes; some writers count their own header


def is_cut_off(path: str | os.PathLike) -> bool:
    """Whether an Ogg, AIFF, RF64 or W64 file ends before it should; False for other formats.

    An Ogg stream ends with a page that says so (RFC 3533, section 6); the others begin with their size.
    """
    with open(path, "rb") as file:
        head = file.read(28)
        size = file.seek(0, os.SEEK_END)
        if head[:4] == b"OggS":
            return _lacks_last_page(file, size)
        if head[:4] not in _SIZES or len(head) < 28:
            return False
        form, at, uncounted = _SIZES[head[:4]]
        return struct.unpack_from(form, head, at)[0] + uncounted > size + _SLACK


def _lacks_last_page(file: BinaryIO, size: int) -> bool:
    file.seek(max(0, size - 2 * _LONGEST_PAGE))
    end = file.read()
    page = end[max(end.rfind(b"OggS\0"), 0) :]
    if len(page) < _PAGE_HEADER or page[:4] != b"OggS":
        return True
    num_segments = page[_PAGE_HEADER - 1]
    segments = page[_PAGE_HEADER : _PAGE_HEADER + num_segments]
    whole = len(segments) == num_segments and len(page) >= _PAGE_HEADER + num_segments + sum(segments)
    return not (whole and page[5] & _LAST_PAGE)
