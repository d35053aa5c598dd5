"""The Papers page without a browser: a made table, filled, opened and taken away."""

import json

import pytest

from app import downloads, engine
from app.components import paper_table
from kdcore import worker
from kdcore.papers import TABLES, plan, report
from tests.papers.test_reproduce import MADE

PLACE = ("full Jacobian", "20")


@pytest.fixture
def page(page_of, monkeypatch, questions):
    """The page on the made table, with the inspector's questions on the page's own store."""
    from kdcore import inspect

    def ask(question, **arguments):
        if question == "robustness":
            return inspect.robustness(engine.store(), **arguments)
        return questions[question](**arguments)

    monkeypatch.setitem(TABLES, "made", MADE)
    made = page_of("papers")
    monkeypatch.setattr(engine, "answer", ask)
    monkeypatch.setattr(engine, "ask", ask)
    monkeypatch.setattr(downloads, "present", lambda: {"digits": 1.0, "cifar10": 0.0})
    made.query_params["table"] = "Ehmann & Samek 2018, Table 1: a made table"
    return made


@pytest.fixture
def shown(monkeypatch):
    """The cells that the page has drawn last, and the cell that is clicked."""
    drawn = {"clicked": None}

    def table(cells, key):
        drawn["cells"] = cells
        return drawn["clicked"]

    monkeypatch.setattr(paper_table, "paper_table", table)
    return drawn


def words(made):
    return " ".join(one.value for one in (*made.markdown, *made.caption, *made.info, *made.error))


def filled():
    for run in plan.missing("made", "quick"):
        engine.store().ensure(run, report.experiment("made", "quick"))
    while row := engine.store().queue.claim(99):
        worker.execute(engine.store(), row)


def test_an_empty_table_shows_what_is_published_and_what_filling_it_costs(page, shown):
    page.run()
    assert not page.exception and not page.error and "It is made" in words(page)
    assert {(one["published"], one["mean"], one["missing"]) for one in shown["cells"]} == {
        (cell.published, None, 2) for cell in MADE.cells}
    page.session_state["opened"] = {"fill.made.quick"}
    page.run()
    assert not page.exception and "**12 runs**" in words(page) and "Their teacher is trained first" in words(page)
    page.button_group("fill.column").set_value(["20"]).run()
    assert "**6 runs**" in words(page)
    next(button for button in page.button if button.label == "Start").click().run()
    assert not page.exception
    assert sum(run["role"] == "student" for run in engine.store().runs("made · quick")) == 6
    assert {(one["column"], one["running"]) for one in shown["cells"]} == {
        ("20", True), ("20, noisy", True), ("50", False)}
    assert "0 running, 6 waiting, 0 of 6 done" in page.get("progress")[0].proto.text


def test_a_filled_table_says_what_was_found_again_and_a_click_opens_its_runs(page, shown):
    filled()
    shown["clicked"] = PLACE
    page.run()
    assert not page.exception and not page.error
    assert all(one["mean"] is not None for one in shown["cells"]) and "as published" in words(page)
    assert "Order, by Kendall's τ" in words(page) and "All cells that can be made here are there." in words(page)
    assert "full Jacobian · 20" in [one.value for one in page.subheader]
    opened = next(one for one in shown["cells"] if (one["row"], one["column"]) == PLACE)
    assert f"measured **{report.found(opened)}**" in words(page)
    shown["clicked"] = ("only labels", "20")
    page.run()
    assert ")**, baseline." in words(page)
    assert {button.label for button in page.button} >= {"These runs", "Their maps, side by side", "Compare"}


def test_runs_that_failed_or_were_stopped_are_said_and_can_be_filled_again(page, shown):
    for run in plan.missing("made", "quick", columns=["20"]):
        engine.store().ensure(run, report.experiment("made", "quick"))
    while row := engine.store().queue.claim(99):
        engine.store().finish(row["id"], row["claim"], "failed", "It broke.")
    page.run()
    assert not page.exception and {one["missing"] for one in shown["cells"]} == {2}
    assert len(engine.store().runs("made · quick")) == 7
    assert "full Jacobian · 20 · seed 2" in page.error[0].value and len(page.error) == 1


def test_what_the_project_measured_stands_where_nothing_was_measured_here(page, shown, monkeypatch, tmp_path):
    from app import papers

    monkeypatch.setattr(papers, "RESULTS", tmp_path)
    cells = [{**one, "mean": 51.0, "values": {1: 50.0, 2: 52.0}, "when": 9.0, "reason": ""}
             for one in papers.measured("made", plan.outline("made", "quick"), None)]
    reported = {**report.whole("made", "quick", "Digits", None, cells, []), "machine": "a made machine"}
    (tmp_path / "made-quick-digits.zip.json").write_text(json.dumps(reported))
    (row, column), baseline = PLACE, next(cell["against"] for cell in cells if (cell["row"], cell["column"]) == PLACE)
    doubt = {"table": "made", "budget": "quick", "column": column, "rows": [baseline, row], "changes": {"16 steps": {}},
             "found": {row: {"as in the table": [51.0], "16 steps": [70.0, 72.0]},
                       baseline: {"16 steps": [64.0, 68.0]}}}
    (tmp_path / "directions.json").write_text(json.dumps({"doubts": [doubt, {**doubt, "budget": "paper"}]}))
    shown["clicked"] = PLACE
    page.run()
    assert not page.exception and not page.error
    assert {one["mean"] for one in shown["cells"]} == {None} and "a made machine" in words(page)
    opened = next(one for one in shown["cells"] if (one["row"], one["column"]) == PLACE)
    assert f"By this project: *{report.found(opened['before'])}*" in words(page)
    digits = opened["digits"]
    assert words(page).count("Tried again by this project") == 1
    own, than, gain = (f"*{value:.{digits}f} ± {error:.{digits}f} (2)*" for value, error in ((71, 1), (66, 2), (5, 1)))
    assert f"with 16 steps: {own}, beside {than} of {baseline}; the gain on the same seeds is {gain}." in words(page)
    assert not any(one["again"] for one in shown["cells"] if (one["row"], one["column"]) != PLACE)


def test_a_link_cannot_write_words_into_the_page(page, shown):
    page.query_params["images"] = "[sign in](https:evil.example)"
    page.run()
    assert not page.exception and "[sign in](" not in words(page)


def test_a_set_that_is_not_here_says_how_it_comes(page, shown):
    page.query_params["table"] = f"{TABLES['heo-8'].paper}, {TABLES['heo-8'].title}"
    page.run()
    assert not page.exception and "downloads it" in words(page) and "give images in place of them" in words(page)
    assert not any("Fill what is missing" in box.label for box in page.expander)


def test_a_cell_is_told_in_words_and_marks():
    cell = {"row": "AT + KD", "column": "1%", "published": 37.11, "spread": None, "significant": None, "digits": 2,
            "values": {1: 40.0, 2: 41.0}, "mean": 40.5, "error": 0.5, "direction": report.OTHERWISE, "clear": True,
            "running": False, "reason": "", "before": None, "metric": "accuracy", "unit": "test error, %",
            "baseline": False}
    told = paper_table._cell(cell)
    assert (told["published"], told["measured"]) == ("37.11", "40.50 ± 0.50 (2)")
    assert (told["mark"], told["tone"], told["clear"]) == ("✗", "other", True)
    assert told["said"] == "AT + KD 1%, published 37.11, measured 40.50 ± 0.50 (2), the other way, clearly"
    empty = {**cell, "values": {}, "mean": None, "error": None, "direction": None, "clear": False}
    assert paper_table._cell({**empty, "running": True})["measured"] == "training…"
    absent = paper_table._cell({**empty, "reason": "There are no weights."})
    assert (absent["measured"], absent["state"]) == ("not made", "absent") and "There are no weights." in absent["said"]
    before = paper_table._cell({**empty, "before": cell})
    assert (before["measured"], before["state"], before["mark"]) == ("40.50 ± 0.50 (2)", "before", "✗")
    assert "measured by this project 40.50 ± 0.50 (2)" in before["said"]
    assert paper_table._cell({**cell, "before": {**cell, "mean": 3.0}})["state"] == ""
    json.dumps(told)
