"""How a table is filled and reported, on a made one that takes a moment."""

import json
import statistics
from dataclasses import replace
from functools import partial

import pytest

from benchmarks.runs import RESULTS
from kdcore import papers, worker
from kdcore.comparison import kendall
from kdcore.errors import UserError
from kdcore.papers import TABLES, plan, report, reproduce
from kdcore.papers.table import ACCURACY, ERROR, Budget, Cell, Measure, Table, against, cells, figures
from kdcore.store import Store

PRINTED = figures("""
    only labels    50    60
    full Jacobian  62.5  60
    cost           55±1  61""")
NOISY = replace(ACCURACY, noise=0.1)


def run(row, column, budget, seed):
    shared = {"steps": 6, "optimiser": {"learning_rate": 3e-3}, "evaluations": 2, "device": "cpu"}
    network = {"width": 0.02, "initial": "he"}
    return {**shared, "data": {"name": "digits", "images": int(column)}, "method": f"Table 1: {row}", "seed": seed,
            "network": {"name": "fc_student", **network},
            "teacher": {**shared, "data": {"name": "digits"}, "network": {"name": "fc_teacher", **network}}}


MADE = Table("Ehmann & Samek 2018", "Table 1: a made table", "It is made.", "digits",
             (*against("only labels", cells(PRINTED, ("20", "50"), run)),
              Cell("only labels", "20, noisy", 50.0, partial(run, "only labels", "20"), NOISY)),
             {"quick": Budget("digits in six steps", 2)})


@pytest.fixture
def made(monkeypatch):
    """The made table, filled by a worker in this process; lists the runs that it executed."""
    executed = []

    def drain(store):
        while row := store.queue.claim(99):
            executed.append(row["id"])
            worker.execute(store, row)

    monkeypatch.setattr(worker, "ensure", drain)
    monkeypatch.setitem(TABLES, "made", MADE)
    return executed


def test_a_table_is_filled_once(made, tmp_path):
    store, folder = Store(tmp_path / "store"), tmp_path / "reports"
    found = reproduce.reproduce("made", "quick", store, folder)
    assert len(made) == 1 + 6 * 2 and {row["state"] for row in store.runs()} == {"done"}
    assert (found["table"], found["budget"], found["note"]) == ("made", "quick", "digits in six steps")
    assert len(store.runs("made · quick")) == 1 + 6 * 2
    for cell, one in zip(MADE.cells[:6], found["cells"], strict=False):
        accuracies = [100 * store.summary([run])[run]["last"] for run in one["runs"]]
        assert (one["row"], one["column"], one["published"]) == (cell.row, cell.column, cell.published)
        assert list(one["values"].values()) == pytest.approx(accuracies) and set(one["values"]) == {1, 2}
        assert one["mean"] == pytest.approx(sum(accuracies) / 2) and not one["missing"]
        assert one["error"] == pytest.approx(statistics.stdev(accuracies) / 2**0.5)
    noisy = found["cells"][6]
    assert noisy["runs"] == found["cells"][0]["runs"] and 0 <= noisy["mean"] <= 100
    for line in found["orders"]:
        assert line["tau"] == kendall([(line["published"], line["measured"])])[0]
    assert json.loads((folder / "made-quick.json").read_text())["cells"][0]["mean"] == found["cells"][0]["mean"]
    assert (folder / "made-quick.md").read_text() == report.markdown(found)

    assert reproduce.reproduce("made", "quick", store, folder) == found
    assert len(made) == 1 + 6 * 2, "a second call trained again"


def test_only_some_columns_and_rows_are_filled(made, tmp_path):
    store = Store(tmp_path / "store")
    found = reproduce.reproduce("made", "quick", store, tmp_path, columns=["20"], rows=["only labels", "cost"])
    there = {(one["row"], one["column"]): one["missing"] for one in found["cells"][:6]}
    assert {place for place, missing in there.items() if not missing} == {("only labels", "20"), ("cost", "20")}
    assert len(made) == 1 + 2 * 2
    with pytest.raises(UserError, match=r"The table has no row 'costs' \(did you mean 'cost'\?\); it has only labels, "
                                        "full Jacobian, cost"):
        reproduce.reproduce("made", "quick", store, tmp_path, rows=["costs"])


def test_what_another_store_measured_is_kept_where_its_report_lies(made, tmp_path):
    folder = tmp_path / "reports"
    there = reproduce.reproduce("made", "quick", Store(tmp_path / "there"), folder, rows=["only labels"])
    trained = len(made)
    here = reproduce.reproduce("made", "quick", store := Store(tmp_path / "here"), folder)
    assert {run.split(" · ")[0] for run in (row["name"] for row in store.runs() if row["role"] == "student")} == {
        "full Jacobian", "cost"}, "what the report has was trained again"
    for place in (0, 1, 6):
        kept, before = here["cells"][place], there["cells"][place]
        assert kept["values"] == before["values"] and (kept["missing"], kept["runs"]) == (0, [])
    assert all(one["gain"] is not None for one in here["cells"][2:6]), "no gain over what was kept"
    assert len(made) == trained + 1 + 4 * 2

    written = folder / "made-quick.json"
    other = json.loads(written.read_text())
    other["cells"][0]["hashes"][0] = "of another plan"
    other["cells"][1]["machine"] = "another machine"
    written.write_text(json.dumps(other))
    (folder / "no-report.json").write_text("[1]")
    again = reproduce.reproduce("made", "quick", store, folder)
    assert again["cells"][0]["runs"] and len(made) == trained + 1 + 4 * 2 + 2
    assert again["machine"] == f"{here['machine']}; another machine" and "another" in report.ended(again)
    (folder / "half.json").write_text('{"table":')
    with pytest.raises(UserError, match=r"half\.json is no JSON, so that what it may have measured cannot be kept"):
        reproduce.reproduce("made", "quick", store, folder)
    assert json.loads(written.read_text()) == json.loads(json.dumps(again))


def test_a_table_keeps_what_another_ones_report_has_of_the_same_runs(real_data):
    shared = report.known([json.loads((RESULTS / "papers/ehmann-samek-1-standard.json").read_text())])
    whole, rest = (plan.missing("ehmann-samek-2", "standard", known=known) for known in ((), shared))
    assert len(rest) == len(whole) - 2 * 3 * 7
    assert {run["config"]["method"]["name"] for run in rest} == {"cost_gradient", "full_jacobian"}


@pytest.mark.parametrize("name, budget, sentence", [
    ("heo-9", "quick", "There is no table 'heo-9' (did you mean 'heo-"),
    ("heo-1", "fast", "There is no budget 'fast'; choose one of quick, standard, paper.")])
def test_what_is_not_there_is_a_sentence(name, budget, sentence):
    with pytest.raises(UserError) as error:
        plan.outline(name, budget)
    assert sentence in str(error.value)


def test_a_set_that_is_not_here_is_a_sentence_on_what_to_put_where(monkeypatch, tmp_path):
    monkeypatch.setenv("KD_DATA", str(tmp_path))
    made = plan.outline("heo-1", "quick")
    assert all(one["hashes"] for one in made), "runs made before the set was removed would not be found again"
    reasons = {one["reason"] for one in plan.outline("heo-4", "quick")}
    assert len(reasons) == 1
    assert "MIT Indoor Scenes 67 is not on this machine. Get it from" in reasons.pop()
    with pytest.raises(UserError, match="`python -m kdcore data cifar10` downloads it"):
        plan.missing("heo-1", "quick")


def test_ones_own_images_stand_in_for_a_set(tmp_path):
    from PIL import Image

    for name in ("cat", "dog"):
        for part in ("train", "test"):
            (tmp_path / part / name).mkdir(parents=True)
            Image.new("RGB", (40, 40)).save(tmp_path / part / name / "one.png")
    cell = TABLES["yim-3"].cells[1]
    found = plan.run_of(TABLES["yim-3"], replace(cell, run=lambda budget, seed: {
        **cell.run(budget, seed), "data": {"name": "cifar10"}, "teacher": None}), "quick", 1, str(tmp_path))
    assert (found.data.name, found.data.path, found.data.size) == ("folder", str(tmp_path), 32)


def test_a_failed_run_is_a_sentence_and_the_next_call_goes_on(made, tmp_path, monkeypatch):
    store = Store(tmp_path / "store")
    real, broken = worker.execute, []

    def once(store, row):
        if row["role"] == "student" and not broken:
            broken.append(store.finish(row["id"], row["claim"], "failed", "It broke."))
        else:
            real(store, row)

    monkeypatch.setattr(worker, "execute", once)
    with pytest.raises(UserError, match=r"failed: It broke\. Call the same line again"):
        reproduce.reproduce("made", "quick", store, tmp_path / "reports")
    assert not (tmp_path / "reports").exists()
    found = reproduce.reproduce("made", "quick", store, tmp_path / "reports")
    assert all(not one["missing"] for one in found["cells"])


BASELINE = {3: 80.0, 1: 40.0, 2: 60.0}  # far apart, in no order: gains of other seeds would be other ones


def one(published, values, significant=None):
    return {"published": published, "values": values, "significant": significant}


def over(*gains):
    """What is so far above the baseline on the seeds 1, 2 and 3."""
    return {seed: BASELINE[seed] + gain for seed, gain in enumerate(gains, start=1)}


@pytest.mark.parametrize("published, values, measure, direction, clear", [
    (62.0, over(10, 11, 10.5), ACCURACY, report.AS_THERE, True),
    (62.0, over(-10, 10, 0.5), ACCURACY, report.AS_THERE, False),
    (62.0, over(-10, -9, -9.5), ACCURACY, report.OTHERWISE, True),
    (40.0, over(-10, -9, -9.5), ACCURACY, report.AS_THERE, True),
    (62.0, over(10, 11, 10.5), ERROR, report.AS_THERE, True),
    (62.0, over(-10, -9, -9.5), ERROR, report.OTHERWISE, True),
    (50.0, over(10, 11, 10.5), ACCURACY, report.LEVEL, False),
    (62.0, over(10, 11), ACCURACY, report.AS_THERE, True),
    (62.0, {9: 10.0, **over(10)}, ACCURACY, report.AS_THERE, False), (62.0, {9: 10.0}, ACCURACY, None, False),
    (62.0, {}, ACCURACY, None, False), (None, over(10), ACCURACY, None, False)])
def test_a_direction_is_that_of_the_same_seeds(published, values, measure, direction, clear):
    """Against a published 50."""
    found = report.compared(one(published, values), one(50.0, BASELINE), measure)
    assert (found["direction"], found["clear"]) == (direction, clear)
    if direction:
        gains = [value - BASELINE[seed] for seed, value in values.items() if seed in BASELINE]
        assert found["gain"] == pytest.approx(statistics.mean(gains) * (-1 if measure.error else 1))


def test_where_the_paper_finds_nothing_significant_there_is_no_direction_to_find():
    found = report.compared(one(62.0, over(10, 11, 10.5), significant=False), one(50.0, BASELINE), ACCURACY)
    assert (found["direction"], found["clear"], found["gain"]) == (None, False, 10.5)
    assert report.in_words({**found, "significant": False, "baseline": False}) == "not significant in the paper"
    assert report.directions([{**found, "direction": None}]) == (0, 0, 0, 0)


def test_what_falls_is_what_is_gone_at_the_end(tmp_path, monkeypatch):
    store = Store(tmp_path)
    monkeypatch.setattr(store, "curves", lambda ids, name: {7: ([0, 5], [4.0, 1.0]), 8: ([0, 5], [0.0, 0.0])})
    assert report.taken(store, [7, 8, 9], Measure("", metric="term", fall=True), None) == [0.75, None, None]


def test_a_member_is_one_of_an_ensembles_networks(tmp_path, monkeypatch):
    store = Store(tmp_path)
    monkeypatch.setattr(store, "parts", lambda run: [10 * run, 10 * run + 1, 10 * run + 2])
    monkeypatch.setattr(store, "summary", lambda ids, name: {run: {"last": run / 100} for run in ids})
    assert report.taken(store, [1, 2], replace(ACCURACY, member=1), None) == [0.11, 0.21]


def test_the_report_shows_published_beside_measured():
    cell = {"row": "full {Jacobian} *", "column": "50", "published": 80.56, "spread": 0.1, "significant": True,
            "digits": 2, "metric": "accuracy", "unit": "test accuracy, %", "values": {1: 80.0, 2: 81.0}, "mean": 80.5,
            "error": 0.5,
            "direction": report.AS_THERE, "against": "only labels", "baseline": False,
            "clear": True, "gain": 12.0, "published gain": 12.07, "reason": ""}
    absent = {**cell, "row": "fine-tuned", "spread": None, "significant": None, "values": {}, "mean": None,
              "error": None, "direction": None, "clear": False, "gain": None, "reason": "There are no weights."}
    text = report.markdown({
        "paper": "A paper", "title": "Table 1", "claim": "It helps.", "budget": "quick", "note": "smaller",
        "images": "Images: digits.", "cells": [cell, absent],
        "orders": [{"line": "50", "published": [1, 2, 3], "measured": [1, 3, 2], "tau": 1 / 3}]})
    lines = text.splitlines()
    assert r"| full \{Jacobian\} \* | 50 | 80.56 ± 0.10 * | 80.50 ± 0.50 (2) | +12.07 | +12.00 | as published, " \
           "clearly |" in lines
    assert "| fine-tuned | 50 | 80.56 |  | +12.07 |  |  |" in lines and "- There are no weights." in lines
    assert "Order, 50: Kendall's τ 0.33 (3 cells)." in lines
    assert "Budget *quick*: smaller. Images: digits. Figures: test accuracy, %." in lines
    assert lines[-1] == report.said({"cells": [cell, absent]})
    assert lines[-1].startswith("Of 1 direction against only labels, 1 as published")


def test_directions_are_counted_and_say_against_what():
    told = {"direction": report.AS_THERE, "clear": True, "published gain": 0.1, "against": "KD"}
    others = [{**told, "clear": False}, {**told, "direction": report.OTHERWISE}, {**told, "direction": report.LEVEL}]
    assert report.said({"cells": [told, *others]}).startswith("Of 3 directions against KD, 2 as published, 1 of them")
    assert report.directions([told, *others]) == (2, 1, 1, 1)
    assert report.said({"cells": [{**told, "direction": None}]}) == "No direction can be told yet."
    assert report.said({"cells": [{**told, "published gain": None}]}).startswith("The paper compares")


def test_images_that_stand_in_have_an_experiment_and_a_report_of_their_own():
    assert report.experiment("heo-1", "quick") == "heo-1 · quick"
    assert report.experiment("heo-1", "quick", "/home/me/birds.zip") == "heo-1 · quick · birds.zip"


def test_kendalls_tau():
    assert kendall([([1, 2, 3, 4], [10, 20, 30, 40]), ([1, 2, 3], [3, 2, 1]), ([1, 2, 3, 4], [1, 2, 4, 3]),
                    ([1, 1, 1], [1, 2, 3])]) == [pytest.approx(1), pytest.approx(-1), pytest.approx(2 / 3), None]


def test_tables_are_listed_without_torch():
    import subprocess
    import sys

    code = "import sys, kdcore.papers, kdcore.papers.report; print('torch' in sys.modules, len(kdcore.papers.TABLES))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.split() == ["False", str(len(papers.TABLES))]


