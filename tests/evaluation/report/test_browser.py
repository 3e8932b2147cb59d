"""The page as Chromium shows it, opened from disk."""

import json

import pytest

from tests.evaluation.report.browser import chromium, hover, look, missing
from tests.evaluation.report.fabricated import ODD_NAMES

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

LOAD_ALL = """
const done = arguments[arguments.length - 1];
const players = [...document.querySelectorAll("audio")];
Promise.all(players.map((audio) => new Promise((resolve) => {
  audio.addEventListener("loadeddata", resolve);
  audio.addEventListener("error", resolve);
  if (audio.readyState >= 2 || audio.error) resolve();
  audio.preload = "auto";
}))).then(() => done(players.map((a) => [a.duration, a.readyState, a.error && a.error.message])));
"""
PLAYING = """
const [first, second] = document.querySelectorAll("audio"), done = arguments[arguments.length - 1];
const [quiet, heard] = arguments[0] ? [first, second] : [second, first];
const wait = () => quiet.paused && heard.played.length
  ? done([quiet.ended, heard.paused, heard.currentTime > 1.4]) : setTimeout(wait, 20);
wait();
"""
OVERFLOW = """
const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
return [wide, document.querySelector(".scroll table").offsetWidth > innerWidth - 40];
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        driver.set_script_timeout(20)
        yield driver


@pytest.fixture
def page(driver, report):
    driver.get("about:blank")  # in place of the browser's own first page
    driver.get_log("performance")
    look(driver, report, 1200, 900)
    yield driver
    assert [entry for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


def names(driver, table="table-tracks"):
    """The first cells of the rows that are shown."""
    script = "return [...document.getElementById(arguments[0]).tBodies[0].rows].filter(r => !r.hidden)"
    return driver.execute_script(f"{script}.map(r => r.cells[0].textContent)", table)


def values(driver, column):
    script = "return [...document.getElementById('table-tracks').tBodies[0].rows].map(r => r.cells[arguments[0]]"
    return driver.execute_script(f"{script}.dataset.value)", column)


def head(driver, column, table="table-tracks"):
    return driver.find_elements("css selector", f"#{table} thead th")[column]


def test_all_sounds_can_be_played(page):
    loaded = page.execute_async_script(LOAD_ALL)
    assert len(loaded) == 18
    for duration, ready, error in loaded:
        assert error is None and ready >= 2 and duration == pytest.approx(3.0, abs=0.1)


def test_a_click_in_a_picture_plays_from_there_and_stops_the_other(page):
    # Slowly, so that no sound ends meanwhile.
    page.execute_script("for (const audio of document.querySelectorAll('audio')) audio.playbackRate = 0.1")
    for place in (0, 1):
        hover(page, page.find_elements("css selector", ".spectrogram")[place]).click().perform()
        assert page.execute_async_script(PLAYING, place) == [False, False, True]


def test_pictures_are_whole_and_nothing_is_fetched(page):
    script = "return Promise.all([...document.images].map(i => i.decode().then(() => i.naturalWidth > 10)))"
    assert page.execute_script(script) == [True] * 18
    messages = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    urls = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert {url.partition(":")[0] for url in urls} <= {"file", "data"}


def test_a_click_sorts_and_another_turns_it_round(page):
    button = head(page, 2).find_element("css selector", "button")
    button.click()
    assert head(page, 2).get_attribute("aria-sort") == "descending"
    *known, last = values(page, 2)
    assert last == "" and known == sorted(known, key=float, reverse=True)
    button.click()
    *known, last = values(page, 2)
    assert last == "" and known == sorted(known, key=float)
    assert head(page, 2).get_attribute("aria-sort") == "ascending"


def test_an_infinite_score_is_the_largest(page):
    place = next(place for place in range(2, 9) if head(page, place).text.startswith("SI-SDR"))
    head(page, place).find_element("css selector", "button").click()
    first = page.find_element("css selector", f"#table-tracks tbody tr:first-child > :nth-child({place + 1})")
    assert head(page, place).get_attribute("aria-sort") == "descending" and first.text == "∞"


def test_the_keyboard_sorts_too(page):
    button = head(page, 0).find_element("css selector", "button")
    button.send_keys(" ")
    first = names(page)
    button.send_keys("\n")
    assert names(page) == first[::-1] and set(first) == set(ODD_NAMES)
    assert [head(page, place).get_attribute("aria-sort") for place in range(2)] == ["descending", "none"]


def test_the_filter_leaves_what_fits(page):
    page.find_element("css selector", "#filter-tracks").send_keys('<I>"X"')
    assert names(page) == [ODD_NAMES[0]]
    assert page.find_element("css selector", "output").text == "1 of 4 tracks"
    page.find_element("css selector", "#filter-tracks").send_keys("no such track")
    assert names(page) == []


def test_a_mark_tells_its_track_and_leads_to_it(page):
    page.find_element("css selector", "#filter-tracks").send_keys("no such track")
    mark = page.find_element("css selector", ".plots a")
    track = mark.get_attribute("data-tip").split("\n")[0]
    hover(page, mark).perform()
    tip = page.find_element("css selector", ".tip")
    assert tip.is_displayed() and tip.text.startswith(track)
    page.execute_script("location.hash = arguments[0].getAttribute('href')", mark)
    row = page.find_element("css selector", "tr:target")
    assert row.is_displayed() and row.text.startswith(track)


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_scrolls_tables_and_not_the_page(driver, report, compared, dark):
    for path in (report, compared):
        look(driver, path, 375, 800, dark)
        assert driver.execute_script(OVERFLOW) == [0, True]
    assert [entry for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out(driver, compared, dark):
    look(driver, compared, 1200, 900, dark)
    script = "const s = getComputedStyle(document.documentElement); return arguments[0].map(n => s.getPropertyValue(n))"
    *texts, page, surface, band = driver.execute_script(
        script, ["--text", "--quiet", "--accent", "--page", "--surface", "--band"]
    )
    assert min(contrast(text, ground) for text in texts for ground in (page, surface, band)) > 4.5
    assert driver.execute_script("return getComputedStyle(document.body).backgroundColor") == rgb(page)


def test_the_comparison_sorts(driver, compared):
    look(driver, compared, 1200, 900)
    before = names(driver, "table-differences")
    assert set(before) == set(ODD_NAMES[:3])
    head(driver, 0, "table-differences").find_element("css selector", "button").click()
    head(driver, 0, "table-differences").find_element("css selector", "button").click()
    assert names(driver, "table-differences") == [ODD_NAMES[1], ODD_NAMES[2], ODD_NAMES[0]]  # Z to A
    assert [entry for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


def channels(colour):
    return [int(colour.strip()[place : place + 2], 16) for place in (1, 3, 5)]


def rgb(colour):
    return f"rgb({', '.join(map(str, channels(colour)))})"


def contrast(one, other):
    """WCAG 2's contrast ratio."""
    lights = []
    for colour in (one, other):
        linear = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in channels(colour))
        ]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05)
    return max(lights) / min(lights)
