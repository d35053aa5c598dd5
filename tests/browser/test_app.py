"""What a newcomer does, in a real browser."""

import json
import os
import re
import signal
import time

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from kdcore.config import read
from kdcore.experiment import demo
from kdcore.store import Store

pytestmark = pytest.mark.browser
DEMO_SECONDS = 150  # about 25 on two quiet cores; this is for a machine that has others to serve

# The chart's own state, as Plotly holds it.
RANGE = "() => document.querySelector('.apprentice-chart')._fullLayout.xaxis.range.slice()"
POINTS = ("() => (document.querySelector('.apprentice-chart')?.data ?? []).reduce((n, line) => "
          "n + (line.x?.length ?? 0), 0)")
HIDDEN = ("() => document.querySelector('.apprentice-chart')._fullData.filter(line => line.visible === 'legendonly')"
          ".map(line => line.name)")


def wait_for_points(page: Page, more_than: int) -> int:
    page.wait_for_function(f"({POINTS})() > {more_than}", timeout=40_000)
    return page.evaluate(POINTS)


@pytest.fixture(scope="session")
def demo_link(browser, server):
    """The link of a finished demo, run as a visitor would."""
    page = browser.new_page(base_url=server.url, viewport={"width": 1280, "height": 900})
    page.goto("/")
    began = time.monotonic()
    page.get_by_role("button", name="Run the one-minute demo").click()
    wait_for_points(page, 2)
    print(f"\nfirst points after {time.monotonic() - began:.1f} s")
    expect(page.get_by_text("Why: it looks where the teacher looks")).to_be_visible(timeout=2 * DEMO_SECONDS * 1000)
    seconds = time.monotonic() - began
    expect(page.get_by_test_id("stMetricValue").filter(has_text="%")).to_have_count(4)
    print(f"verdict after {seconds:.1f} s")
    link, words = page.url, page.get_by_role("main" if page.get_by_role("main").count() else "document").inner_text()
    page.close()
    return link, words, seconds


def test_the_demo_goes_from_click_to_verdict(demo_link):
    _, words, seconds = demo_link
    gain = re.search(r"Full Jacobian: \+(\d+) percentage points over labels alone", words)
    assert gain and int(gain[1]) > 15
    assert seconds < DEMO_SECONDS


def test_the_verdict_is_what_the_store_says(demo_link, server):
    store = Store(server.store)
    runs = store.runs(next(name for name in store.experiments() if name.startswith("Demo")))
    last = {(run["title"], run["seed"]): store.summary([run["id"]])[run["id"]]["last"] for run in runs}
    seeds = sorted({seed for title, seed in last if title == "Full Jacobian"})
    accuracies = np.array([last["Full Jacobian", seed] for seed in seeds])
    gains = 100 * (accuracies - [last["Labels only", seed] for seed in seeds])
    assert len(seeds) == 4
    words = " ".join(demo_link[1].split())
    assert f"Full Jacobian {100 * accuracies.mean():.1f} %" in words, words
    assert f"{gains.mean():+.1f} ± {gains.std(ddof=1) / len(seeds) ** 0.5:.1f}" in words, words


def test_a_link_shows_somebody_else_the_same(demo_link, page):
    page.goto(demo_link[0])
    expect(page.get_by_role("heading", name="percentage points over labels alone")).to_be_visible(timeout=20_000)
    assert wait_for_points(page, 100)


def long_run(server, name: str, steps: int = 60_000) -> list[int]:
    """Queue an experiment that is still running while a test looks at it."""
    store = Store(server.store)
    experiment = demo(seed=7, seeds=1)
    run = experiment.run.model_copy(update={"steps": steps, "evaluations": 2000})
    planned = experiment.model_copy(update={"run": run, "name": name}).planned()
    return [store.submit(run, name) for run in planned["runs"]]


def stop(server, ids: list[int]) -> None:
    for run in ids:
        Store(server.store).queue.stop([run])


def test_zoom_and_hidden_lines_survive_new_data(demo_link, page, server):
    ids = long_run(server, "zoom")
    try:
        page.goto("/runs?experiment=zoom")
        before = wait_for_points(page, 20)
        plot = page.locator(".apprentice-chart .nsewdrag").first.bounding_box()
        page.mouse.move(plot["x"] + 0.2 * plot["width"], plot["y"] + 0.3 * plot["height"])
        page.mouse.down()
        page.mouse.move(plot["x"] + 0.5 * plot["width"], plot["y"] + 0.7 * plot["height"], steps=5)
        page.mouse.up()
        page.locator(".apprentice-chart .legendtoggle").first.click()
        page.wait_for_function(f"({HIDDEN})().length > 0", timeout=5000)
        zoomed, hidden = page.evaluate(RANGE), page.evaluate(HIDDEN)
        wait_for_points(page, before + 40)
        assert page.evaluate(RANGE) == zoomed
        assert page.evaluate(HIDDEN)[: len(hidden)] == hidden
    finally:
        stop(server, ids)


def test_a_reload_and_a_restart_change_nothing_for_a_running_job(demo_link, page, server):
    ids = long_run(server, "restart")
    store = Store(server.store)
    try:
        page.goto("/runs?experiment=restart")
        wait_for_points(page, 4)
        claims = {run["id"]: run["claim"] for run in store.runs(ids=ids) if run["state"] == "running"}
        page.reload()
        wait_for_points(page, 4)
        server.kill()
        step = max(run["step"] for run in store.runs(ids=ids))
        server.start()
        page.goto("/runs?experiment=restart")
        wait_for_points(page, 4)
        running = {run["id"]: run for run in store.runs(ids=list(claims))}
        assert claims and all(running[run]["claim"] == claim for run, claim in claims.items())
        assert max(run["step"] for run in running.values()) > step
    finally:
        stop(server, ids)


def test_runs_go_on_when_nobody_looks(demo_link, server):
    """The web server starts another worker where one was killed."""
    store = Store(server.store)
    for known in store.queue.workers():
        os.kill(known["pid"], signal.SIGKILL)
    run = store.submit(read({"data": {"name": "digits", "per_class": 1}, "network": {"name": "fc_student"}, "steps": 5,
                             "device": "cpu"}).planned())
    last = time.monotonic() + 90
    while store.run(run)["state"] != "done":
        assert time.monotonic() < last, store.run(run)
        time.sleep(0.5)


def test_the_slider_turns_the_students_map_into_the_teachers(demo_link, page, server):
    experiment = Store(server.store).experiments()
    name = next(name for name in experiment if name.startswith("Demo"))
    page.goto(f"/sensitivity?experiment={name.replace(' ', '+')}")
    marked = ("() => { const charts = document.querySelectorAll('.apprentice-chart'); const last = "
              "charts[charts.length - 1]; return last?.data?.length === 2 ? last.data[1].y[0] : null; }")
    page.wait_for_function(f"({marked})() !== null", timeout=30_000)
    slider = page.get_by_role("slider", name="Training step")
    slider.focus()
    learnt = page.evaluate(marked)
    slider.press("Home")
    page.wait_for_function(f"({marked})() > {learnt}", timeout=10_000)
    fresh = page.evaluate(marked)
    assert learnt < fresh / 2 and "step=0" in page.url
    slider.press("End")
    page.wait_for_function(f"({marked})() < {fresh}", timeout=10_000)


def test_an_experiment_is_set_up_and_started_from_the_form(demo_link, page, server):
    page.goto("/runs")
    wait_for_points(page, 2)  # another experiment is looked at first
    page.get_by_role("link", name="Train").click()
    expect(page.get_by_role("button", name="Start")).to_be_visible(timeout=30_000)
    page.get_by_label("Steps", exact=True).fill("60")
    page.get_by_label("Steps", exact=True).press("Enter")
    page.get_by_label("Seeds", exact=True).fill("1")
    page.get_by_label("Seeds", exact=True).press("Enter")
    page.get_by_label("Name", exact=True).fill("<b>../../etc</b> mine")
    page.get_by_label("Name", exact=True).press("Enter")
    expect(page.get_by_text("2 runs")).to_be_visible(timeout=30_000)
    page.get_by_role("button", name="Start").click()
    expect(page).to_have_url(re.compile("/runs"), timeout=15_000)
    expect(page.get_by_role("heading", name="One seed")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("combobox", name="Experiment")).to_have_value("<b>../../etc</b> mine")


def test_an_impossible_number_is_a_sentence_and_nothing_can_be_started(demo_link, page):
    page.goto("/train")
    expect(page.get_by_role("button", name="Start")).to_be_visible(timeout=30_000)
    page.get_by_label("Steps", exact=True).fill("-4")
    page.get_by_label("Steps", exact=True).press("Enter")
    expect(page.get_by_text("steps must be at least 0, and not -4")).to_be_visible(timeout=30_000)
    expect(page.get_by_text("It must be at least 0 and at most 10,000,000.")).to_be_visible()
    expect(page.get_by_role("button", name="Start")).to_have_count(0)


def test_what_is_half_typed_survives_an_answer_and_what_is_typed_a_look_elsewhere(page):
    page.goto("/train")
    expect(page.get_by_role("button", name="Start")).to_be_visible(timeout=30_000)
    steps, seeds = (page.get_by_label(name, exact=True) for name in ("Steps", "Seeds"))
    steps.fill("-5")
    steps.press("Enter")
    seeds.fill("2")  # while the page still answers
    expect(page.get_by_text("steps must be at least 0, and not -5")).to_be_visible(timeout=30_000)
    expect(seeds).to_have_value("2")
    seeds.press("Enter")
    page.get_by_role("link", name="Methods").click()
    expect(page.get_by_label("Search", exact=True)).to_be_visible(timeout=20_000)
    page.get_by_role("link", name="Train").click()
    expect(page.get_by_text("steps must be at least 0, and not -5")).to_be_visible(timeout=30_000)
    expect(steps).to_have_value("-5")
    expect(seeds).to_have_value("2")


def choose(page, box: str, option: str) -> None:
    page.get_by_role("combobox", name=box).click()
    page.keyboard.type(option)
    page.get_by_role("option", name=option, exact=True).click(timeout=20_000)


def test_a_method_is_composed_saved_and_passed_on_as_a_link(demo_link, page, browser, server):
    page.goto("/train")
    expect(page.get_by_role("button", name="Start")).to_be_visible(timeout=30_000)
    page.get_by_text("Compose a method of your own").click()
    choose(page, "Start from", "Activation boundaries, then soft targets")
    page.get_by_role("button", name="Begin").click()
    expect(page.get_by_text("An optimiser of its own")).to_have_count(2, timeout=20_000)
    page.get_by_label("What to call it").fill("Twice as far")
    page.get_by_label("What to call it").press("Enter")
    page.get_by_label("Margin", exact=True).fill("2")
    page.get_by_label("Margin", exact=True).press("Enter")
    page.wait_for_url("**composed=*", timeout=20_000)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved as Twice as far")).to_be_visible(timeout=20_000)
    link = page.url
    fresh = browser.new_context(base_url=server.url).new_page()
    fresh.goto(link)
    expect(fresh.get_by_label("What to call it")).to_have_value("Twice as far", timeout=30_000)
    expect(fresh.get_by_label("Margin", exact=True)).to_have_value("2", timeout=20_000)
    choose(fresh, "Methods", "Twice as far")
    fresh.context.close()


BARS = ("() => { const drawn = document.querySelector('.apprentice-chart')?.data; "
        "return drawn ? JSON.stringify(drawn.map(bars => bars.y)) : null; }")


def test_networks_answer_while_one_draws(demo_link, page, server):
    name = next(name for name in Store(server.store).experiments() if name.startswith("Demo"))
    page.goto(f"/try?experiment={name.replace(' ', '+')}")
    empty = page.get_by_text("Draw something first")
    expect(empty).to_be_visible(timeout=30_000)
    undo, clear = (page.get_by_role("button", name=what, exact=True) for what in ("Undo", "Clear"))
    expect(undo).to_be_disabled()
    seen = [page.evaluate(BARS)]

    def new_answer() -> None:
        page.wait_for_function(f"![null, {json.dumps(seen[-1])}].includes(({BARS})())", timeout=20_000)
        seen.append(page.evaluate(BARS))

    pad = page.get_by_role("img", name="Drawing pad of 8 by 8 pixels").bounding_box()
    page.mouse.move(pad["x"] + 0.5 * pad["width"], pad["y"] + 0.2 * pad["height"])
    page.mouse.down()
    page.mouse.move(pad["x"] + 0.5 * pad["width"], pad["y"] + 0.4 * pad["height"], steps=3)
    new_answer()  # the pen is still down
    page.mouse.move(pad["x"] + 0.5 * pad["width"], pad["y"] + 0.8 * pad["height"], steps=3)
    page.mouse.up()
    new_answer()
    page.get_by_role("link", name="Methods").click()
    expect(page.get_by_label("Search", exact=True)).to_be_visible(timeout=20_000)
    page.get_by_role("link", name="Try it").click()  # the drawing is still there
    expect(undo).to_be_enabled(timeout=20_000)
    page.wait_for_function(f"({BARS})() !== null", timeout=20_000)
    undo.focus()
    undo.press("Enter")
    expect(empty).to_be_visible(timeout=20_000)
    page.mouse.click(pad["x"] + 0.3 * pad["width"], pad["y"] + 0.3 * pad["height"])
    new_answer()
    clear.click()
    expect(empty).to_be_visible(timeout=20_000)
    expect(clear).to_be_disabled()


def test_the_list_of_methods_goes_on_for_whoever_scrolls(page):
    page.goto("/methods")
    cards = page.get_by_role("heading", level=4)
    cards.nth(3).wait_for(timeout=60_000)
    first = cards.count()
    cards.last.scroll_into_view_if_needed()
    page.wait_for_function(f"() => document.querySelectorAll('h4').length > {first}", timeout=20_000)


def test_charts_out_of_sight_are_drawn_too_and_their_place_is_kept(page):
    page.goto("/noise")
    page.locator(".apprentice-chart").nth(3).wait_for(state="attached", timeout=90_000)
    assert page.locator(".apprentice-chart").nth(3).evaluate("chart => chart.clientHeight") == 400
    page.wait_for_function("() => [...document.querySelectorAll('.apprentice-chart')].every(chart => chart._fullData)",
                           timeout=40_000)
