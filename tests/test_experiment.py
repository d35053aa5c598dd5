"""An experiment: every method under the baseline's budget, and a cost that is measured before it is paid."""

import math
import time

import numpy as np
import pytest

from kdcore import estimate, train
from kdcore.config import parse, read
from kdcore.errors import UserError
from kdcore.experiment import Experiment, demo
from kdcore.methods import BASELINE, METHODS

TEACHER = {"data": {"name": "digits"}, "network": {"name": "fc_teacher", "width": 0.1, "initial": "he"},
           "optimiser": {"learning_rate": 1e-3}, "steps": 10, "evaluations": 1, "device": "cpu"}
RUN = {"data": {"name": "digits", "per_class": 10}, "teacher": TEACHER, "steps": 300, "evaluations": 20,
       "network": {"name": "fc_student", "width": 0.1, "initial": "he"}, "device": "cpu"}


def experiment(methods, **changes):
    return parse(Experiment, {"name": "an experiment", "run": RUN, "methods": methods, **changes})


@pytest.mark.parametrize("methods", [
    ["full_jacobian", "soft_targets"], [BASELINE, "full_jacobian"], ["full_jacobian", BASELINE], [BASELINE], []])
def test_the_baseline_is_always_first_and_once(methods):
    made = [run.method.name for run in experiment(methods).runs()]
    assert made == [BASELINE, *(name for name in methods if name != BASELINE)]


def test_beside_an_ensemble_as_many_learn_from_labels():
    five = {**METHODS["hint_ensemble_middle"].model_dump(mode="json"), "title": "Five", "members": 5}
    made = [(run.method.title, run.method.members) for run in experiment(["hint_ensemble_middle", five]).runs()]
    assert made == [("Labels only", 1), ("Ensemble: labels only", 3), ("Ensemble: labels only, 5 students", 5),
                    ("Ensemble: FitNet with one hint", 3), ("Five", 5)]
    assert len(experiment(["labels_ensemble"]).runs()) == 2


def test_a_method_of_ones_own_does_not_take_a_baselines_title():
    own = {**METHODS["soft_targets"].model_dump(mode="json"), "name": "own", "title": "Labels only"}
    with pytest.raises(UserError, match="have the same title, Labels only"):
        experiment([own])


def test_another_method_under_the_baselines_name_is_a_sentence():
    with pytest.raises(UserError, match="^labels_only is the baseline's own name; give the method another.$"):
        experiment([{**METHODS["soft_targets"].model_dump(mode="json"), "name": BASELINE}])


def test_the_runs_come_seed_by_seed():
    runs = experiment(["full_jacobian", "soft_targets"], seeds=[3, 1]).runs()
    assert [(run.seed, run.method.name) for run in runs] == [
        (seed, name) for seed in (3, 1) for name in (BASELINE, "full_jacobian", "soft_targets")]
    assert runs[1].name == "Full Jacobian · seed 3" and len({run.hash() for run in runs}) == 6


def test_every_run_has_the_same_budget_and_teacher():
    suited = [name for name, method in METHODS.items() if not method.unsuited(read(RUN).pair())]
    made = experiment(suited, seeds=[0, 1])
    same = [run.model_dump(exclude={"name", "method", "seed"}) for run in made.runs()]
    assert len(same) == 2 * len(suited) > 20 and all(one == same[0] for one in same)
    assert len({run["teacher"]["hash"] for run in made.planned()["runs"]}) == 1


def test_a_method_that_does_not_suit_the_pair_is_a_sentence():
    with pytest.raises(UserError, match="^Attention maps cannot be matched: .*choose convolutional networks.$"):
        experiment(["full_jacobian", "attention"]).runs()


def test_a_method_of_ones_own_is_among_them():
    own = {"name": "own", "title": "My own", "stages": METHODS["soft_targets"].model_dump(mode="json")["stages"]}
    assert [run.method.title for run in experiment(["full_jacobian", own]).runs()] == [
        "Labels only", "Full Jacobian", "My own"]


@pytest.mark.parametrize(("changes", "part"), [
    ({"run": {**RUN, "teacher": None}}, "it needs a teacher"),
    ({"seeds": []}, "one seed at least"),
    ({"seeds": [-1]}, "seed"),
    ({"method": "full_jacobian"}, "'method' is not a field.*did you mean 'methods'")])
def test_an_experiment_that_is_not_possible_is_a_sentence(changes, part):
    with pytest.raises(UserError, match=part) as caught:
        experiment(["full_jacobian"], **changes).runs()
    assert "\n" not in str(caught.value)


def test_a_planned_experiment_is_plain_data_that_makes_the_same_runs():
    made = experiment(["full_jacobian"], seeds=[0, 1])
    planned = made.planned()
    assert planned["name"] == "an experiment"
    assert [read(run["config"]) for run in planned["runs"]] == made.runs()
    assert experiment([], name="").planned()["name"]


def test_a_grid_is_every_combination_under_its_own_baseline():
    runs = experiment(["full_jacobian"], seeds=[1, 2], vary={"data.per_class": [1, 5], "teacher.network.width": [
        0.1, 0.2]}).runs()
    assert len(runs) == 2 * 4 * 2
    assert [(run.seed, run.data.per_class, run.teacher.network.width, run.method.name) for run in runs[:4]] == [
        (1, 1, 0.1, BASELINE), (1, 1, 0.1, "full_jacobian"), (1, 1, 0.2, BASELINE), (1, 1, 0.2, "full_jacobian")]
    assert runs[3].name == "Full Jacobian · per class 1, teacher's width 0.2 · seed 1"


def test_a_grid_over_a_weight_leaves_the_other_methods_alone():
    runs = experiment(["full_jacobian", "soft_targets"], vary={
        "method.full_jacobian": [0.1, 10], "method.soft_targets.temperature": [2, 8]}).runs()
    told = [(run.method.name, [(weighted.weight, getattr(weighted.term, "temperature", None))
                               for weighted in run.method.stages[0].objective.values()]) for run in runs]
    assert [name for name, _ in told] == [BASELINE, "full_jacobian", "soft_targets", "soft_targets", "full_jacobian"]
    assert {objective[-1][0] for name, objective in told if name == "full_jacobian"} == {0.1, 10}
    assert [run.name for run in runs[:2]] == ["Labels only · seed 0",
                                              "Full Jacobian · weight of full jacobian 0.1 · seed 0"]
    assert {temperature for name, objective in told if name == "soft_targets" for _, temperature in objective
            if temperature} == {2, 8}


def test_a_grid_over_a_stage_a_share_or_the_members_of_an_ensemble():
    run = {**RUN, "network": {"name": "wrn_10_1"}, "teacher": {**TEACHER, "network": {"name": "wrn_10_1"}}}
    runs = experiment(["flow_then_labels"], run=run, vary={"method.stages.flow.share": [0.2, 0.6]}).runs()
    shares = [[stage.share for stage in run.method.stages] for run in runs if run.method.name != BASELINE]
    assert [share for share, _ in shares] == [0.2, 0.6] and all(sum(share) == pytest.approx(1) for share in shares)
    runs = experiment(["flow_ensemble", "flow_then_labels"], run=run, vary={"method.members": [2, 4]}).runs()
    assert [(run.method.members, run.method.name == "flow_ensemble") for run in runs if run.method.members > 1] == [
        (2, False), (4, False), (2, True), (4, True)], "each beside as many networks that learn from labels alone"
    assert sum(run.method.members == 1 for run in runs) == 2
    assert [run.name for run in runs if run.method.members == 4] == [
        "Ensemble: labels only, 4 students · seed 0", "Ensemble: FSP matrices, then labels · members 4 · seed 0"]
    with pytest.raises(UserError, match="The shares of stages that are varied make 1.5 together"):
        experiment(["flow_then_labels"], run=run, vary={"method.stages.flow.share": [0.7],
                                                        "method.stages.task.share": [0.8]}).runs()
    (moved,) = [weighted for run in experiment(["full_jacobian"], vary={
        "method.full_jacobian.share": [0.5]}).runs() for key, weighted in run.method.stages[0].objective.items()
        if key == "full_jacobian"]
    assert (moved.share, moved.weight) == (0.5, None)


def test_every_weight_of_a_grid_has_its_formula_and_may_be_a_number_of_numpy():
    formulas = experiment(["full_jacobian", "soft_targets"], vary={
        "method.full_jacobian": [*np.array([1, 10])], "data.per_class": [*np.arange(1, 3)]}).planned()["formulas"]
    assert list(formulas) == ["Labels only", "Full Jacobian · weight of full jacobian 1",
                              "Full Jacobian · weight of full jacobian 10", "Soft targets"]
    assert len(set(formulas.values())) == 4 and r"10 \cdot" in formulas["Full Jacobian · weight of full jacobian 10"]


def test_what_a_grid_changes_takes_the_place_of_what_it_excludes():
    run = {**RUN, "data": {"name": "digits", "images": 100}, "network": {"name": "fc_student"}}
    runs = experiment([], run=run, vary={"data.per_class": [1], "network.name": ["fc_student", "wrn_10_1"]}).runs()
    assert [(run.data.images, run.data.per_class, run.network.initial) for run in runs] == [
        (None, 1, "truncated_normal"), (None, 1, "he")]


@pytest.mark.parametrize(("vary", "sentence"), [
    ({"data.per_clas": [1]}, "'data.per_clas' is not a field of this run.*did you mean 'data.per_class'"),
    ({"seed": [1]}, "'seed' cannot be varied as a whole: use seeds"),
    ({"method": ["hint"]}, "'method' cannot be varied as a whole: use methods"),
    ({"steps": []}, "'steps' needs one value at least, and no value twice"),
    ({"steps": [5, 5]}, "no value twice"),
    ({"steps": [5, "many"]}, "steps = \"many\" is not possible"),
    ({"method.hint": [5]}, "'method.hint' cannot be varied: none of the methods has such a term"),
    ({"method.full_jacobian.colour": [5]}, "full_jacobian has no setting 'colour'"),
    ({"steps": [*range(1, 200)], "batch_size": [*range(1, 200)]}, "These are 79202 runs, and an experiment has 10000")])
def test_a_grid_that_is_not_possible_is_a_sentence(vary, sentence):
    with pytest.raises(UserError, match=sentence):
        experiment(["full_jacobian"], vary=vary).runs()


def test_the_demo_has_twelve_runs():
    runs = demo().runs()
    assert len(runs) == 12 and sorted({run.seed for run in runs}) == [1, 2, 3, 4]
    assert [run.method.name for run in runs[:3]] == [BASELINE, "soft_targets", "full_jacobian"]
    assert {(run.data.name, run.data.per_class) for run in runs} == {("digits", 1)}
    assert len({run.hash() for run in runs}) == 12 and len({run.teacher.hash() for run in runs}) == 1
    assert [run.seed for run in demo(seed=5, seeds=2).runs()] == [5, 5, 5, 6, 6, 6]


@pytest.fixture(autouse=True)
def nothing_tried(monkeypatch):
    monkeypatch.setattr(estimate, "_found", {})


def assert_plausible(found):
    assert found["slots"] > 0 and 0 < found["tried"] <= found["kinds"]
    assert all(math.isfinite(number) and number > 0 for one in found["each"]
               for number in (one["seconds"], one["bytes"], one["trainings"], *one["teacher"].values()))


def test_an_estimate_is_near_the_cost():
    """Within a factor of four, on machines whose clocks are shared."""
    made = experiment(["full_jacobian"])
    found = estimate.estimate(made)
    assert_plausible(found)
    teacher = train.fit(made.run.teacher)
    began = time.perf_counter()
    written = []
    for run in made.runs():
        snapshots = [record for record in train.train(run, teacher=teacher) if isinstance(record, train.Snapshot)]
        written.append(sum(value.nbytes for record in snapshots for value in record.state.values()))
    spent = time.perf_counter() - began
    assert 1 / 4 < sum(one["seconds"] for one in found["each"]) / spent < 4
    assert [one["bytes"] for one in found["each"]] == written


def test_the_demo_is_estimated():
    found = estimate.estimate(demo())
    assert_plausible(found)
    assert len(found["each"]) == 12 and found["tried"] == found["kinds"] == 4, "a teacher and three methods"


def test_what_differs_in_nothing_that_costs_time_is_tried_once(monkeypatch):
    """And what there is no time to try costs the mean of the rest."""
    tried = []
    monkeypatch.setattr(estimate, "_tried", lambda run: tried.append(run) or estimate._Cost(0.5, 0.0, 0.0, 8.0))
    grid = {"optimiser.learning_rate": [0.1, 0.01], "steps": [100, 200], "network.width": [0.1, 0.2],
            "method.full_jacobian": [1, 10]}
    found = estimate.estimate(experiment(["full_jacobian"], vary=grid, seeds=[0, 1]))
    assert len(tried) == found["tried"] == found["kinds"] == 5 and len(found["each"]) == 2 * 8 * 3
    assert {one["seconds"] for one in found["each"]} == {50.0, 100.0}
    assert {one["teacher"]["seconds"] for one in found["each"]} == {5.0}
    estimate.estimate(experiment(["full_jacobian"], vary={**grid, "steps": [300]}, seeds=[2]))
    assert len(tried) == 5, "for ten minutes"
    estimate._found.clear()
    monkeypatch.setattr(estimate, "MOST_SECONDS", 0.0)
    monkeypatch.setattr(estimate.time, "monotonic", iter([0, -1, *range(100)]).__next__)
    found = estimate.estimate(experiment(["full_jacobian"], vary=grid))
    assert found["tried"] == 1 and {one["seconds"] for one in found["each"]} == {50.0, 100.0}


def test_what_the_students_of_an_ensemble_share_is_estimated_once():
    for name, trainings in (("full_jacobian", 1), ("labels_ensemble", 3), ("hint_ensemble_middle", 3 - 2 * 0.625)):
        assert estimate._trainings(experiment([name]).runs()[-1]) == pytest.approx(trainings, abs=0.05), name


@pytest.mark.parametrize("changes", [
    {"steps": 0}, {"steps": 1}, {"data": {"name": "digits", "images": 1}}, {"batch_size": 5000}])
def test_the_smallest_experiment_is_estimated(changes):
    assert_plausible(estimate.estimate(experiment(["full_jacobian"], run={**RUN, **changes})))
