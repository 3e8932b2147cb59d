"""Chromium without a window, for pages that lie on disk."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--mute-audio",
    "--hide-scrollbars",
)


def missing() -> str:
    """What a browser test lacks here; "" if nothing."""
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "selenium is not installed; it comes with '.[test]'"
    lacking = [name for name in ("chromium", "chromedriver") if not shutil.which(name)]
    return f"no {' and no '.join(lacking)} here; Debian has them as chromium and chromium-driver" if lacking else ""


@contextlib.contextmanager
def chromium(profile: Path) -> Iterator[Any]:
    """A selenium driver with a new profile in the folder ``profile``."""
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options, ChromeService(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


def look(driver: Any, page: Path, width: int, height: int, dark: bool = False) -> None:
    """Opens a page from disk on a screen of this many CSS pixels."""
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    driver.get(page.resolve().as_uri())


def hover(driver: Any, element: Any) -> Any:
    """Selenium's actions that scroll to an element and move the pointer to its middle, to be performed."""
    from selenium.webdriver import ActionChains

    return ActionChains(driver, duration=0).scroll_to_element(element).pause(0.1).move_to_element(element)
