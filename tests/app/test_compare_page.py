"""Compare, without a browser, on real runs; its numbers against slow computations."""

import json
import math
import statistics

import numpy as np
import pytest
from scipy import stats

from app import comparison, engine, results
from app.components import comparison_answers
from kdcore import grid, inspect, worker
from kdcore.catalogue import catalogue
from kdcore.config import read
from kdcore.inspector import _questions
from kdcore.store import Store

VIEWS = ("Results", "Over training", "Costs", "Knowledge", "Noise", "Calibration", "Classes", "Settings")
TEACHER = {"data": {"name": "digits"}, "network": {"name": "fc_teacher", "width": 0.05}, "steps": 40, "evaluations": 1,
           "device": "cpu"}
STUDENT = {"data": {"name": "digits", "per_class": 2}, "network": {"name": "fc_student", "width": 0.05},
           "teacher": TEACHER, "steps": 12, "evaluations": 3, "device": "cpu"}


def planned(seeds=(1,), **changes):
    return [read({**STUDENT, "seed": seed, **changes}).planned() for seed in seeds]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two methods over three seeds; a run alone; an ensemble and one student; more images; one to come."""
    store = Store(tmp_path_factory.mktemp("trained"))
    both = [run for method in ("labels_only", "full_jacobian") for run in planned((1, 2, 3), method=method)]
    store.submit_all(both, "both")
    store.submit_all(planned(teacher=None), "alone")
    store.submit_all([run for method in ("labels_ensemble", "labels_only") for run in planned(method=method)],
                     "ensemble")
    more = {**STUDENT["data"], "per_class": 5}
    store.submit_all([run for method in ("labels_only", "full_jacobian") for run in planned((1, 2), method=method,
                                                                                           data=more)], "more images")
    while row := store.queue.claim(99):
        worker.execute(store, row)
    store.submit_all([*both, *planned((4,))], "going")
    return store


@pytest.fixture
def page(trained, page_of, monkeypatch):
    """The page on an experiment of that store, with a link's parameters."""
    questions, known = _questions(trained), catalogue()
    monkeypatch.setattr(engine, "store", lambda: trained)
    for name in ("ask", "answer"):
        monkeypatch.setattr(engine, name, lambda question, **arguments: questions[question](**arguments))

    def open_on(experiment, **parameters):
        made = page_of("compare")
        made.query_params["experiment"] = experiment
        for parameter, value in parameters.items():
            made.query_params[parameter] = value
        made = made.run()
        assert not made.exception and not made.error, made.exception
        return made

    monkeypatch.setattr(engine, "catalogue", lambda: known)
    return open_on


@pytest.fixture
def both(trained, page):
    """(the runs of two methods, their groups)."""
    runs = results.students(trained.runs("both"))
    return runs, comparison.shown(runs, list(comparison.named(runs)))


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_is_drawn(page, view):
    made = page("both", view=view)
    assert made.button_group("view").value == view and not made.info
    assert made.caption, "a sentence says what it shows"


@pytest.mark.parametrize("experiment", ["alone", "ensemble"])
@pytest.mark.parametrize("view", VIEWS)
def test_no_view_fails_whatever_there_is(page, experiment, view):
    page(experiment, view=view)


@pytest.mark.parametrize(("cost", "value"), [("Operations", "operations"), ("Time, 64 at once", "batch")])
def test_costs_are_drawn(page, cost, value):
    made = page("both", view="Costs", cost=cost)
    assert made.button_group("cost").value == value
    assert any("on one thread" in caption.value for caption in made.caption) == (value == "batch")


def test_nonsense_in_a_link_opens_on_something_sensible(page):
    made = page("both", view="nothing", groups="nobody", **{"with": "nowhere"})
    assert made.button_group("view").value == "Results" and len(made.multiselect("groups").value) == 2


def test_runs_that_go_are_counted_and_left_out(page):
    made = page("going")
    assert "1 of 7 runs have not finished" in made.caption[0].value
    assert made.dataframe[0].value["seeds"].tolist() == [3, 3]


def test_experiments_are_compared_together(page):
    made = page("both", **{"with": "more images"})
    names = made.multiselect("groups").value
    assert names == [f"{method} · per class {count}" for count in (2, 5) for method in ("Labels only", "Full Jacobian")]
    made.multiselect("groups").set_value([]).run()
    assert "Choose at least one group" in made.info[0].value


def test_other_images_cannot_be_asked_of_both(page, trained, monkeypatch):
    shapes = trained.runs("more images")[0]
    config = json.loads(shapes["config"])
    config["data"]["name"] = "shapes"
    real = trained.runs
    monkeypatch.setattr(trained, "runs", lambda *given, **named: [
        {**run, "config": json.dumps(config)} if run["id"] == shapes["id"] else run for run in real(*given, **named)])
    for view in ("Noise", "Calibration", "Classes"):
        assert "are tested on other images" in page("more images", view=view).info[0].value


def test_the_table_has_the_means_and_the_tests(page, trained, both):
    runs, groups = both
    made = page("both")
    table = made.dataframe[0].value
    last = {group.name: [trained.summary([run["id"]])[run["id"]]["last"] for run in group.runs] for group in groups}
    for row, (name, values) in zip(table.to_dict("records"), last.items()):
        assert row["name"] == name and row["accuracy"] == pytest.approx(100 * statistics.mean(values))
        assert row["accuracy_error"] == pytest.approx(100 * statistics.stdev(values) / math.sqrt(3))
    ours, alone = last["Full Jacobian"], last["Labels only"]
    assert table["gain"][1] == pytest.approx(100 * statistics.mean(a - b for a, b in zip(ours, alone)))
    tied = len({*ours, *alone}) < 6
    assert table["p"][1] == table["holm"][1] == pytest.approx(stats.mannwhitneyu(
        ours, alone, method=stats.PermutationMethod(n_resamples=np.inf) if tied else "exact").pvalue)
    assert "the smallest p that there can be is 0.1" in made.caption[-1].value


def test_curves_are_means_over_steps_and_seconds(trained, both):
    runs, groups = both
    for metric in ("accuracy", "term.cross_entropy"):
        for seconds in (False, True):
            for group, line in zip(groups, comparison.curves(groups, metric, seconds)):
                found = trained.curves([run["id"] for run in group.runs], metric).values()
                spent = trained.curves([run["id"] for run in group.runs], "seconds").values()
                for i, step in enumerate(next(iter(found))[0]):
                    values = [values[steps.index(step)] for steps, values in found]
                    times = [values[steps.index(step)] for steps, values in spent]
                    assert line["mean"][i] == pytest.approx(statistics.mean(values))
                    assert line["error"][i] == pytest.approx(statistics.stdev(values) / math.sqrt(3))
                    assert line["x"][i] == pytest.approx(statistics.mean(times) if seconds else step)


def test_knowledge_is_the_logarithm_of_the_distances_ratio(trained, both):
    runs, groups = both
    found = comparison.knowledge(groups, runs)
    assert [group.name for group in found["groups"]] == ["Full Jacobian"]
    kinds = {comparison.kind_of(kind) for kind in found["kinds"]}
    assert kinds >= {"full_jacobian", "soft_targets", "hint"}
    assert found["left_out"] == ["second_head", "vector_information"] and not kinds & {*found["left_out"]}
    alone, taught = groups
    for column, kind in enumerate(found["kinds"]):
        ratios = [math.log2(trained.curves([ours["id"]], kind)[ours["id"]][1][-1]
                            / trained.curves([theirs["id"]], kind)[theirs["id"]][1][-1])
                  for ours, theirs in zip(taught.runs, alone.runs)]
        assert found["values"][0, column] == pytest.approx(statistics.mean(ratios))
        assert found["seeds"][0, column] == 3
    assert comparison.trained_on(taught.runs[0]) == {"cross_entropy", "full_jacobian"}


def test_what_is_no_distance_is_left_out_of_the_knowledge_and_said(page):
    assert ("Left out: Second head, Information of outputs. A student that equals its teacher does not bring them to "
            "zero" in page("both", view="Knowledge").caption[-1].value)


def test_without_labels_alone_there_is_no_knowledge_to_compare(page):
    assert "it takes a group that has a teacher" in page("alone", view="Knowledge").info[0].value
    assert "There is no test" in page("alone").caption[-1].value


def test_calibration_errors_are_those_of_the_predictions(page, trained, both):
    runs, groups = both
    table = page("both", view="Calibration").dataframe[0].value
    errors = []
    for run in groups[1].runs:
        entry, = inspect.predictions(trained, [(run["id"], None)], run["id"])
        error = 0.0
        for low in range(10):
            inside = (entry["confidence"] > low / 10) & (entry["confidence"] <= (low + 1) / 10)
            if inside.any():
                right = (entry["predicted"] == entry["labels"])[inside].mean()
                error += inside.mean() * abs(right - entry["confidence"][inside].mean())
        errors.append(100 * error)
    row = table[table["name"] == "Full Jacobian"].iloc[0]
    assert row["error"] == pytest.approx(statistics.mean(errors), rel=1e-4)
    assert row["spread"] == pytest.approx(statistics.stdev(errors) / math.sqrt(3), rel=1e-4)
    assert table["name"][0] == "Teacher" and table["seeds"].tolist() == [1, 3, 3]


def test_noise_is_asked_about_one_strength_and_network_at_a_time(page, trained, both, monkeypatch):
    """Other people's questions come between; the answer is that of one question."""
    asked, answer = [], engine.ask

    def watched(question, **arguments):
        asked.append((question, len(arguments["networks"]), arguments.get("stds")))
        return answer(question, **arguments)

    monkeypatch.setattr(engine, "ask", watched)
    monkeypatch.setattr(comparison_answers, "chart", lambda figure, *_: drawn.append(figure))
    drawn: list = []
    comparison_answers.noise(both[1], both[0])
    assert asked == [("robustness", 1, [std]) for _ in range(7) for std in comparison_answers.STDS]
    stds = list(comparison_answers.STDS)
    entries = inspect.robustness(trained, [(run["id"], None) for run in both[1][1].runs], both[0][0]["id"], stds)
    line = next(trace for trace in drawn[0].data if trace.name == both[1][1].name and trace.mode)
    assert list(line.x) == stds and list(line.y) == pytest.approx(np.mean([one["accuracy"] for one in entries], 0))


def test_what_the_images_are_is_said(page, monkeypatch):
    assert "Over the 500 test images." in page("both", view="Classes").caption[0].value
    monkeypatch.setattr(comparison_answers, "IMAGES", 60)
    assert "Over 60 test images, a fixed random choice." in page("both", view="Classes").caption[0].value


def test_only_what_differs_is_listed(page):
    table = page("more images", view="Settings").dataframe[0].value.set_index("setting")
    assert table.loc["weight of full jacobian"].tolist()[1] and set(table.index) == {"weight of full jacobian"}
    table = page("both", view="Settings", **{"with": "more images"}).dataframe[0].value.set_index("setting")
    assert table.loc["per class"].tolist() == ["2", "2", "5", "5"]
    assert "nothing differs" in page("alone", view="Settings").info[0].value


def test_what_a_method_has_none_of_is_no_difference():
    labels, jacobian = (json.dumps(planned(method=method)[0]["config"]) for method in ("labels_only", "full_jacobian"))
    assert grid.unlike([labels, labels]) == [{}, {}]
    assert [set(one) for one in grid.unlike([labels, jacobian])] == [set(), {"method.full_jacobian"}]


def test_none_of_what_others_have_some_of_is_told():
    def config(kind, **settings):
        stages = [{"objective": {kind: {"weight": 1, "term": {"kind": kind, **settings}}}}]
        return json.dumps(planned(method={"name": kind, "stages": stages})[0]["config"])

    all_classes, four = (config("full_jacobian", projections=projections) for projections in (0, 4))
    nothing, one = (config("targeted_double_backpropagation", inside=inside) for inside in (0, 1))
    projections, inside = "method.full_jacobian.projections", "method.targeted_double_backpropagation.inside"
    assert grid.unlike([all_classes, four]) == [{projections: 0}, {projections: 4}]
    assert grid.unlike([nothing, one]) == [{inside: 0}, {inside: 1}]
    told = grid.unlike([all_classes, four, nothing])
    assert [each.get(projections, "not there") for each in told] == [0, 4, "not there"]
    assert not any(inside in each for each in told), "none of it, and not to have it, are alike"


def test_names_are_as_short_as_they_tell_groups_apart(trained, page):
    wider = planned(network={"name": "fc_student", "width": 0.07}, data={**STUDENT["data"], "per_class": 3})[0]
    runs = results.students(trained.runs("both"))
    other = {**runs[0], "id": 10_000, "config": json.dumps(wider["config"])}
    assert set(comparison.named([*runs, other])) == {
        "Labels only · per class 2", "Full Jacobian · per class 2", "Labels only · per class 3"}


def test_groups_that_differ_in_the_costs_settings_alone_are_joined(trained, page):
    runs = results.students([*trained.runs("both"), *trained.runs("more images")])
    groups = comparison.shown(runs, list(comparison.named(runs)))
    joined = comparison.families(groups, runs, "data.")
    assert {name: len(members) for name, members in joined.items()} == {"Labels only": 2, "Full Jacobian": 2}
    assert len(comparison.families(groups, runs, "network.")) == 4
