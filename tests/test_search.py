"""A search for a weight: on held-out images, whoever goes on with it, and where Optuna leads it."""

import json
import math
import os
import signal
from contextlib import suppress

import pytest

from kdcore import search
from kdcore.__main__ import main
from kdcore.config import parse
from kdcore.errors import UserError
from kdcore.search import Search
from kdcore.store import Store
from tests.test_worker import RUN, TEACHER, end, started, wait_for

WANTED = {"run": {**RUN, "teacher": TEACHER, "data": {"name": "digits", "per_class": 10, "validation": 0.5}},
          "method": "full_jacobian", "path": "method.full_jacobian", "low": 0.01, "high": 100, "trials": 5,
          "seeds": [1, 2], "name": "my search"}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "s")


def scored(store, score):
    """End the runs that wait, students with a score by their weight; fail those without one."""
    while row := store.queue.claim(9):
        value = parse(Search, WANTED).value(json.loads(row["config"]))
        found = score(value) if value else 0.5
        if found is not None:
            store.append(row["id"], row["claim"], 30, {search.SCORE: found, "accuracy": 1.0 - found})
        store.finish(row["id"], row["claim"], "done" if found is not None else "failed")


def test_a_grid_is_tried_value_by_value(store):
    store.submit_all([parse(Search, WANTED).run.planned()], "another kind of experiment")
    with store.transaction() as db:
        db.execute("UPDATE experiments SET content = ''")
    scored(store, lambda value: value)
    name = search.start(store, parse(Search, WANTED))
    assert name == "my search" and list(search.outcomes(store, name)) == [0.01, 0.1]
    scored(store, lambda value: value / 200)
    assert search.outcomes(store, name) == {0.01: 0.00005, 0.1: 0.0005}
    assert search.advance(store, name, 2) == 2 and search.advance(store, name, 2) == 0, "two at a time"
    scored(store, lambda value: None if value == 1 else value / 200)
    assert math.isnan(search.outcomes(store, name)[1]), "a weight that breaks every run"
    assert store.searches() == {name: 11} and search.advance(store, name, 2) == 1
    assert store.searches() == {}, "a run waits"
    scored(store, lambda value: value / 200)
    assert list(search.outcomes(store, name)) == [0.01, 0.1, 1, 10, 100]
    assert search.advance(store, name, 2) == 0 and store.searches() == {}
    assert store.experiment(name)["content"]["finished"]
    assert {row["title"] for row in store.runs(name)} == {"Labels only", "Full Jacobian"}


@pytest.mark.parametrize("slots", [1, 2])
def test_optuna_comes_closer(store, slots):
    """And tries as many values as were asked for, though three digits of one may have been tried before."""
    pytest.importorskip("optuna")
    wanted = parse(Search, {**WANTED, "how": "optuna", "trials": 24, "seeds": [1]})
    name = search.start(store, wanted, slots=slots)
    scored(store, lambda value: math.exp(-(math.log10(value) - 1) ** 2))
    while search.advance(store, name, slots):
        scored(store, lambda value: math.exp(-(math.log10(value) - 1) ** 2))
    tried = search.outcomes(store, name)
    assert len(tried) == 24 and all(0.01 <= value <= 100 for value in tried)
    close = [3 < value < 30 for value in tried]
    assert sum(close[12:]) > sum(close[:6]) * 2 and 5 < max(tried, key=tried.get) < 20


def test_a_range_with_few_values_ends_when_all_are_tried(store):
    pytest.importorskip("optuna")
    wanted = parse(Search, {**WANTED, "how": "optuna", "trials": 24, "seeds": [1], "low": 1.0, "high": 1.02})
    name = search.start(store, wanted, slots=1)
    scored(store, lambda value: value)
    for _ in range(10):
        if not search.advance(store, name, 1):
            break
        scored(store, lambda value: value)
    assert list(search.outcomes(store, name)) and set(search.outcomes(store, name)) <= {1.0, 1.01, 1.02}
    assert store.experiment(name)["content"]["finished"]


def test_a_search_is_not_over_because_there_is_no_place_for_it(store):
    name = search.start(store, parse(Search, WANTED), slots=1)
    scored(store, lambda value: value)
    assert search.advance(store, name, 0) == 0 and not store.experiment(name)["content"].get("finished")
    assert search.advance(store, name, 1) == 1


@pytest.mark.parametrize("how", ["grid", "optuna"])
def test_no_value_is_rounded_out_of_the_range(store, how):
    pytest.importorskip("optuna")
    wanted = parse(Search, {**WANTED, "how": how, "low": 0.0123456, "high": 0.0123956, "trials": 5})
    tried = {}
    while values := wanted.next(tried, 1):
        tried |= dict.fromkeys(values, 0.5)
    assert tried and all(wanted.low <= value <= wanted.high for value in tried)


def test_a_value_that_was_trained_under_another_title_is_one_of_the_search(store):
    wanted = parse(Search, {**WANTED, "seeds": [1]})
    first = wanted.runs(wanted.next({}, 1)[0])[0]
    store.submit(first.model_copy(update={"method": first.method.model_copy(update={"title": "Another"})}).planned())
    name = search.start(store, wanted, slots=1)
    scored(store, lambda value: value)
    assert list(search.outcomes(store, name).values()) == pytest.approx([wanted.low])


def test_a_search_that_is_stopped_stays_so_until_it_is_continued(store):
    name = search.start(store, parse(Search, WANTED), slots=1)
    runs = [row["id"] for row in store.runs(name)]
    store.queue.stop(runs)
    assert store.searches() == {}
    store.queue.restart(runs)
    scored(store, lambda value: value)
    assert list(store.searches()) == [name]


def test_a_search_that_was_deleted_meanwhile_stays_so(store, monkeypatch):
    name = search.start(store, parse(Search, WANTED), slots=1)
    scored(store, lambda value: value)
    real = search.outcomes
    monkeypatch.setattr(search, "outcomes", lambda *asked: (real(*asked), store.bin.delete_experiment(name))[0])
    with pytest.raises(UserError, match="There is no experiment"):
        search.advance(store, name, 1)
    assert store.experiments() == []


def test_it_goes_on_after_the_worker_was_killed(store, capsys, tmp_path):
    """With real runs and a real worker, from the command line."""
    wanted = {**WANTED, "run": {**WANTED["run"], "steps": 20, "evaluations": 1}, "trials": 3, "seeds": [1]}
    (tmp_path / "search.json").write_text(json.dumps(wanted))
    name = search.start(store, parse(Search, wanted), slots=1)
    process = started(store)
    wait_for(lambda: any(row["state"] == "done" for row in store.runs()))
    end(process)
    assert main(["search", str(tmp_path / "search.json"), "--store", str(store.folder)]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    tried = search.outcomes(store, name)
    assert list(tried) == [0.01, 1, 100] and json.loads(last) == {"best": max(tried, key=tried.get), "experiment": name}
    assert len(lines) == 3
    wait_for(lambda: all(row["state"] == "done" for row in store.runs()))  # labels alone may have been killed too
    assert len(store.runs(name)) == 1 + 1 + 3
    for now in store.queue.workers():
        with suppress(ProcessLookupError):  # the one that was killed
            os.kill(now["pid"], signal.SIGTERM)


@pytest.mark.parametrize("change, sentence", [
    ({"run": {**WANTED["run"], "data": {"name": "digits"}}}, "chooses by images that are held out, and none are"),
    ({"low": 5, "high": 5}, "The smallest value, 5, must be below the largest, 5"),
    ({"path": "method.hint"}, "Full Jacobian has no 'method.hint'"), ({"path": "steps"}, "has no 'steps'"),
    ({"low": 0}, "low must be more than 0, and not 0"), ({"trials": 1}, "trials must be at least 2, and not 1")])
def test_a_search_that_is_not_possible_is_a_sentence(change, sentence):
    with pytest.raises(UserError, match=sentence):
        parse(Search, {**WANTED, **change})


def test_another_experiment_of_that_name_is_left_alone(store, tmp_path, capsys):
    search.start(store, parse(Search, {**WANTED, "trials": 9}))
    (tmp_path / "search.json").write_text(json.dumps(WANTED))
    assert main(["search", str(tmp_path / "search.json"), "--store", str(store.folder)]) == 2
    assert "There is another experiment 'my search' in this store" in capsys.readouterr().err
