import pytest

from diffvs_jax.evaluation.report.markup import Html, duration, element, join, number, plural
from tests.evaluation.report.parsed import parse, read

ODD = """<b onclick='x'>"&amp;"</b></td><script>"""


def test_text_and_attributes_arrive_as_they_are():
    cell = parse(element("td", ODD, element("i", ODD), title=ODD))
    assert read(cell) == ODD + ODD and cell.get("title") == ODD
    assert [child.tag for child in cell] == ["i"]


def test_markup_is_not_escaped_twice():
    assert element("p", Html("<br>"), "<") == "<p><br>&lt;</p>"
    assert join(["&", [Html("<i></i>"), "'"]]) == "&amp;<i></i>&#x27;"


def test_attributes_are_named_as_html_names_them():
    made = element("input", class_="a", aria_sort="none", hidden=True, checked=False, id=None, x=0.5)
    assert made == '<input class="a" aria-sort="none" hidden x="0.5">'


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.234, "1.23"), (-1.235, "−1.24"), (-0.001, "0.00"), (float("nan"), "–"), (float("-inf"), "−∞"), (0.0, "0.00")],
)
def test_numbers_are_readable(value, text):
    assert number(value) == text


def test_signs_are_told_where_they_matter():
    assert [number(value, 1, sign=True) for value in (0.26, 0.01, -2.0)] == ["+0.3", "0.0", "−2.0"]


def test_durations_and_counts():
    assert [duration(seconds) for seconds in (59.6, 187, 3729, float("nan"))] == ["1:00", "3:07", "1:02:09", "–"]
    assert (plural(1, "track"), plural(0, "track")) == ("1 track", "0 tracks")
