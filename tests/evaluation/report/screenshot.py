"""A picture of a page: ``python -m tests.evaluation.report.screenshot PAGE.html OUTPUT.png [--height=1400]``."""

import argparse
import tempfile
from pathlib import Path

from PIL import Image

from tests.evaluation.report.browser import chromium, look


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--width", type=int, default=1200, help="CSS pixels")
    parser.add_argument("--height", type=int, default=0, help="CSS pixels; 0: the whole page")
    parser.add_argument("--at", default="", help="name of the section to begin with")
    parser.add_argument("--dark", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as profile, chromium(Path(profile)) as driver:
        look(driver, given.page, given.width, given.height or 1000, given.dark)
        if not given.height:
            height = driver.execute_script("return document.documentElement.scrollHeight")
            look(driver, given.page, given.width, height, given.dark)
        if given.at:
            driver.execute_script("document.getElementById(arguments[0]).scrollIntoView()", given.at)
        driver.save_screenshot(str(given.output))
    Image.open(given.output).quantize().save(given.output, optimize=True)  # a third of the size


if __name__ == "__main__":
    main()
