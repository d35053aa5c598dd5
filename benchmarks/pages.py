"""How long every page takes from a click on its name to its pictures, and what travels: in chromium, on this machine.

The results that come with the app are shown, which have seven students of one teacher. First the page is opened for the
first time, with its maps to compute, then left and opened again.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from app.navigation import SECTIONS
from app.uploads import EXAMPLE
from benchmarks.runs import write
from kdcore.bundle import import_experiment
from kdcore.store import Store
from tests.browser.server import CHROMIUM, Server

DONE = """() => document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'
  && document.querySelector('h1')?.innerText === %r && !document.querySelector('[data-testid=stSpinner]')
  && [...document.querySelectorAll('.apprentice-chart')].every(
    chart => chart._fullData || %s && chart.getBoundingClientRect().top >= innerHeight)"""
AWAY = "Queue"
AGAIN = 3


def measure() -> dict[str, dict]:
    """{page: {"first", "again" and "whole" in seconds, "bytes" that its first opening brought}}."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        name = import_experiment(Store(folder), EXAMPLE)
        server = Server(Path(folder))
        server.start()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            page, received = browser.new_page(base_url=server.url, viewport={"width": 1280, "height": 900}), []
            page.on("websocket", lambda socket: socket.on("framereceived", lambda data: received.append(len(data))))
            page.goto(f"/runs?experiment={name.replace(' ', '+')}")
            page.wait_for_function(DONE % ("Runs", "false"), timeout=120_000)
            page.wait_for_timeout(3000)  # the inspector has started, the library is there
            return {title: _timed(page, title, received) for named in SECTIONS.values() for title, _ in named.values()
                    if title != AWAY}
        finally:
            server.end()


def _timed(page: Page, title: str, received: list[int]) -> dict:
    received.clear()
    first, _ = _click(page, title)
    brought, again = sum(received), []
    for _ in range(AGAIN):
        _click(page, AWAY)
        again.append(_click(page, title))
    there, whole = (sorted(seconds)[AGAIN // 2] for seconds in zip(*again))
    return {"first": first, "again": there, "whole": whole, "bytes": brought}


def _click(page: Page, title: str) -> tuple[float, float]:
    """Seconds from a click on a page's name to the last chart in sight, and to the last of all."""
    link = page.get_by_test_id("stSidebarNav").get_by_role("link", name=title, exact=False)
    began = time.monotonic()
    link.click()
    heading = "What does a student network learn from its teacher?" if title == "Start" else title
    taken = []
    for in_sight in ("true", "false"):
        page.wait_for_function(DONE % (heading, in_sight), polling=20, timeout=120_000)
        taken.append(time.monotonic() - began)
    return tuple(taken)


def table(found: dict[str, dict]) -> str:
    """The results as Markdown."""
    rows = [f"| {title} | {one['first']:.2f} | {one['again']:.2f} | {one['whole']:.2f} | {one['bytes'] / 1e3:,.0f} |"
            for title, one in found.items()]
    return "\n".join([
        "# From click to picture", "",
        "Seconds from a click on a page's name in the menu to its last chart in sight, in chromium at 1280×900, with "
        "the results that come with the app (seven students of one teacher): the first time, with its maps to compute, "
        f"and the median of {AGAIN} later ones, then also to its last chart of all, which is drawn meanwhile for "
        "whoever scrolls; and the kilobytes that the first time brought.", "",
        "| page | first | again | whole | kB |", "|---|---|---|---|---|", *rows, ""])


if __name__ == "__main__":
    found = measure()
    write("pages", {"pages": found}, table(found))
