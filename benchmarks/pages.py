"""How long every page takes from a click on its name to its picture, and what travels: in chromium, on this machine.

The results that come with the app are shown, which have seven students of one teacher. First the page is opened for the
first time, with its maps to compute, then left and opened again.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from app.engine import EXAMPLE
from app.navigation import SECTIONS
from benchmarks.runs import write
from kdcore.bundle import import_experiment
from kdcore.store import Store
from tests.browser.conftest import CHROMIUM, Server

DONE = """() => document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'
  && document.querySelector('h1')?.innerText === %r && !document.querySelector('[data-testid=stSpinner]')
  && [...document.querySelectorAll('.apprentice-chart')].every(chart => chart._fullData)"""
AWAY = "Queue"
AGAIN = 3


def measure() -> dict[str, dict]:
    """{page: {"first" and "again" in seconds, "bytes" that its first opening brought}}."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        name = import_experiment(Store(folder), EXAMPLE)
        server = Server(Path(folder))
        server.start()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            page, received = browser.new_page(base_url=server.url, viewport={"width": 1280, "height": 900}), []
            page.on("websocket", lambda socket: socket.on("framereceived", lambda data: received.append(len(data))))
            page.goto(f"/runs?experiment={name.replace(' ', '+')}")
            page.wait_for_function(DONE % "Runs", timeout=120_000)
            page.wait_for_timeout(3000)  # the inspector has started, the library is there
            return {title: _timed(page, title, received) for named in SECTIONS.values() for title, _ in named.values()
                    if title != AWAY}
        finally:
            server.end()


def _timed(page: Page, title: str, received: list[int]) -> dict:
    received.clear()
    first = _click(page, title)
    brought, again = sum(received), []
    for _ in range(AGAIN):
        _click(page, AWAY)
        again.append(_click(page, title))
    return {"first": first, "again": sorted(again)[AGAIN // 2], "bytes": brought}


def _click(page: Page, title: str) -> float:
    """Seconds from a click on a page's name to its last chart."""
    link = page.get_by_test_id("stSidebarNav").get_by_role("link", name=title, exact=False)
    began = time.monotonic()
    link.click()
    heading = "What does a student network learn from its teacher?" if title == "Start" else title
    page.wait_for_function(DONE % heading, polling=20, timeout=120_000)
    return time.monotonic() - began


def table(found: dict[str, dict]) -> str:
    """The results as Markdown."""
    rows = [f"| {title} | {one['first']:.2f} | {one['again']:.2f} | {one['bytes'] / 1e3:,.0f} |"
            for title, one in found.items()]
    return "\n".join([
        "# From click to picture", "",
        "Seconds from a click on a page's name in the menu to its last chart, in chromium at 1280×900, with the "
        "results that come with the app (seven students of one teacher): the first time, with its maps to compute, "
        f"and the median of {AGAIN} later ones; and the kilobytes that the first time brought.", "",
        "| page | first | again | kB |", "|---|---|---|---|", *rows, ""])


if __name__ == "__main__":
    found = measure()
    write("pages", {"pages": found}, table(found))
