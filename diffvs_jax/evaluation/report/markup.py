"""HTML and SVG from Python: what is not markup already is escaped, so that a track may have any name."""

import html
import math
from collections.abc import Iterable

_VOID = {"meta", "img", "input"}


class Html(str):
    """Text that is markup."""

    __slots__ = ()


def element(tag: str, /, *children: str | Iterable[str], **attributes: object) -> Html:
    """``<tag attributes>children</tag>``.

    Args:
      tag: of the element, of HTML or SVG.
      children: text, which is escaped, ``Html``, which is not, or several of them.
      attributes: None and False leave one out, True gives one without a value; ``class_`` is "class" and
        ``aria_sort`` "aria-sort".
    """
    given = "".join(_attribute(key, value) for key, value in attributes.items() if value is not None)
    opening = f"<{tag}{given}>"
    return Html(opening if tag in _VOID else f"{opening}{join(children)}</{tag}>")


def join(parts: Iterable[str | Iterable[str]]) -> Html:
    """All parts one after the other, escaped where they are no markup."""
    return Html("".join(_escaped(part) if isinstance(part, str) else join(part) for part in parts))


def number(value: float, digits: int = 2, sign: bool = False) -> str:
    """A number as it is read: a true minus, a dash for none."""
    if math.isnan(value):
        return "–"
    text = "∞" if math.isinf(value) else f"{abs(value):.{digits}f}"
    zero = not text.strip("0.")
    return ("−" if value < 0 and not zero else "+" if sign and not zero else "") + text


def duration(seconds: float) -> str:
    """Such as "3:07", or "1:02:09"."""
    if not math.isfinite(seconds):
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def plural(count: int, noun: str) -> str:
    """Such as "1 track" and "2 tracks"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _escaped(text: str) -> str:
    return text if isinstance(text, Html) else html.escape(text)


def _attribute(key: str, value: object) -> str:
    name = key.rstrip("_").replace("_", "-")
    if isinstance(value, bool):
        return f" {name}" if value else ""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return f' {name}="{html.escape(text)}"'
