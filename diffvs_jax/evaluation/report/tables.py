"""How a report's tables are built: they scroll within themselves, sort and filter."""

import math
from collections.abc import Sequence

from diffvs_jax.evaluation.report.markup import Html, element, number, plural

_LARGEST = 1e300


def scrolling(label: str, *rows: Html, class_: str | None = None) -> Html:
    """A table that scrolls within itself where it is too wide; with the keyboard, too."""
    inside = element("table", *rows, class_=class_)
    return element("div", inside, class_="scroll", tabindex=0, role="region", aria_label=label)


def sortable_table(name: str, label: str, heads: Sequence[tuple[str, str]], rows: Sequence[Html]) -> Html:
    """A table whose columns sort by their heads, below a field that filters its rows by the first column.

    Args:
      name: unique on the page.
      label: what the table holds.
      heads: of the columns, with what is written below in small; the first column is text, all others numbers.
      rows: their first cell is the text, the others come from ``sortable_cell`` or have a ``data-value``.
    """
    buttons = [
        element(
            "th",
            element("button", element("span", text), element("small", below) if below else "", type="button"),
            scope="col",
            aria_sort="none",
            class_="number" if place else None,
        )
        for place, (text, below) in enumerate(heads)
    ]
    field = element("input", type="search", id=f"filter-{name}", data_filters=f"table-{name}", autocomplete="off")
    tools = element(
        "div",
        element("label", "Filter by name", for_=f"filter-{name}"),
        field,
        element("output", plural(len(rows), "track"), for_=f"filter-{name}"),
        class_="tools",
    )
    head = element("thead", element("tr", *buttons))
    table = element("table", head, element("tbody", *rows), class_="sortable", id=f"table-{name}")
    return element(
        "div", tools, element("div", table, class_="scroll tall", tabindex=0, role="region", aria_label=label)
    )


def sortable_cell(value: float, text: str, class_: str = "number") -> Html:
    """A cell with the number that it is sorted by; NaN comes last."""
    finite = max(-_LARGEST, min(_LARGEST, value))  # a script cannot tell infinities apart from no number
    return element("td", text, class_=class_, data_value="" if math.isnan(value) else float(finite))


def number_cell(value: float, digits: int = 2, sign: bool = False) -> Html:
    """A cell of a table that can be sorted."""
    return sortable_cell(value, number(value, digits, sign))


def plain_table(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: set[int]) -> list[Html]:
    """Head and body of a table of texts; columns of ``numbers`` are set to the right."""

    def align(place: int) -> str | None:
        return "number" if place in numbers else None

    head = [element("th", text, scope="col", class_=align(place)) for place, text in enumerate(heads)]
    body = [
        element(
            "tr",
            element("th", row[0], scope="row"),
            *(element("td", text, class_=align(place)) for place, text in enumerate(row[1:], 1)),
        )
        for row in rows
    ]
    return [element("thead", element("tr", *head)), element("tbody", *body)]
