"""What the pages draw of the results that come with the app, beside literal computations from their snapshots."""

import json
import re
from typing import NamedTuple

import numpy as np
import pytest
import torch
from playwright.sync_api import expect

from app.uploads import EXAMPLE
from kdcore import data, snapshots
from kdcore.bundle import import_experiment
from kdcore.config import read
from kdcore.models import tapped
from kdcore.store import Store
from tests import replicas
from tests.browser.conftest import Server

pytestmark = pytest.mark.browser
IMAGE = 3
IDLE = "() => document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'"
CHART = """([number, trace]) => {
  const chart = document.querySelectorAll('.apprentice-chart')[number], found = chart?._fullData?.[trace];
  if (!found) return null;
  const plain = rows => rows && Array.from(rows, row => row?.length === undefined || typeof row === 'string' ? row
                                                                                                 : Array.from(row));
  return { z: plain(found.z), y: plain(found.y), x: plain(found.x), name: found.name,
           tiles: (chart.layout.meta?.tile?.columns.length ?? 1) - (chart.layout.meta?.tile?.rows[0] ? 1 : 0) };
}"""


class Example(NamedTuple):
    """A server with the results that come with the app, and what is known of them here."""

    server: Server
    store: Store
    name: str
    students: list[dict]
    teacher: int

    def network(self, run):
        """A run's network at its end, in float64 and without gradients of its weights."""
        return snapshots.network(self.store, run, self.store.snapshot_steps(run)[-1]).double().requires_grad_(False)

    def image(self):
        config = read(self.store.run(self.students[0]["id"])["config"])
        images = data.images(config.data, "test", index=torch.tensor([IMAGE]))[:]
        return images.pixels[0].double(), int(images.labels[0])

    def link(self, page, **choices):
        told = {"experiment": self.name, "image": str(IMAGE), **choices}
        return f"/{page}?" + "&".join(f"{key}={value}".replace(" ", "+") for key, value in told.items())


@pytest.fixture(scope="module")
def example(tmp_path_factory, browser):
    store = Store(tmp_path_factory.mktemp("example"))
    name = import_experiment(store, EXAMPLE)
    runs = sorted((run for run in store.runs(name) if run["seed"] == 1), key=lambda run: run["id"])
    server = Server(store.folder)
    server.start()
    yield Example(server, store, name, runs, runs[0]["teacher"])
    server.end()


@pytest.fixture(scope="module")
def page(browser, example):
    context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=example.server.url)
    yield context.new_page()
    context.close()


def drawn(page, number=0, trace=0):
    """A trace of a chart of the page, once nothing is computed any more."""
    for _ in range(2):
        page.wait_for_function(IDLE, timeout=90_000)
        page.wait_for_function(f"({CHART})([{number}, {trace}]) !== null", timeout=30_000)
        page.wait_for_timeout(300)
    return page.evaluate(CHART, [number, trace])


def cells(found, column):
    """One tile's values (h, w) of a picture's row: the cells between two columns of nothing."""
    whole = np.array([[np.nan if value is None else value for value in row] for row in found["z"]], float)
    wide = (whole.shape[1] + 1) // found["tiles"] - 1
    return whole[:, column * (wide + 1) :][:, :wide]


def test_a_sensitivity_map_is_the_derivative_pixel_by_pixel(example, page):
    page.goto(example.server.url + example.link("sensitivity"))
    found = drawn(page)
    pixels, label = example.image()
    for column, run in enumerate([example.teacher, *(run["id"] for run in example.students)], start=1):
        expected = replicas.class_derivatives(example.network(run), pixels)[label].mean(0)
        assert np.allclose(cells(found, column), expected.detach().numpy(), rtol=1e-3, atol=1e-4), column


def test_an_attention_map_is_the_paper_s_cell_by_cell(example, page):
    page.goto(example.server.url + example.link("attention"))
    drawn(page)
    pixels, _ = example.image()
    for column, run in ((0, example.teacher), (len(example.students), example.students[-1]["id"])):
        groups = tapped(example.network(run), ("group1", "group2", "group3"))(pixels[None])
        for row, features in enumerate(groups.values()):
            shown = cells(page.evaluate(CHART, [0, row]), column)
            expected = replicas.unit(replicas.energy(features[0], features.shape[2:]))
            assert np.allclose(shown.ravel(), expected, rtol=1e-3, atol=1e-5), (row, column)


def test_side_by_side_shows_the_same_after_a_reload_and_to_whoever_gets_the_link(example, page, browser):
    page.goto(example.server.url + example.link("side", temperature="4.0"))
    first = drawn(page, 0, 0)
    pixels, label = example.image()
    expected = replicas.class_derivatives(example.network(example.students[1]["id"]), pixels)[label].mean(0)
    assert np.allclose(cells(first, 2), expected.detach().numpy(), rtol=1e-3, atol=1e-4)
    bars = page.evaluate("() => { const chart = document.querySelector('.apprentice-chart'); return "
                         "chart._fullData.filter(trace => trace.type === 'bar').map(trace => Array.from(trace.y)); }")
    for shown, run in zip(bars, [example.teacher, *(run["id"] for run in example.students)]):
        z = replicas.logits(example.network(run), pixels)
        assert np.allclose(shown, [float(share) for share in replicas.probabilities(z, 4.0)], atol=1e-4)
    link = page.url
    page.reload()
    assert drawn(page, 0, 0) == first
    other = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    other.goto(link)
    assert drawn(other, 0, 0) == first
    other.context.close()


def test_a_click_enlarges_a_map_and_escape_closes_it(example, page):
    page.goto(example.server.url + example.link("side"))
    drawn(page)
    page.evaluate("() => document.querySelector('.apprentice-chart').scrollIntoView()")
    box = page.locator(".apprentice-chart .nsewdrag").first.bounding_box()
    page.mouse.move(box["x"] + 0.18 * box["width"], box["y"] + 0.2 * box["height"])
    page.wait_for_timeout(300)
    page.mouse.click(box["x"] + 0.18 * box["width"], box["y"] + 0.2 * box["height"])
    expect(page.locator("dialog.apprentice-large .gtitle")).to_contain_text("Teacher")
    page.keyboard.press("Escape")
    expect(page.locator("dialog.apprentice-large")).to_have_count(0)


def test_play_goes_on_through_the_training_and_stops_at_its_end(example, page):
    steps = example.store.snapshot_steps(example.students[0]["id"])
    page.goto(example.server.url + example.link("side", rows="answers", step=str(steps[-3])))
    drawn(page, 1)
    page.get_by_role("button", name="Play").click()
    page.wait_for_url(re.compile(f"step={steps[-2]}(&|$)"), timeout=30_000)
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.wait_for_url(lambda url: "step=" not in url, timeout=30_000)
    expect(page.get_by_role("button", name="Play")).to_be_visible(timeout=30_000)


def test_a_link_for_a_class_hides_what_it_says_and_a_presentation_is_larger(example, page):
    page.goto(example.server.url + example.link("attention"))
    drawn(page)
    size = "() => document.querySelector('.apprentice-chart')._fullLayout.font.size"
    small = page.evaluate(size)
    page.goto(example.server.url + example.link("attention", large="true", hide="menu,students,<b>"))
    drawn(page)
    expect(page.get_by_text("Students", exact=True)).not_to_be_visible()
    expect(page.get_by_test_id("stSidebar")).not_to_be_visible()
    expect(page.get_by_text("Experiment", exact=True)).to_be_visible()
    assert page.evaluate(size) > 1.1 * small


def test_what_a_link_for_a_class_hides_is_hidden_on_the_pages_that_follow(example, page):
    page.goto(example.server.url + example.link("attention", hide="students"))
    drawn(page)
    page.get_by_role("link", name="FSP matrices").click()
    expect(page.get_by_role("heading", name="FSP matrices", level=1)).to_be_visible(timeout=30_000)
    drawn(page)
    students = page.get_by_test_id("stMultiSelect").get_by_text("Students", exact=True)
    expect(students).not_to_be_visible()
    expect(page).to_have_url(re.compile("hide=students"))
    page.get_by_role("button", name="Link for a class").click()
    page.get_by_role("button", name="Show all controls here").click()
    expect(students).to_be_visible(timeout=20_000)
    expect(page).not_to_have_url(re.compile("hide="))
    page.keyboard.press("Escape")


def test_the_gain_that_is_compared_is_what_the_store_says(example, page):
    page.goto(example.server.url + example.link("compare", view="Over training"))
    drawn(page)
    runs = [run["id"] for run in example.store.runs(example.name) if run["method"] == "boundary_then_soft_targets"]
    last = [found["last"] for found in example.store.summary(runs).values()]
    ends = page.evaluate("() => document.querySelector('.apprentice-chart')._fullData.filter(trace => trace.mode === "
                         "'lines' && trace.name.startsWith('Activation')).map(trace => trace.y[trace.y.length - 1])")
    assert any(abs(end - np.mean(last)) < 1e-6 for end in ends), (ends, last)


def test_the_numbers_that_are_taken_away_are_those_of_the_picture(example, page, tmp_path):
    page.goto(example.server.url + example.link("sensitivity"))
    found = drawn(page)
    page.get_by_role("button", name="Numbers and code").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Numbers (npz)").click()
    download.value.save_as(tmp_path / "maps.npz")
    with np.load(tmp_path / "maps.npz") as file:
        label = example.image()[1]
        assert np.allclose(file["maps.0.maps"][label].mean(0), cells(found, 1), atol=1e-5)
    page.keyboard.press("Escape")


def test_the_payload_of_an_update_is_bounded(example, page):
    """A frame of Side by side with seven students and six rows: what moves when the training is played."""
    page.goto(example.server.url + example.link("side"))
    drawn(page)
    size = len(json.dumps(page.evaluate("() => { const chart = document.querySelector('.apprentice-chart'); "
                                        "return [chart.data, chart.layout]; }")))
    print(f"\na frame of Side by side: {size / 1e6:.2f} MB as text")
    assert size < 2e6
