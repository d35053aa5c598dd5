"""Tables 1 to 3 of Ehmann & Samek 2018: the published figures, the runs that make them, and how they are filled."""

import json
import re
import statistics
from collections import Counter

import pytest

from kdcore import worker
from kdcore.config import RunConfig
from kdcore.errors import UserError
from kdcore.methods import METHODS
from kdcore.papers import BUDGETS, Budget, Cell, Table, reproduce, tables
from kdcore.store import Store

# As the paper prints them.
TABLE_1 = """
# examples             50      1000    20000
FC
only labels            0.6849  0.8882  0.9760
cost                   0.6900  0.8981  0.9816
full Jacobian          0.8056  0.9239  0.9761
summed Jacobian        0.6928  0.8879  0.9763
convolutional
only labels            0.7186  0.9160  0.9814
cost                   0.7137  0.9272  0.9854
full Jacobian          0.7540  0.9359  0.9819
summed Jacobian        0.7250  0.9216  0.9816
"""
TABLE_2 = """
# examples             50      1000    20000
FC to convolutional
only labels            0.7186  0.9160  0.9814
cost                   0.7109  0.9179  0.9846
full Jacobian          0.8101  0.9336  0.9815
convolutional to FC
only labels            0.6849  0.8882  0.9760
cost                   0.6945  0.8985  0.9817
full Jacobian          0.7531  0.9221  0.9780
"""
TABLE_3 = """
M=1                        0.9854
cost diff                  0.9850
cost diff + M=1            0.9852
M ∈ {0,1}  p = 0.2         0.9845
M ∈ {0,1}  p = 0.5         0.9845
M ∈ {0,1}  p = 0.7         0.9844
M ∈ {0,1}  p = 0.9         0.9848
M ∈ {1,2}  p = 0.2         0.9848
M ∈ {1,2}  p = 0.5         0.9842
M ∈ {1,2}  p = 0.7         0.9838
M ∈ {1,2}  p = 0.9         0.9843
"""
COUNTS = ("50", "1000", "20000")
CELLS = {"ehmann-samek-1": 24, "ehmann-samek-2": 18, "ehmann-samek-3": 11}
ROWS = {"only labels": "labels_only", "cost": "cost_gradient", "full Jacobian": "full_jacobian",
        "summed Jacobian": "summed_jacobian", "M=1": "double_backpropagation", "cost diff": "cost_gradient",
        "cost diff + M=1": "cost_gradient_double_backpropagation", "M ∈ {0,1}": "targeted_double_backpropagation",
        "M ∈ {1,2}": "graded_double_backpropagation"}
THRESHOLDS = {"p = 0.2": "_p2", "p = 0.5": "", "p = 0.7": "_p7", "p = 0.9": "_p9"}
PAIRS = {"FC": ("fc_teacher", "fc_student"), "convolutional": ("conv_teacher", "conv_student"),
         "FC to convolutional": ("fc_teacher", "conv_student"), "convolutional to FC": ("conv_teacher", "fc_student")}


def by_count(text):
    """{(row, column): figure} of a table whose columns are counts of examples."""
    figures, pair = {}, None
    for line in text.strip().splitlines()[1:]:
        row, *values = re.split(r"\s{2,}", line.strip())
        pair = pair if values else row
        figures |= {(f"{pair}: {row}", count): float(value) for count, value in zip(COUNTS, values, strict=False)}
    return figures


def by_line(text):
    """{(row, column): figure} of a table with one figure a line."""
    lines = (re.split(r"\s{2,}", line) for line in text.strip().splitlines())
    return {(row, column[0] if column else ""): float(value) for row, *column, value in lines}


PUBLISHED = {"ehmann-samek-1": by_count(TABLE_1), "ehmann-samek-2": by_count(TABLE_2),
             "ehmann-samek-3": by_line(TABLE_3)}
ALL = [(name, cell) for name, table in tables().items() for cell in table.cells]


def named(value):
    return f"{value.row} {value.column}".replace("∈ ", "") if isinstance(value, Cell) else None


def test_every_published_figure_is_there():
    assert {name: {(cell.row, cell.column): cell.published for cell in table.cells}
            for name, table in tables().items()} == PUBLISHED


@pytest.mark.parametrize(("name", "count"), CELLS.items())
def test_every_cell_is_there_once(name, count):
    cells = tables()[name].cells
    assert len(cells) == count == len(PUBLISHED[name]) and len({(cell.row, cell.column) for cell in cells}) == count
    assert tables()[name].data == "mnist" and f"Table {name[-1]}" in tables()[name].title


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize(("name", "cell"), ALL, ids=named)
def test_a_cells_runs_are_the_papers(name, cell, budget):
    """Architectures, method, counts of images and seeds; the budget's steps; a teacher of 20 000 images."""
    chosen, runs = BUDGETS[budget], cell.configs(BUDGETS[budget])
    assert all(isinstance(run, RunConfig) for run in runs)
    assert len(runs) == min(chosen.seeds, 6 if name == "ehmann-samek-3" else 7)
    assert len({run.hash() for run in runs}) == len({run.seed for run in runs}) == len(runs)
    pair, _, row = cell.row.rpartition(": ")
    teacher, student = PAIRS[pair or "convolutional"]
    method = ROWS[row] + THRESHOLDS.get(cell.column, "")
    for run in runs:
        assert (run.teacher.network.name, run.network.name, run.method.name) == (teacher, student, method)
        assert run.data.images == int(cell.column if pair else 20000) and run.teacher.data.images == 20000
        assert run.teacher.method.name == "labels_only" and run.teacher.teacher is None
        for one in (run, run.teacher):
            assert (one.data.name, one.steps, one.batch_size) == ("mnist", chosen.steps, 50)
            assert (one.optimiser.kind, one.optimiser.learning_rate) == ("adam", chosen.learning_rate)
            assert (one.network.width, one.network.initial) == (chosen.width, "truncated_normal")
        RunConfig.model_validate_json(run.model_dump_json())


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("name", CELLS)
def test_no_two_cells_of_a_table_are_the_same_runs(name, budget):
    hashes = Counter(run.hash() for cell in tables()[name].cells for run in cell.configs(BUDGETS[budget]))
    assert set(hashes.values()) == {1}


def test_the_papers_budget_is_the_papers_setting():
    paper = BUDGETS["paper"]
    assert (paper.steps, paper.seeds, paper.learning_rate, paper.width) == (50_000, 7, 1e-4, 1.0)


@pytest.mark.parametrize("budget", BUDGETS)
def test_each_seed_has_a_teacher_of_its_own_in_the_paper_and_one_for_all_in_smaller_budgets(budget):
    runs = tables()["ehmann-samek-1"].cells[0].configs(BUDGETS[budget])
    assert len({run.teacher.hash() for run in runs}) == (len(runs) if budget == "paper" else 1)


@pytest.mark.parametrize("cell", [cell for name, cell in ALL if cell.column.startswith("p = ")], ids=named)
def test_a_threshold_is_its_columns(cell):
    term = cell.configs(BUDGETS["quick"])[0].method.stages[0].objective["targeted"].term
    assert term.threshold == float(cell.column.removeprefix("p = "))
    assert (term.outside, term.inside) == ((1, 0) if "{0,1}" in cell.row else (2, 1))


@pytest.mark.parametrize(("method", "weight"), [
    ("full_jacobian", 0.1), ("summed_jacobian", 0.1), ("cost_gradient", 1e7 / 50**2),
    ("double_backpropagation", 1e7 / 50**2), ("cost_gradient_double_backpropagation", 1e7 / 50**2),
    ("targeted_double_backpropagation", 1e7 / 50**2), ("graded_double_backpropagation", 1e7 / 50**2)])
def test_the_weights_are_the_papers(method, weight):
    """λ = 1e7 counts for cost gradients of the mean of 50 images, each 1/50 of an image's own."""
    stage, = METHODS[method].stages
    weights = {key: weighted.weight for key, weighted in stage.objective.items()}
    assert weights.pop("cross_entropy") == 1 and set(weights.values()) == {weight}


def said():
    """(method, row) of this paper's tables: a method's rows are its own paper's, until one of them names another."""
    for method in METHODS.values():
        paper = method.paper
        for row in method.rows:
            named, _, table = row.partition("Table ")
            paper = named.strip() or paper
            if paper.startswith("Ehmann & Samek"):
                yield method.name, f"Table {table}"


def test_every_row_of_the_tables_is_made_by_a_method_that_says_so():
    made = {(cell.configs(BUDGETS["quick"])[0].method.name,
             f"Table {name[-1]}: {cell.row.rpartition(': ')[2]}" + (f", {cell.column}" if "p =" in cell.column else ""))
            for name, cell in ALL}
    assert set(said()) == made


# A table that is filled in a moment.
TINY = Budget("digits in six steps", steps=6, seeds=2, learning_rate=3e-3, width=0.02)


def small(method):
    def configs(budget):
        shared = {"steps": budget.steps, "optimiser": {"learning_rate": budget.learning_rate}, "evaluations": 2,
                  "device": "cpu"}
        network = {"width": budget.width, "initial": "he"}
        teacher = {**shared, "data": {"name": "digits"}, "network": {"name": "fc_teacher", **network}}
        return [RunConfig(**shared, data={"name": "digits", "images": 20}, teacher=teacher, method=method, seed=seed,
                          network={"name": "fc_student", **network}) for seed in range(1, budget.seeds + 1)]

    return configs


MADE = Table("A made table", "digits", (Cell("only labels", "20", 0.5, small("labels_only")),
                                        Cell("full Jacobian", "20", 0.625, small("full_jacobian"))))


@pytest.fixture
def executed(monkeypatch):
    """The made table and its budget, filled by a worker in this process; lists the runs that it executed."""
    runs = []

    def drain(store):
        while row := store.queue.claim(99):
            runs.append(row["id"])
            worker.execute(store, row)

    monkeypatch.setattr(worker, "ensure", drain)
    monkeypatch.setattr(reproduce, "tables", lambda: {"made": MADE})
    monkeypatch.setitem(BUDGETS, "tiny", TINY)
    return runs


def test_a_table_is_filled_once(executed, tmp_path):
    store, folder = Store(tmp_path / "store"), tmp_path / "reports"
    report = reproduce.reproduce("made", "tiny", store, folder)
    assert len(executed) == 5 and {row["state"] for row in store.runs()} == {"done"}
    assert (report["table"], report["budget"], report["note"]) == ("made", "tiny", TINY.note)
    for cell, wanted in zip(report["cells"], MADE.cells, strict=True):
        accuracies = [store.summary([run])[run]["last"] for run in cell["runs"]]
        assert (cell["row"], cell["column"], cell["published"]) == (wanted.row, wanted.column, wanted.published)
        assert len(accuracies) == 2 and cell["accuracies"] == accuracies
        assert cell["mean"] == pytest.approx(sum(accuracies) / 2)
        assert cell["standard_error"] == pytest.approx(abs(accuracies[0] - accuracies[1]) / 2)
        assert cell["standard_error"] == pytest.approx(statistics.stdev(accuracies) / 2**0.5)
    assert json.loads((folder / "made-tiny.json").read_text()) == report
    assert (folder / "made-tiny.md").read_text() == reproduce.markdown(report)

    assert reproduce.reproduce("made", "tiny", store, folder) == report
    assert len(executed) == 5, "a second call trained again"


def test_the_report_shows_published_beside_measured():
    cell = {"row": "full Jacobian", "column": "50", "published": 0.8056, "accuracies": [0.8, 0.81], "mean": 0.805,
            "standard_error": 0.005}
    alone = {**cell, "row": "cost", "accuracies": [0.8], "mean": 0.8, "standard_error": None}
    text = reproduce.markdown({"title": "A table", "budget": "quick", "note": "smaller", "cells": [cell, alone]})
    assert "| full Jacobian | 50 | 0.8056 | 0.8050 ± 0.0050 (2) |" in text.splitlines()
    assert "| cost | 50 | 0.8056 | 0.8000 (1) |" in text.splitlines()
    assert text.startswith("# A table\n") and "*quick*: smaller." in text


def test_a_failed_run_is_a_sentence_and_the_next_call_goes_on(executed, tmp_path, monkeypatch):
    store = Store(tmp_path / "store")
    real, broken = worker.execute, []

    def once(store, row):
        if row["role"] == "student" and not broken:
            broken.append(store.finish(row["id"], row["claim"], "failed", "It broke."))
        else:
            real(store, row)

    monkeypatch.setattr(worker, "execute", once)
    with pytest.raises(UserError, match=r"failed: It broke\. Call the same line again"):
        reproduce.reproduce("made", "tiny", store, tmp_path / "reports")
    assert not (tmp_path / "reports").exists()
    report = reproduce.reproduce("made", "tiny", store, tmp_path / "reports")
    assert all(len(cell["accuracies"]) == 2 for cell in report["cells"]) and len(executed) == 6
