"""The papers' tables: every figure as it is printed, and the run that makes each cell."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from kdcore.config import RunConfig
from kdcore.methods import METHODS
from kdcore.papers import BUDGETS, TABLES, plan
from kdcore.papers.table import ACCURACY, ERROR, figures

TEXTS = Path(__file__).resolve().parents[3] / "shared" / "papers"
FILES = {"Ehmann & Samek 2018": "ehmann_samek_information_transfer", "Ahn et al. 2018": "ahn_variational_information",
         "Srinivas & Fleuret 2018": "srinivas_fleuret_jacobian_matching", "Heo et al. 2019":
         "heo_activation_boundaries", "Yim et al. 2017": "yim_fsp"}
COUNTS = {  # figures of each table, counted in the papers
    "ehmann-samek-1": 24, "ehmann-samek-2": 18, "ehmann-samek-3": 11, "ahn-1a": 29, "ahn-1b": 18,
    **dict.fromkeys(("ahn-2a", "ahn-2b", "ahn-2c", "ahn-2d"), 36), "srinivas-fleuret-1": 36, "srinivas-fleuret-2": 30,
    "srinivas-fleuret-3": 30, "srinivas-fleuret-4": 8, "srinivas-fleuret-5": 5, "heo-1": 42, "heo-2": 42, "heo-3": 30,
    "heo-4": 40, "heo-5": 40, "heo-6": 24, "heo-7": 16, "heo-8": 5, "yim-1": 35, "yim-2": 20, "yim-3": 4, "yim-4": 4,
    "yim-5": 5, "yim-figure-3": 0}


def rows_of(name):
    """Each row's figures in order, spreads after what they belong to; of the table that is printed on its side, each
    column's."""
    found = {}
    for cell in TABLES[name].cells:
        row = cell.column if name == "heo-3" else cell.row
        found.setdefault(row, []).extend(value for value in (cell.published, cell.spread) if value is not None)
    return found


def digits(value):
    """A number's digits, whatever stands in place of its point; the zeros at its end may be printed."""
    whole, _, rest = f"{value:.15g}".partition(".")
    return whole + r"\D{0,2}?" + rest + "0{0,2}"


@pytest.mark.parametrize("name", TABLES)
def test_every_figure_is_there(name):
    assert sum(cell.published is not None for cell in TABLES[name].cells) == COUNTS[name]
    assert set(Counter((cell.row, cell.column) for cell in TABLES[name].cells).values()) == {1}


@pytest.mark.parametrize("name", TABLES)
def test_the_figures_are_those_of_the_papers_text(name):
    """Each row's digits follow each other there, and the rows one another; the text, read off a page, has lost some
    points and rules.
    """
    file = TEXTS / f"{FILES[TABLES[name].paper]}.txt"
    if not file.exists():
        pytest.skip("the papers' texts are not on this machine")
    text, end = file.read_text(), 0
    for row, values in rows_of(name).items():
        if (name, row) == ("heo-6", "KD"):  # printed once for all layers
            values = values[:1]
        printed = re.compile(r"(?<!\d)" + r"\D{1,30}?".join(map(digits, values)) + r"(?!\d)").search(text, end)
        assert printed, (row, values)
        end = printed.end()


def test_a_table_is_read_as_it_is_printed():
    found = figures("""
        first row   1.5  2±0.25
        the second  –    3""")
    assert [(one.value, one.spread) for one in found["first row"]] == [(1.5, None), (2.0, 0.25)]
    assert [one.value for one in found["the second"]] == [None, 3.0]


def test_less_of_an_error_is_better():
    assert ERROR.gain(5.1, 10.1) == pytest.approx(5.0) and ACCURACY.gain(5.1, 10.1) == pytest.approx(-5.0)
    assert ERROR.printed(0.9) == pytest.approx(10.0) and ACCURACY.printed(0.9) == pytest.approx(90.0)


@pytest.mark.parametrize("name", TABLES)
def test_what_a_cell_is_compared_with_is_in_its_table(name):
    table = TABLES[name]
    of = {(cell.row, cell.column): cell for cell in table.cells}
    for cell in table.cells:
        if cell.against:
            assert replace(of[table.baseline(cell)].measure, metric="") == replace(cell.measure, metric="")
            assert cell.against != table.compared(cell)
    assert sum(len(line) for line in table.lines().values()) == len(table.cells)
    for line in table.lines().values():
        assert len({cell.measure for cell in line}) == 1
        baselines = [cell for cell in line if not cell.against]
        assert len(baselines) == 1 or len(baselines) == len(line)


def test_every_row_that_a_method_names_is_in_a_table_and_the_other_way_round():
    made = {(table.paper, cell.run("quick", 1)["method"]) for table in TABLES.values() for cell in table.cells}
    assert set(plan.methods()) == made  # Fig. 3 trains the rows of Table 3


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("name", TABLES)
def test_every_cell_is_a_run(name, budget):
    """At every budget, but for what has no published weights; no two cells are the same, unless they share a run."""
    table, hashes = TABLES[name], {}
    for cell in table.cells:
        try:
            run = plan.run_of(table, cell, budget, 1)
        except plan.UserError as reason:
            assert "there are none for this network" in str(reason)
            continue
        assert isinstance(run, RunConfig) and run.seed == 1 and run.name.startswith(cell.row)
        assert run.data.name == table.data and (not run.teacher or run.teacher.data.name == table.data)
        assert run.steps > 0 and run.evaluations > 1
        hashes.setdefault(run.hash(), []).append(cell)
        assert plan.run_of(table, cell, budget, 2).hash() != run.hash()
    for sharing in hashes.values():
        several = {(cell.row, cell.column) for cell in sharing}
        assert len(several) == 1 or len({cell.measure for cell in sharing}) > 1 or {cell.row for cell in sharing} == {
            "KD"}


def test_budgets_grow():
    for table in TABLES.values():
        for cell in table.cells[-1:]:
            runs = [plan.run_of(table, cell, budget, 1) for budget in BUDGETS]
            work = [run.steps * run.batch_size * run.network.width * run.side().images[1] ** 2 for run in runs]
            assert work == sorted(work) and work[0] < work[-1], table.title
        assert table.budgets["quick"].seeds <= table.budgets["standard"].seeds <= table.budgets["paper"].seeds


def run(name, row, column, budget="paper", seed=1):
    table = TABLES[name]
    cell = next(cell for cell in table.cells if (cell.row, cell.column) == (row, column))
    return plan.run_of(table, cell, budget, seed)


def test_ehmann_and_sameks_setting():
    """Adam at 1e-4, batches of 50, 50 000 steps; a teacher of 20 000 images for each seed, one for all in less."""
    found = run("ehmann-samek-2", "FC to convolutional: full Jacobian", "1000")
    assert (found.steps, found.batch_size, found.optimiser.learning_rate) == (50_000, 50, 1e-4)
    assert (found.teacher.network.name, found.network.name) == ("fc_teacher", "conv_student")
    assert (found.data.images, found.teacher.data.images) == (1000, 20_000)
    assert found.method.stages[0].objective["full_jacobian"].weight == 0.1
    assert TABLES["ehmann-samek-1"].budgets["paper"].seeds == 7 and TABLES["ehmann-samek-3"].budgets["paper"].seeds == 6
    for budget, teachers in (("quick", 1), ("paper", 2)):
        taught = {run("ehmann-samek-1", "FC: cost", "50", budget, seed).teacher.hash() for seed in (1, 2)}
        assert len(taught) == teachers


@pytest.mark.parametrize("column, images, steps", [("0.1%", 50, 12_000), ("1%", 500, 4688), ("100%", None, 46_875)])
def test_heos_small_sets(column, images, steps):
    """12 000 epochs of 50 images, 1200 of 500, 120 of all, at batches of 128."""
    found = run("heo-2", "Proposed + KD", column)
    assert (found.data.images, found.steps) == (images, steps)
    assert (found.teacher.network.name, found.network.name) == ("wrn_22_4", "wrn_16_2")


@pytest.mark.parametrize("column, share, steps", [
    ("1+1", 1 / 2, 781), ("3+12", 1 / 5, 5859), ("20+100", 1 / 6, 46_875)])
def test_heos_epochs(column, share, steps):
    found = run("heo-1", "Proposed + KD", column)
    assert [stage.share for stage in found.method.stages] == pytest.approx([share, 1 - share])
    assert found.steps == steps and found.data.images is None
    assert run("heo-1", "Cross-Entropy", column).steps == steps  # the baseline has as many


@pytest.mark.parametrize("row, steps", [("Teacher", 64_000), ("Teacher *", 21_000), ("Teacher ‡", 21_000),
                                        ("1 loss FitNet *", 56_000), ("Student *†", 42_000)])
def test_yims_ensembles(row, steps):
    found = run("yim-1", row, "Ensemble")
    assert (found.steps, found.method.members, found.batch_size) == (steps, 3, 256)
    assert (found.network.name, found.data.augment) == ("residual26", "crop")
    assert bool(found.teacher) == (row not in ("Teacher", "Teacher *"))


def test_srinivas_and_fleurets_noise_is_that_of_normalised_images():
    cells = [cell for cell in TABLES["srinivas-fleuret-2"].cells if cell.row == "λ = 10"]
    assert [cell.measure.noise for cell in cells] == [0, 0.025, 0.05, 0.075, 0.1]
    assert len({plan.run_of(TABLES["srinivas-fleuret-2"], cell, "quick", 1).hash() for cell in cells}) == 1
    assert METHODS[run("srinivas-fleuret-2", "Dropout", "0").method.name].stages[0].dropout == 0.25


@pytest.mark.parametrize("row, decay", [("λ = 0", 0.0), ("Dropout", 0.0), ("λ = 10", 0.0), ("ℓ2 regularization", 1e-3)])
def test_in_the_table_of_noise_one_row_alone_keeps_its_weights_small(row, decay):
    found = run("srinivas-fleuret-2", row, "0.4")
    term = found.method.stages[0].objective.get("weight_decay")
    assert found.optimiser.weight_decay == 0 and (term.weight if term else 0) == decay


def test_published_weights_are_no_teacher_for_who_learns_from_none():
    assert run("heo-4", "randomly initialized", "5").teacher is None
    assert run("heo-4", "FSP + DTL", "5").teacher.steps == 0


def test_ahns_labels():
    found = run("ahn-1b", "KD + MI", "500")
    assert (found.data.labelled_per_class, found.data.per_class, found.data.validation) == (500, None, 0.2)
    assert run("ahn-1a", "MI", "5000").data.per_class is None and run("ahn-1a", "MI", "100").data.per_class == 100


def test_a_quick_run_and_its_teacher_are_measured_seldom_and_a_curve_often():
    for name, often in (("ehmann-samek-1", 5), ("heo-2", 5), ("yim-figure-3", 20)):
        for cell in TABLES[name].cells[:2]:
            run = plan.run_of(TABLES[name], cell, "quick", 1)
            assert run.evaluations == often and (run.teacher is None or run.teacher.evaluations == 5)
    whole = plan.run_of(TABLES["heo-2"], TABLES["heo-2"].cells[0], "standard", 1)
    assert (whole.evaluations, whole.teacher.evaluations) == (plan.EVALUATIONS, 60)
