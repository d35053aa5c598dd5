"""What the pages draw of the results that come with the app, beside literal computations from their snapshots."""

import base64
import io
import json
import math
import re
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlencode

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import Error, Page, expect
from sklearn.datasets import load_digits
from torch import Tensor

from app import navigation
from app.uploads import EXAMPLE
from kdcore import data, snapshots
from kdcore.bundle import import_experiment
from kdcore.config import RunConfig, read
from kdcore.inspect.layers import bound_of
from kdcore.knowledge import TERMS, Bound
from kdcore.models import tapped
from kdcore.randomness import stream
from kdcore.store import Store
from kdcore.worlds.learning import drawn as drawn_from
from kdcore.worlds.line import Waves
from tests import replicas
from tests.browser.server import Server

pytestmark = pytest.mark.browser
IMAGE = 3
METHOD, TITLE = "boundary_then_soft_targets", "Activation boundaries, then soft targets"
WIDTHS = (1920, 1024, 1280)  # the last one stays
BRIGHTNESS = ("() => getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
              ".match(/\\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0)")
FITS = ("() => { const main = document.querySelector('[data-testid=stMain]'); "
        "return main.scrollWidth <= main.clientWidth; }")
READY = """charts => document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'
  && document.querySelector('h1') && !document.querySelector('[data-testid=stSpinner], [data-testid=stSkeleton]')
  && document.querySelectorAll('.apprentice-chart').length >= charts
  && Array.from(document.querySelectorAll('.apprentice-chart')).every(chart => chart._fullData)"""
LOOK = """() => {
  const plain = value => value?.length === undefined || typeof value === 'string'
    ? Number.isNaN(value) ? null : value ?? null : Array.from(value, plain);
  return {
    words: Array.from(document.querySelectorAll('[data-testid=stMain] [data-testid=stMarkdownContainer]'),
                      words => words.innerText),
    charts: Array.from(document.querySelectorAll('.apprentice-chart'), chart => ({
      label: chart.getAttribute('aria-label'),
      traces: chart._fullData.map(({ type, name, mode, x, y, z, text }) => (
        { type, name, mode, x: plain(x), y: plain(y), z: plain(z), text: plain(text) })),
      images: (chart.layout.images ?? []).map(image => image.source),
      notes: (chart.layout.annotations ?? []).map(note => note.text),
      tiles: (chart.layout.meta?.tile?.columns.length ?? 1) - (chart.layout.meta?.tile?.rows[0] ? 1 : 0) })) };
}"""


class Example(NamedTuple):
    """A server with the results that come with the app, and what is known of them here."""

    server: Server
    store: Store
    name: str
    students: list[dict]
    teacher: int

    def config(self) -> RunConfig:
        return read(self.store.run(self.students[0]["id"])["config"])

    def last(self, run):
        return self.store.snapshot_steps(run)[-1]

    def network(self, run):
        """A run's network at its end, in float64 and without gradients of its weights."""
        return snapshots.network(self.store, run, self.last(run)).double().requires_grad_(False)

    def pair(self, method: str, kind: str) -> tuple[int, Bound]:
        """A method's student: its place, and the layers of a term with the connectors through which it is compared."""
        place, = (place for place, run in enumerate(self.students) if run["method"] == method)
        run = self.students[place]["id"]
        networks = [snapshots.network(self.store, *named) for named in ((run, self.last(run)), (
            self.teacher, self.last(self.teacher)))]
        bound, how = bound_of(self.store, (run, None), TERMS[kind](), *networks)
        assert how == "fitted"
        return place, bound.double().requires_grad_(False)

    def tests(self, index=None) -> data.Images:
        """All test images, or one, in float64."""
        found = data.images(self.config().data, "test", index=None if index is None else torch.tensor([index]))[:]
        return data.Images(found.pixels.double(), found.labels)

    def image(self):
        found = self.tests(IMAGE)
        return found.pixels[0], int(found.labels[0])

    def derivative(self, run, pixels, label) -> Tensor:
        """∂z_y/∂x of one image, (H, W): of colours the mean."""
        network = self.network(run)
        return replicas.derivative(lambda x: replicas.logits(network, x)[label], pixels).mean(0).detach()

    def probabilities(self, run) -> Tensor:
        """What a network answers for all test images: (N, classes)."""
        return torch.stack(replicas.probabilities(self.network(run)(self.tests().pixels).T)).T

    def link(self, page, **choices):
        return f"{self.server.url}/{page}?{urlencode({'experiment': self.name, 'image': IMAGE, **choices})}"


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
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def other(browser, example):
    """The browser of somebody who gets a link."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


def drawn(page: Page, charts: int = 1) -> dict:
    """The charts and the words of a page, once nothing is computed any more and two looks at it are the same."""
    before = None
    for _ in range(100):
        page.wait_for_function(READY, arg=charts, timeout=90_000)
        try:
            now = page.evaluate(LOOK)
        except Error:  # a chart was drawn anew since it was ready
            now = None
        if now and now == before:
            return now
        before = now
        page.wait_for_timeout(200)
    raise AssertionError("the page does not come to rest")


def traces(look: dict, description: str) -> list[dict]:
    """What is drawn in the chart whose description begins like this."""
    return chart(look, description)["traces"]


def chart(look: dict, description: str) -> dict:
    return next(chart for chart in look["charts"] if chart["label"].startswith(description))


def tile(look: dict, description: str, column: int, trace: int = 0) -> np.ndarray:
    """One tile's values (h, w) of a picture's row: the cells between two columns of nothing."""
    found = chart(look, description)
    whole = np.array([[np.nan if value is None else value for value in row] for row in found["traces"][trace]["z"]],
                     float)
    wide = (whole.shape[1] + 1) // found["tiles"] - 1
    return whole[:, column * (wide + 1) :][:, :wide]


def sensitivity(example, look):
    """A map is the derivative, pixel by pixel."""
    pixels, label = example.image()
    for column, run in enumerate([example.teacher, *(run["id"] for run in example.students)], start=1):
        expected = example.derivative(run, pixels, label)
        assert np.allclose(tile(look, "Sensitivity maps", column), expected, rtol=1e-3, atol=1e-4), column


def attention(example, look):
    """A map is the paper's, cell by cell."""
    pixels, _ = example.image()
    for column, run in ((0, example.teacher), (len(example.students), example.students[-1]["id"])):
        groups = tapped(example.network(run), ("group1", "group2", "group3"))(pixels[None])
        for row, features in enumerate(groups.values()):
            shown = tile(look, "Attention of", column, row)
            expected = replicas.unit(replicas.energy(features[0], features.shape[2:]))
            assert np.allclose(shown.ravel(), expected, rtol=1e-3, atol=1e-5), (row, column)


def side(example, look):
    """A map is the derivative, and the bars are the softmax at the temperature of the link."""
    pixels, label = example.image()
    expected = example.derivative(example.students[1]["id"], pixels, label)
    assert np.allclose(tile(look, "What the teacher", 2), expected, rtol=1e-3, atol=1e-4)
    bars = [trace["y"] for trace in traces(look, "What the teacher") if trace["type"] == "bar"]
    assert len(bars) == 1 + len(example.students)
    for shown, run in zip(bars, [example.teacher, *(run["id"] for run in example.students)]):
        z = replicas.logits(example.network(run), pixels)
        assert np.allclose(shown, [float(share) for share in replicas.probabilities(z, 4.0)], atol=1e-4)


def flow(example, look):
    """The teacher's matrix, and what a student that learns it has more, channel with channel."""
    pixels, _ = example.image()
    place, bound = example.pair("flow_then_soft_targets", "flow_matrices")
    theirs, ours = (tapped(example.network(run), tuple(names))(pixels[None]) for run, names in (
        (example.teacher, (layer.teacher for layer in bound.layers)),
        (example.students[place]["id"], (layer.student for layer in bound.layers))))
    for k in range(0, len(bound.layers), 2):
        section = bound.layers[k : k + 2]
        teacher = [theirs[layer.teacher][0, :5] for layer in section]
        student = [replicas.through(connector, ours[layer.student][0])[:5]
                   for layer, connector in zip(section, bound.connectors[k : k + 2])]
        expected = replicas.fsp(*teacher)
        name = f"FSP matrices of {section[1].teacher}"
        assert np.allclose(tile(look, name, 0)[:5, :5], expected, rtol=1e-3, atol=1e-4), name
        more = replicas.fsp(*student) - expected
        assert np.allclose(tile(look, name, place + 1)[:5, :5], more, rtol=1e-3, atol=1e-4), name


def agreement(example, look):
    """Neurons that are on in both or off in both, counted over layers, classes and the places of one image."""
    place, bound = example.pair(METHOD, "activation_boundary")
    images = example.tests()
    theirs, ours = (tapped(example.network(run), tuple(names))(images.pixels) for run, names in (
        (example.teacher, (layer.teacher for layer in bound.layers)),
        (example.students[place]["id"], (layer.student for layer in bound.layers))))
    agree = [((theirs[layer.teacher].transpose(0, 1) > 0)
              == (replicas.through(connector, ours[layer.student].transpose(0, 1)) > 0)).double()
             for layer, connector in zip(bound.layers, bound.connectors)]  # (channels, images, H, W)
    rates = traces(look, "Share of neurons that agree, by layer")[place]["y"]
    assert np.allclose(rates, [float(one.mean()) for one in agree], atol=1e-4)
    of_class = traces(look, "Share of neurons that agree, by class")[place]["y"]
    assert np.allclose(of_class, [float(agree[0][:, images.labels == label].mean()) for label in range(10)], atol=1e-4)
    where = tile(look, "Where in the image", place + 1)
    assert np.allclose(where, 1 - agree[0][:, IMAGE].mean(0), atol=1e-4)


def disagreements(example, look):
    """The images, by half the sum of the differences of two networks' probabilities; what both answer to the first."""
    first, second = (example.probabilities(run["id"]) for run in (example.students[2], example.students[-1]))
    apart = (first - second).abs().sum(1) / 2
    shown = [int(words.removeprefix("Image ")) for words in look["words"] if re.fullmatch(r"Image \d+", words)]
    assert len(set(shown)) == 24
    assert np.allclose(apart[shown], apart.sort(descending=True).values[:24], atol=1e-4)
    label = int(example.tests(shown[0]).labels[0])
    told = [f"{'✓' if each[shown[0]].argmax() == label else '✗'} {int(each[shown[0]].argmax())} "
            f"{float(each[shown[0]].max()):.0%}" for each in (first, second)]
    assert "\n".join([str(label), *told]) in look["words"]


def try_(example, look):
    """Bars are the softmax, of the image behind a grey square in its middle."""
    pixels, _ = example.image()
    pixels[:, 2:6, 2:6] = 0.5
    bars = [trace["y"] for trace in traces(look, "What each network answers")]
    assert len(bars) == 1 + len(example.students)
    for shown, run in zip(bars, [example.teacher, *(run["id"] for run in example.students)]):
        z = replicas.logits(example.network(run), pixels)
        assert np.allclose(shown, [float(share) for share in replicas.probabilities(z)], atol=1e-4)


def noise(example, look):
    """The teacher is a sum of sines, its slope one of cosines; errors are means; the right side has σ² times slopes."""
    waves = drawn_from(Waves, stream(7, 0)).double().requires_grad_(False)
    parts = [[float(value) for value in values] for values in (waves.inner.weight[:, 0], waves.inner.bias,
                                                               waves.outer.weight[0])]
    found = traces(look, "The curves and slopes")
    curves = [trace for trace in found if trace["mode"] == "lines" and trace["name"] in ("teacher", "student")]
    assert len(curves) == 12  # teacher and student, their values and their slopes, of three students
    x = np.array(curves[0]["x"])
    values = [sum(c * math.sin(a * at + b) for a, b, c in zip(*parts)) for at in x]
    slopes = [sum(c * a * math.cos(a * at + b) for a, b, c in zip(*parts)) for at in x]
    seen = [list(x).index(at) for at in next(trace["x"] for trace in found if trace["mode"] == "markers")]
    assert len(seen) == 4
    for i, (value, value_error, slope, slope_error) in enumerate(zip(
            curves[1::4], traces(look, "The mean squared error of the values"),
            curves[3::4], traces(look, "The mean squared error of the slopes"))):
        assert np.allclose(curves[4 * i]["y"], values, atol=1e-4)
        assert np.allclose(curves[4 * i + 2]["y"], slopes, atol=1e-3)
        off, bent = np.array(value["y"]) - values, np.array(slope["y"]) - slopes
        assert np.isclose(value_error["y"][-1], np.mean(off**2), rtol=1e-2)
        assert np.isclose(slope_error["y"][-1], np.mean(bent**2), rtol=1e-2)
        side = traces(look, "Both sides")[2 * i + 1]
        right = [np.mean(off[seen] ** 2) + std**2 * np.mean(bent[seen] ** 2) for std in side["x"]]
        assert np.allclose(side["y"], right, rtol=1e-2, atol=1e-7)


def plane(example, look):
    """A student's answers agree where it leans to the teacher's side, counted place by place."""
    leans = [np.array(trace["z"]) for trace in traces(look, "Decision regions") if trace["type"] == "heatmap"]
    told = chart(look, "Decision regions")["notes"]
    for lean in leans[1:]:
        share = np.mean([a > 0 and b > 0 or a <= 0 and b <= 0 for a, b in zip(leans[0].ravel(), lean.ravel())])
        assert any(f"{share:.0%} of answers" in note for note in told), (share, told)
    assert len(leans) == 4


def images(example, look):
    """Counts of classes, and the pixels of the example that is drawn first, of its class."""
    bars = {trace["name"]: trace["y"] for trace in traces(look, "How many images")}
    assert bars["test"] == [50] * 10
    assert (np.add(bars["training"], bars["test"]) == np.bincount(load_digits().target)).all()
    found = chart(look, "Examples of images")
    picture = np.array(Image.open(io.BytesIO(base64.b64decode(found["images"][0].split(",")[1]))))
    places = found["traces"][0]
    assert len(places["text"]) == 100
    pixels, labels = data.arrays(example.config().data)["test"]
    for told, x, y in list(zip(places["text"], places["x"], places["y"]))[::11]:
        index, name = re.fullmatch(r"test image (\d+): (\d), test", told).groups()
        left, top = round(x) - 32, round(y) - 32
        assert int(labels[int(index)]) == int(name)
        shown = picture[top + 4 : top + 64 : 8, left + 4 : left + 64 : 8, 0]
        assert np.allclose(shown, 255 / 16 * np.asarray(pixels[int(index)][0]), atol=1)
    assert chart(look, f"An image of class {labels[7]}: image")


def answers(example) -> tuple[Tensor, Tensor]:
    """Probabilities of all seeds of the method, (answers, classes), and the labels."""
    runs = [run["id"] for run in example.store.runs(example.name) if run["method"] == METHOD]
    assert len(runs) == 3
    return torch.cat([example.probabilities(run) for run in runs]), example.tests().labels.repeat(3)


def gain(example, look):
    """The last mean is that of what the store says."""
    runs = [run["id"] for run in example.store.runs(example.name) if run["method"] == METHOD]
    last = [found["last"] for found in example.store.summary(runs).values()]
    ends = [trace["y"][-1] for trace in look["charts"][0]["traces"] if trace["mode"] == "lines"
            and trace["name"] == TITLE]
    assert any(abs(end - np.mean(last)) < 1e-6 for end in ends), (ends, last)


def calibration(example, look):
    """How sure and how often right, a bin of confidence after another."""
    shares, labels = answers(example)
    bins = [[] for _ in range(10)]
    for share, label in zip(shares, labels):
        sure, said = float(share.max()), int(share.argmax())
        bins[math.ceil(10 * sure) - 1].append((sure, said == label))
    expected = [np.mean(found, axis=0) for found in bins if found]
    line = next(trace for trace in traces(look, "How often each group is right") if trace["name"] == TITLE)
    assert np.allclose(line["x"], [sure for sure, _ in expected], atol=1e-3)
    assert np.allclose(line["y"], [right for _, right in expected], atol=1e-3)


def confusion(example, look):
    """How many that the teacher takes for one class are taken for which."""
    shares, _ = answers(example)
    counts = np.zeros((10, 10), int)
    for theirs, ours in zip(example.probabilities(example.teacher).repeat(3, 1), shares):
        counts[int(theirs.argmax()), int(ours.argmax())] += 1
    found, = traces(look, f"Which answers {TITLE} gives for the teacher's answer")
    assert [[int(text or 0) for text in row] for row in found["text"]] == counts.tolist()
    assert np.allclose(np.array(found["z"], float), counts / counts.sum(1, keepdims=True), atol=1e-6)


class Visit(NamedTuple):
    """What a link to a page says besides the experiment and the image, how many charts that shows, and what is so."""

    page: str
    says: dict = {}
    charts: int = 0
    check: Callable[[Example, dict], None] | None = None


VISITS = {name: Visit(name) for name in ("start", "train", "runs", "queue", "papers", "methods")} | {
    "compare": Visit("compare", {"view": "Over training"}, 1, gain),
    "calibration": Visit("compare", {"view": "Calibration"}, 1, calibration),
    "confusion": Visit("compare", {"view": "Classes", "columns": TITLE, "held_against": "the teacher's answer"}, 2,
                       confusion),
    "side": Visit("side", {"temperature": "4.0"}, 2, side),
    "sensitivity": Visit("sensitivity", {}, 2, sensitivity),
    "attention": Visit("attention", {}, 2, attention),
    "flow": Visit("flow", {"differences": "true"}, 7, flow),
    "agreement": Visit("agreement", {"of_layer": "group1"}, 6, agreement),
    "disagreements": Visit("disagreements", {"one": "Attention maps · seed 1", "other": "Soft targets · seed 1"}, 0,
                           disagreements),
    "try": Visit("try", {"source": "A test image", "square": "50"}, 2, try_),
    "noise": Visit("noise", {"points": "4", "sigma": "0.1", "seed": "7"}, 4, noise),
    "plane": Visit("noise", {"world": "Two inputs", "seen": "20", "seed": "7"}, 2, plane),
    "data": Visit("data", {"choice": "5", "shown": "test", "part": "test", "example": "7"}, 3, images),
}


def photographed(page: Page, name: str, folder) -> None:
    """In both colours, at all widths, at none of which one has to scroll sideways."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(f"({BRIGHTNESS})() {'<' if scheme == 'dark' else '>'} 200", timeout=10_000)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_function(FITS, timeout=10_000)
            page.screenshot(path=folder / f"{name}-{scheme}-{width}.png")


def test_every_page_is_visited():
    assert {visit.page for visit in VISITS.values()} == {page for pages in navigation.SECTIONS.values()
                                                         for page in pages}


@pytest.mark.parametrize("name", VISITS)
def test_a_page_shows_what_is_so_and_the_same_to_whoever_gets_its_link(example, page, other, tmp_path, name):
    visit = VISITS[name]
    page.goto(example.link(visit.page if visit.page != "start" else "", **visit.says))
    look = drawn(page, visit.charts)
    assert not page.get_by_test_id("stException").count()
    if visit.check:
        visit.check(example, look)
    photographed(page, name, tmp_path)
    page.reload(wait_until="commit")
    other.goto(page.url, wait_until="commit")
    for again in (page, other):
        assert drawn(again, visit.charts) == look

def test_a_click_enlarges_a_map_and_escape_closes_it(example, page):
    page.goto(example.link("side"))
    drawn(page)
    page.evaluate("() => document.querySelector('.apprentice-chart').scrollIntoView()")
    box = page.locator(".apprentice-chart .nsewdrag").first.bounding_box()
    page.mouse.move(box["x"] + 0.18 * box["width"], box["y"] + 0.2 * box["height"])
    page.wait_for_timeout(300)
    page.mouse.click(box["x"] + 0.18 * box["width"], box["y"] + 0.2 * box["height"])
    expect(page.locator("dialog.apprentice-large .gtitle")).to_contain_text("Teacher")
    page.keyboard.press("Escape")
    expect(page.locator("dialog.apprentice-large")).to_have_count(0)


def test_the_keyboard_passes_a_chart_enlarges_and_closes_it(example, page):
    page.goto(example.link("attention"))
    page.wait_for_function(READY, arg=1, timeout=60_000)
    chart = page.locator(".apprentice-chart").first
    chart.focus()
    page.keyboard.press("Enter")
    expect(page.locator("dialog.apprentice-large")).to_be_visible()
    page.wait_for_timeout(500)  # and it stays open
    expect(page.locator("dialog.apprentice-large")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog.apprentice-large")).to_have_count(0)
    for _ in range(4):  # past its own three tools
        page.keyboard.press("Tab")
    assert not page.evaluate("document.activeElement.closest('.apprentice-chart')")


def test_play_goes_on_through_the_training_and_stops_at_its_end(example, page):
    steps = example.store.snapshot_steps(example.students[0]["id"])
    page.goto(example.link("side", rows="answers", step=str(steps[-3])))
    drawn(page, 2)
    page.get_by_role("button", name="Play").click()
    page.wait_for_url(re.compile(f"step={steps[-2]}(&|$)"), timeout=30_000)
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.wait_for_url(lambda url: "step=" not in url, timeout=30_000)
    expect(page.get_by_role("button", name="Play")).to_be_visible(timeout=30_000)


def test_a_link_for_a_class_hides_what_it_says_and_a_presentation_is_larger(example, page):
    page.goto(example.link("attention"))
    drawn(page)
    size = "() => document.querySelector('.apprentice-chart')._fullLayout.font.size"
    small = page.evaluate(size)
    page.goto(example.link("attention", large="true", hide="menu,students,<b>"))
    drawn(page)
    expect(page.get_by_text("Students", exact=True)).not_to_be_visible()
    expect(page.get_by_test_id("stSidebar")).not_to_be_visible()
    expect(page.get_by_text("Experiment", exact=True)).to_be_visible()
    assert page.evaluate(size) > 1.1 * small


def test_what_a_link_for_a_class_hides_is_hidden_on_the_pages_that_follow(example, page):
    page.goto(example.link("attention", hide="students"))
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


def test_the_numbers_that_are_taken_away_are_those_of_the_picture(example, page, tmp_path):
    page.goto(example.link("sensitivity"))
    look = drawn(page)
    page.get_by_role("button", name="Numbers and code").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Numbers (npz)").click()
    download.value.save_as(tmp_path / "maps.npz")
    with np.load(tmp_path / "maps.npz") as file:
        label = example.image()[1]
        assert np.allclose(file["maps.0.maps"][label].mean(0), tile(look, "Sensitivity maps", 1), atol=1e-5)
    page.keyboard.press("Escape")


def test_the_payload_of_an_update_is_bounded(example, page):
    """A frame of Side by side with seven students and six rows: what moves when the training is played."""
    page.goto(example.link("side"))
    drawn(page)
    size = len(json.dumps(page.evaluate("() => { const chart = document.querySelector('.apprentice-chart'); "
                                        "return [chart.data, chart.layout]; }")))
    print(f"\na frame of Side by side: {size / 1e6:.2f} MB as text")
    assert size < 2e6
