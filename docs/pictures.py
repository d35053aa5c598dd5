"""The README's pictures, made anew from real runs: `python docs/pictures.py` (needs chromium; some minutes).

The app is started on a store of its own with the experiment that comes with it and one demo, and what a browser shows
is photographed. The animation is a student's sensitivity map at every snapshot of its training.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Locator, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from kdcore import worker  # noqa: E402
from kdcore.bundle import import_experiment  # noqa: E402
from kdcore.experiment import demo  # noqa: E402
from kdcore.store import Store  # noqa: E402
from tests.browser.conftest import CHROMIUM, Server  # noqa: E402

PAGES = {"side": "side?image=5", "compare": "compare", "noise": "noise?world=Two+inputs"}
WIDE, HIGH = 1280, 900
SECONDS = 0.45  # that a frame of the animation is seen
LAST = 2.5
IDLE = "() => document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'"


def make(folder: Path) -> None:
    """All pictures, into a folder."""
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        store = Store(temporary)
        demonstration = demo(seed=1).planned()
        store.submit_all(demonstration["runs"], demonstration["name"], content=demonstration["content"])
        while row := store.queue.claim(0):
            worker.execute(store, row)
        example = import_experiment(store, ROOT / "app" / "example.zip")
        server = Server(Path(temporary))
        server.start()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            page = browser.new_page(base_url=server.url, viewport={"width": WIDE, "height": HIGH})
            for name, link in PAGES.items():
                _open(page, link, example)
                page.screenshot(path=folder / f"{name}.png")
            _open(page, "sensitivity", demonstration["name"])
            _animation(page, folder / "turning.gif")
        finally:
            server.end()


def _open(page: Page, link: str, experiment: str) -> None:
    page.goto(f"/{link}{'&' if '?' in link else '?'}experiment={experiment.replace(' ', '+')}")
    page.get_by_role("heading", level=1).wait_for()
    _settle(page)
    page.set_viewport_size({"width": WIDE, "height": HIGH})


def _settle(page: Page) -> None:
    """Until nothing is computed any more."""
    for _ in range(3):
        page.wait_for_function(IDLE, timeout=180_000)
        page.wait_for_timeout(500)


def _animation(page: Page, file: Path) -> None:
    """The map of a student at every snapshot beside its teacher's."""
    slider = page.get_by_role("slider").last
    slider.focus()
    slider.press("Home")
    frames = []
    while True:
        _settle(page)
        frames.append(_photograph(page.locator(".apprentice-chart").nth(1)))
        before = slider.get_attribute("aria-valuenow")
        slider.press("ArrowRight")
        _settle(page)
        if slider.get_attribute("aria-valuenow") == before:
            break
    shown = [round(1000 * SECONDS)] * (len(frames) - 1) + [round(1000 * LAST)]
    frames[0].save(file, save_all=True, append_images=frames[1:], duration=shown, loop=0, optimize=True)


def _photograph(element: Locator) -> Image.Image:
    return Image.open(io.BytesIO(element.screenshot())).convert("P", palette=Image.Palette.ADAPTIVE, colors=64)


if __name__ == "__main__":
    make(Path(__file__).parent)
