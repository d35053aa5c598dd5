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
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from kdcore import inspect, worker  # noqa: E402
from kdcore.bundle import import_experiment  # noqa: E402
from kdcore.experiment import demo  # noqa: E402
from kdcore.store import Store  # noqa: E402
from tests.browser.server import CHROMIUM, Server  # noqa: E402

PAGES = {"compare": "compare?view=Over+training", "noise": "noise?world=Two+inputs"}
WIDE, HIGH = 1280, 1080
DEMO = 1690  # pixels down to the end of the demo's maps
SECONDS = 0.45  # that a frame of the animation is seen
LAST = 2.5
CORES = 99  # as if there were as many: the runs of a demo wait for none
IDLE = "() => document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'"


def make(folder: Path) -> None:
    """All pictures, into a folder."""
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        store = Store(temporary)
        demonstration = demo(seed=1).planned()
        store.submit_all(demonstration["runs"], demonstration["name"], content=demonstration["content"])
        while row := store.queue.claim(CORES):
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
            page.set_viewport_size({"width": WIDE, "height": 2 * HIGH})  # nothing may lie beyond its edge
            _open(page, f"?demo={demonstration['name'].replace(' ', '+')}", example)
            page.screenshot(path=folder / "demo.png", clip={"x": 0, "y": 0, "width": WIDE, "height": DEMO})
            _open(page, f"side?image={_telling(store, example)}", example)
            page.locator(".apprentice-chart").first.screenshot(path=folder / "side.png")
            taught = [run for run in store.runs(demonstration["name"]) if run["role"] == "student" and run["seed"] == 1]
            _animation(page, demonstration["name"], store.snapshot_steps(taught[0]["id"]), folder / "turning.gif")
        finally:
            server.end()


def _telling(store: Store, experiment: str) -> int:
    """A test image that the teacher names and the baseline does not."""
    first = min(store.runs(experiment), key=lambda run: (run["role"] == "teacher", run["id"]))
    return inspect.disagreements(store, (first["teacher"], None), (first["id"], None))[0]


def _open(page: Page, link: str, experiment: str) -> None:
    page.goto(f"/{link}{'&' if '?' in link else '?'}experiment={experiment.replace(' ', '+')}")
    page.get_by_role("heading", level=1).wait_for()
    _settle(page)


def _settle(page: Page) -> None:
    """Until nothing is computed any more."""
    for _ in range(3):
        page.wait_for_function(IDLE, timeout=180_000)
        page.wait_for_timeout(500)


def _animation(page: Page, experiment: str, steps: list[int], file: Path) -> None:
    """The map of a student at every snapshot beside its teacher's."""
    frames = []
    for step in steps:
        _open(page, f"sensitivity?step={step}", experiment)
        photograph = page.locator(".apprentice-chart").nth(1).screenshot()
        frames.append(Image.open(io.BytesIO(photograph)).convert("RGB"))
    palette = frames[-1].quantize(255)
    frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    shown = [round(1000 * SECONDS)] * (len(frames) - 1) + [round(1000 * LAST)]
    frames[0].save(file, save_all=True, append_images=frames[1:], duration=shown, loop=0, optimize=True)


if __name__ == "__main__":
    make(Path(__file__).parent)
