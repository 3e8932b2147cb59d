"""Whether an Ogg file (Vorbis, Opus, flac in Ogg) is all there: decoders play what is left and say nothing."""

import os

_HEADER = 27  # bytes of a page before its table of segments
_LONGEST_PAGE = _HEADER + 255 + 255 * 255
_LAST = 4  # flag of the page that ends a stream


def lacks_last_page(path: str | os.PathLike) -> bool:
    """Whether the page that ends the stream is missing or cut off (RFC 3533, section 6); False for other formats."""
    with open(path, "rb") as file:
        if file.read(4) != b"OggS":
            return False
        file.seek(max(0, file.seek(0, os.SEEK_END) - 2 * _LONGEST_PAGE))
        end = file.read()
    page = end[max(end.rfind(b"OggS\0"), 0) :]
    if len(page) < _HEADER or page[:4] != b"OggS":
        return True
    segments = page[_HEADER : _HEADER + page[_HEADER - 1]]
    whole = len(segments) == page[_HEADER - 1] and len(page) >= _HEADER + len(segments) + sum(segments)
    return not (whole and page[5] & _LAST)
