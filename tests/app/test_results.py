"""What runs came to: one colour a method, and gains over as many networks under the same budget."""

import json
from types import SimpleNamespace

import pytest

from app import engine, figures, results
from kdcore.catalogue import catalogue
from kdcore.config import parse, read
from kdcore.experiment import Experiment
from kdcore.store import Store

CATALOGUE = catalogue()


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setattr(engine, "catalogue", lambda: CATALOGUE)


def runs(*methods, seed=1, **changes):
    """Done runs of these methods, by name."""
    return [{"id": number, "method": name, "title": CATALOGUE["methods"].get(name, {"title": name})["title"],
             "seed": seed, "role": "student", "state": "done", "name": name, "step": 5, "steps": 5,
             "config": json.dumps({"method": {"members": CATALOGUE["methods"].get(name, {"members": 1})["members"],
                                              "title": name, "stages": []}}),
             **changes}
            for number, name in enumerate(methods, start=1)]


def test_two_methods_never_have_one_colour():
    """The catalogue has more methods than there are colours."""
    names = ["labels_only", "second_head", "attention", "my own", "another of mine", "hint", "soft_targets"]
    found = results._colours(runs(*names))
    assert len(set(found.values())) == len(names)
    assert found["Labels only"] == figures.BASELINE_COLOUR


def test_a_method_alone_has_the_same_colour_in_every_experiment():
    alone, beside = (results._colours(runs(*names)) for names in (("labels_only", "full_jacobian"),
                                                                  ("full_jacobian", "labels_only", "my own")))
    assert alone["Full Jacobian"] == beside["Full Jacobian"]


def test_there_are_colours_for_any_number_of_methods():
    assert len(results._colours(runs(*CATALOGUE["methods"]))) == len(CATALOGUE["methods"])


def test_an_ensemble_is_measured_against_one_of_as_many_networks(monkeypatch):
    last = {1: 0.5, 2: 0.6, 3: 0.8, 4: 0.85}
    monkeypatch.setattr(engine, "store", lambda: SimpleNamespace(
        summary=lambda ids: {run: {"best": last[run], "last": last[run], "seconds": 1.0} for run in ids}))
    done = runs("labels_only", "full_jacobian", "labels_ensemble", "flow_ensemble")
    assert [row["gain"] for row in results.table(done)] == [None, pytest.approx(10), None, pytest.approx(5)]
    groups = results.by_method(done)
    assert [group["gain"] and group["gain"][0] for group in groups.values()] == [
        None, pytest.approx(0.1), None, pytest.approx(0.05)]
    assert groups["Ensemble: labels only"]["accuracy"][0] == 0.8
    larger = {**done[3], "config": json.dumps({"method": {"members": 5, "title": "five", "stages": []}})}
    assert results.table([*done[:3], larger])[3]["gain"] is None


def test_of_two_runs_of_a_seed_one_counts(monkeypatch):
    monkeypatch.setattr(engine, "store", lambda: SimpleNamespace(
        summary=lambda ids: {run: {"best": 0.5, "last": 0.5, "seconds": 1.0} for run in ids}))
    assert results.by_method(runs("labels_only", "labels_only"))["Labels only"]["accuracy"][2] == 1


@pytest.mark.parametrize("gain, clear", [
    ((0.03, 0.01, 2), False), ((0.13, 0.01, 2), True), ((0.04, 0.01, 3), False), ((0.05, 0.01, 3), True),
    ((0.023, 0.01, 30), True), ((0.022, 0.01, 30), False), ((0.5, None, 1), False)])
def test_a_verdict_needs_more_the_fewer_seeds_there_are(gain, clear):
    groups = {"one": {"gain": gain}, "baseline": {"gain": None}}
    assert results.winner(groups) == ("one" if clear else None)
    worse = {"one": {"gain": (-gain[0], *gain[1:])}, "baseline": {"gain": None}}
    assert results.losers(worse) == (["one"] if clear else [])


def test_terms_are_called_by_their_titles_and_told_apart_by_their_keys(tmp_path, monkeypatch):
    store = Store(tmp_path)
    monkeypatch.setattr(engine, "store", lambda: store)
    hint = {"weight": 1, "term": {"kind": "hint"}}
    config = {"data": {"name": "digits"}, "network": {"name": "fc_student"}, "steps": 4, "teacher": {
        "data": {"name": "digits"}, "network": {"name": "fc_teacher"}}}
    for objective in ({"flow": {"weight": 1, "term": {"kind": "soft_targets"}}}, {"one": hint, "other_2": hint}):
        store.submit(read({**config, "method": {"stages": [{"objective": objective}]}}).planned())
    ids = [run["id"] for run in store.runs() if run["role"] == "student"]
    claimed = store.queue.claim(9)
    for name in ("term.flow", "term.one", "term.other_2"):
        store.append(claimed["id"], claimed["claim"], 1, {name: 0.5})
    words = results.metrics([*ids, claimed["id"]])
    assert [words[f"term.{key}"] for key in ("flow", "one", "other_2")] == [
        "Term: Soft targets", "Term: FitNet hint (one)", "Term: FitNet hint (other 2)"]


def grid_runs(store, monkeypatch):
    """Done runs of a grid of two sizes, two methods and two seeds; accuracies that say which is which."""
    monkeypatch.setattr(engine, "store", lambda: store)
    made = parse(Experiment, {"run": {
        "data": {"name": "digits"}, "network": {"name": "fc_student"}, "steps": 4, "teacher": {
            "data": {"name": "digits"}, "network": {"name": "fc_teacher"}}},
        "methods": ["full_jacobian"], "seeds": [1, 2], "vary": {"data.per_class": [1, 5]}})
    store.submit_all(made.planned()["runs"], "grid")
    while row := store.queue.claim(9):
        config = json.loads(row["config"])
        if row["role"] == "student":
            accuracy = 0.1 * config["data"]["per_class"] + 0.3 * (row["title"] == "Full Jacobian") + 0.01 * row["seed"]
            store.append(row["id"], row["claim"], 4, {"accuracy": accuracy, "seconds": 1.0})
        store.finish(row["id"], row["claim"], "done")
    return results.students(store.runs("grid"))


def test_the_runs_of_a_grid_are_told_apart_by_their_settings(tmp_path, monkeypatch):
    """And each is compared with labels alone under its own."""
    runs = grid_runs(Store(tmp_path), monkeypatch)
    assert set(results.groups(runs).values()) == {
        f"{method} · per class {count}" for method in ("Labels only", "Full Jacobian") for count in (1, 5)}
    assert {row["gain"] and round(row["gain"]) for row in results.table(runs)} == {None, 30}
    rows = results.summary(runs)
    assert [(row["method"], row["per class"], round(row["accuracy"], 1), row["seeds"]) for row in rows] == [
        ("Labels only", 1, 11.5, 2), ("Full Jacobian", 1, 41.5, 2), ("Labels only", 5, 51.5, 2),
        ("Full Jacobian", 5, 81.5, 2)]
    assert len({line["colour"] for line in results.lines(runs, "accuracy")}) == 4
    some = [run for run, row in zip(runs, results.conditions(runs).values()) if row["data.per_class"] == 5]
    assert set(results.groups(some).values()) == {"Labels only", "Full Jacobian"}, "alike, they need no more words"
