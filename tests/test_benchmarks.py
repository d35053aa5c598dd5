"""What the benchmarks write: means with their spread, gains on the same seeds, none where it is no comparison."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from benchmarks import (
    agreement,
    causes,
    directions,
    equal,
    few_labels,
    findings,
    memory,
    methods,
    runs,
    stream,
    weights,
)
from benchmarks.runs import RESULTS, spread
from kdcore.data import batches, selection
from kdcore.errors import UserError
from kdcore.experiment import demo
from kdcore.methods import METHODS
from kdcore.papers import plan
from kdcore.store import Store


def test_a_mean_has_its_standard_error_and_one_value_has_none():
    assert spread([0.5], 3) == "0.500 (1)"
    assert spread([1.0, 2.0, 3.0], 2) == "2.00 ± 0.58 (3)"


def test_the_table_compares_the_same_seeds_and_no_ensemble():
    rows = [{"method": name, "seed": seed, "accuracy": accuracy, "seconds": 2.0} for name, seed, accuracy in (
        ("labels_only", 1, 0.5), ("labels_only", 2, 0.7), ("hint", 2, 0.8), ("labels_ensemble", 1, 0.9))]
    head, *body = [line.split(" | ") for line in methods.markdown("mnist", rows, 0.95).splitlines() if "|" in line][1:]
    assert [line[2:4] for line in body] == [["0.900 (1)", ""], ["0.800 (1)", "10.0 (1)"], ["0.600 ± 0.100 (2)", ""]]


def test_one_epoch_and_one(jpeg_zip):
    for pair, first in (("cifar10", 1 / 6), ("cifar10-epoch", 1 / 2)):
        config = methods.runs(pair, ["boundary_then_soft_targets"])[1]
        assert [stage.share for stage in config.method.stages] == pytest.approx([first, 1 - first])
        assert config.hash() in trained_by(pair)


def hashes(configs):
    return {config.hash() for config in configs}


@cache
def trained_by(pair, names=None):
    return hashes(methods.runs(pair, names))


KNOWN = {"methods": lambda pair: trained_by(pair, tuple(METHODS)),
         "weights": lambda pair: hashes(weights.runs(pair).values()),
         "agreement": lambda _: hashes(agreement.runs().values())}


@pytest.mark.parametrize("name", sorted(path.stem for path in RESULTS.glob("*.json")
                                        if path.stem.partition("-")[0] in KNOWN))
def test_what_is_written_was_measured_with_what_the_project_trains_today(name, jpeg_zip, real_data):
    program, _, pair = name.partition("-")
    written = set(json.loads((RESULTS / f"{name}.json").read_text())["runs"])
    assert written and written <= KNOWN[program](pair)


@pytest.mark.parametrize("pair, names", [("cifar10", None), ("mnist", tuple(METHODS))])
def test_every_method_that_suits_has_a_line(pair, names, jpeg_zip, real_data):
    """As README says."""
    assert trained_by(pair, names) <= set(json.loads((RESULTS / f"methods-{pair}.json").read_text())["runs"])


def test_every_method_has_a_line_in_a_table():
    """But for the one whose weights would have to be downloaded."""
    rows = [row for path in RESULTS.glob("methods-*.json") for row in json.loads(path.read_text())["runs"].values()]
    assert set(METHODS) - {row["method"] for row in rows} == {"finetuned"}


def test_a_run_that_failed_is_counted():
    rows = [{"method": "labels_only", "seed": 1, "accuracy": 0.5, "seconds": 2.0},
            {"method": "labels_only", "seed": 2, "failed": "The loss stopped being finite before step 3."}]
    assert "| 0.500 (1), 1 more failed |" in methods.markdown("mnist", rows, 0.95)


def test_the_weights_table_marks_the_best():
    text = weights.markdown("mnist", [
        {"method": "hint", "term": "hint", "weight": weight, **({"validation": value} if value else {"failed": "why"})}
        for weight, value in ((0.1, 0.5), (0.1, 0.6), (1, 0.7), (1, 0.8), (10, 0.1), (10, None), (100, None))])
    assert [line.split(" | ")[3] for line in text.splitlines()[4:]] == [
        "0.550 ± 0.050 (2) |", "0.750 ± 0.050 (2) **best** |", "0.100 (1), 1 failed |", "1 failed |"]


def test_a_weight_and_a_setting_are_changed_where_they_stand():
    def objective(*entry):
        return weights.run("mnist", *entry, 1).method.stages[0].objective

    assert objective("hint", "hint", 3)["hint"].weight == 3
    assert objective("cross_entropy_jacobian", "cross_entropy_jacobian.noise", 0.003)[
        "cross_entropy_jacobian"].term.noise == 0.003


def test_the_agreement_table_has_a_line_for_each_moment():
    steps = {"0": dict.fromkeys(agreement.GROUPS, 0.5) | {"accuracy": 0.1},
             "10": dict.fromkeys(agreement.GROUPS, 0.9) | {"accuracy": 0.7}}
    rows = [{"method": "values_l2_then_soft_targets", "weight": 0.003, "seed": seed, "steps": steps} for seed in (1, 2)]
    lines = agreement.markdown(rows).splitlines()
    assert lines[-1].endswith("| 0.003 | 10 | 90.0 ± 0.0 (2) | 90.0 ± 0.0 (2) | 90.0 ± 0.0 (2) | 70.0 ± 0.0 (2) |")
    assert "| 0.003 | 0 | 50.0" in lines[-2]


def test_the_causes_have_a_table_each():
    groups = dict.fromkeys(agreement.GROUPS, 0.125)
    text = causes.markdown({
        "starts": [{"pair": "mnist", "method": "cost_gradient", "shares": [0.5, 1.5]}],
        "drifts": [{"pair": "mnist", "mean": -45.2, "deviation": 12.1}],
        "norms": [{"weight": 1, "before": 6.02, "after": 179.3}],
        "silent": [{"method": "values_l2_then_soft_targets", "weight": 0.003, **groups}],
        "second_stages": [{"pair": "cifar10", "method": "flow_ensemble", "steps": 150, "alone": [0.3, 0.4],
                           "whole": [0.5]}],
        "shared": [{"pair": "cifar10-epoch", "method": "hint_then_soft_targets", "share": 1 / 6,
                    "accuracies": [0.6, 0.7]}],
        "probes": [{"pair": "shapes", **groups}],
        "noise": [{"method": "dropout", "accuracies": [[0.7, 0.6, 0.5, 0.4, 0.3], [0.7, 0.6, 0.5, 0.4, 0.2]]}]})
    assert text.count("## ") == 8
    for cells in ("| mnist | Cost gradient | 1.000 ± 0.500 (2) |", "| mnist | -45 | 12 |", "| 1 | 6.0 | 179.3 |",
                  "| 0.003 | 12.5 | 12.5 | 12.5 |", "| 150 | 0.350 ± 0.050 (2) | 0.500 (1) |",
                  "| cifar10-epoch | 25000 | 0.17 | FitNet, then soft targets | 0.650 ± 0.050 (2) |",
                  "| shapes | 0.125 | 0.125 | 0.125 |", "| 0.400 ± 0.000 (2) | 0.250 ± 0.050 (2) |"):
        assert cells in text


@pytest.mark.parametrize("pair, name", [(pair, name) for pair, names in causes.SECOND_STAGES.items() for name in names])
def test_a_second_stage_alone_is_trained_as_in_the_whole(pair, name, jpeg_zip, store_folder, monkeypatch):
    """The same objective, and the learning rate that the whole method has in each of these steps."""
    trained = []
    monkeypatch.setattr(causes, "execute", lambda store, runs, _: trained.extend(runs))
    monkeypatch.setattr(causes, "result", lambda *_: {"last": 0.5})
    found = causes.second_stage(Store(), pair, name)
    whole, alone = causes.run(pair, method=methods.of_pair(name, pair)), trained[0]
    assert len(trained) == len(found["alone"]) == 3 and len(found["whole"]) == 3
    (_, task), (stage,), begins = whole.method.stages, alone.method.stages, whole.ends()[0]
    assert alone.steps == found["steps"] == whole.steps - begins and alone.method.members == whole.method.members
    assert stage.objective == task.objective
    own = task.optimiser is not None or task.restarts
    for step in range(0, alone.steps, 7):
        done = step / alone.steps if own else (begins + step) / whole.steps
        assert stage.optimiser.rate(step / alone.steps) == pytest.approx(
            (task.optimiser or whole.optimiser).rate(done))


def test_the_memory_table_says_what_a_network_has_not():
    cases = {"cross_entropy": {"megabytes": 30.4, "seconds": 0.12}, "attention_jacobian": None}
    assert memory.markdown({"fc_student": cases}).splitlines()[-1] == (
        "| fc_student | 50 of 3×32×32 | 30 (0.1) | – |")
    assert memory.size("resnet50") == memory.LARGE


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux counts the memory")
def test_images_that_are_streamed_and_resident_are_measured_alike(tmp_path, monkeypatch):
    folder = tmp_path / "images"
    folder.mkdir()
    monkeypatch.setenv("KD_CACHE", str(tmp_path / "cache"))
    for name, value in (("SIDE", 8), ("STEPS", 2), ("PICTURES", 20), ("BATCH", 4)):
        monkeypatch.setattr(stream, name, value)
    monkeypatch.setattr(batches, "RESIDENT_BYTES", 100)
    stream.make(folder, 50)
    found = {"streamed": stream.measure(str(folder), "streamed"), "resident": stream.measure(str(folder), "resident")}
    assert found["streamed"]["images"] == found["resident"]["images"] == 40
    assert all(0 < way["input"] < way["step"] for way in found.values())
    assert stream.markdown(found).splitlines()[-2].startswith("| streamed | ")


def test_what_is_faster_is_compared_seed_by_seed(jpeg_zip):
    for name in equal.COMPARED:
        exact, faster = equal.runs(name).values()
        assert [run.seed for run in exact] == [run.seed for run in faster] == list(equal.SEEDS)
        assert {run.teacher.hash() for run in exact} == {run.teacher.hash() for run in faster}
        assert not hashes(exact) & hashes(faster)
    found = equal.compared({"exact": [0.5, 0.6, 0.7], "faster": [0.51, 0.61, 0.71]})
    assert found["p"] == pytest.approx(0.7)
    assert "| 0.6000 ± 0.0577 (3) | 0.6100 ± 0.0577 (3) | 1.00 ± 0.00 (3) | 0.70 |" in equal.markdown(
        {"projection": found})


@pytest.mark.parametrize("file", findings.reports(), ids=lambda file: file.stem)
def test_a_papers_table_was_measured_with_what_it_asks_for_today(file, jpeg_zip, real_data):
    report = json.loads(file.read_text())
    made = plan.outline(report["table"], report["budget"], report["path"])
    assert [one["hashes"] for one in made] == [cell["hashes"] for cell in report["cells"]]
    assert any(cell["mean"] is not None for cell in report["cells"])


def test_what_was_found_again_is_counted_from_the_reports():
    assert (findings.FOLDER / "README.md").read_text() == findings.markdown()


def test_a_report_in_one_line_of_the_findings():
    cell = {"direction": "as published", "clear": True, "significant": None, "mean": 0.9, "values": {"1": 0.9}}
    cells = [cell, {**cell, "direction": "the other way", "values": {"1": 0.9, "2": 0.9}},
             {**cell, "direction": None, "clear": False},
             {**cell, "direction": None, "mean": None, "values": {}, "clear": False}]
    found = {"paper": "Heo et al. 2019", "title": "Table 2", "table": "heo-2", "budget": "quick", "path": None,
             "cells": cells, "orders": [{"tau": 0.5}, {"tau": None}, {"tau": 1.0}]}
    told = findings.line(findings.FOLDER / "heo-2-quick.json", found)
    assert told == ("| [Heo et al. 2019, Table 2](heo-2-quick.md) | quick | cifar10 | 1 to 2 | 3 of 4 | 1 (1) | 1 (1) "
                    "| 0.75 |")
    elsewhere = findings.line(findings.FOLDER / "x.json", {**found, "path": "/data/cifar10-jpeg.zip", "orders": []})
    assert "| quick | cifar10-jpeg.zip | 1 to 2 |" in elsewhere and elsewhere.endswith("| 1 (1) | 1 (1) |  |")


def test_few_labels_are_chosen_by_images_that_are_held_out(real_data, monkeypatch):
    asked = []

    def reached(store, wanted, experiment, known, taken):
        asked.extend((taken.args[1], configs) for configs in wanted.values())
        return {name: [0.9 if config.method.name == "noisy_outputs" else 0.5 for config in configs]
                for name, configs in wanted.items()}

    monkeypatch.setattr(few_labels, "reached", reached)
    found = few_labels.searched(None, 1, {})
    assert set(found) == set(few_labels.TRIED) and next(iter(found)) == "logits under noise, crops"
    assert {name for name, _ in asked} == {"accuracy.validation"}
    for _, configs in asked:
        for config in configs:
            chosen = selection(config)
            assert len(chosen.train) == 10 and len(chosen.validation) == few_labels.HELD_OUT
            assert chosen.labels.bincount(minlength=10).tolist() == [1] * 10
    asked.clear()
    tested = few_labels.compared(None, 1, next(iter(found)), {})
    assert [*tested] == [*few_labels.COMPARED, "labels only, with the best one's crops", "logits under noise, crops"]
    augmented = [configs[0].data.augment for _, configs in asked]
    assert augmented == ["none", "none", "crop", "crop"]
    seeds = {config.seed for _, configs in asked for config in configs}
    assert len(seeds) == 7 and not seeds & set(few_labels.TRIED_ON)
    assert {(len(selection(config).train), config.steps, config.optimiser) for _, configs in asked
            for config in configs} == {(10, 8000, asked[0][1][0].optimiser)}
    text = few_labels.markdown(0.977, {"1": {"held out": found, "test": tested}})
    assert "## One image a class" in text
    assert "| logits under noise, crops | 0.9000 ± 0.0000 (7) | 40.0 ± 0.0 (7) |" in text


def test_a_direction_is_tried_with_one_thing_changed(real_data, monkeypatch):
    trained = []

    def reached(store, wanted, experiment, known, taken):
        trained.extend(run for runs in wanted.values() for run in runs)
        return {words: [run.steps / 100_000 + run.seed / (100 if run.method.name == "cost_gradient" else 50)
                        for run in runs] for words, runs in wanted.items()}

    monkeypatch.setattr(directions, "reached", reached)
    for doubt in directions.DOUBTS:
        planned = {run.hash() for row in doubt.rows for run in doubt.runs(row, {})}
        outline = plan.outline(doubt.table, doubt.budget, doubt.images)
        assert planned <= {hash for one in outline for hash in one["hashes"]}
        for words, change in doubt.changes.items():
            assert {run.hash() for row in doubt.rows for run in doubt.runs(row, change)} - planned, words
    longer, weight = directions.DOUBTS[:2]
    steps = replace(longer, changes={"16 000 steps": {"steps": 16_000}})
    rows = directions.tried(None, steps, {})
    assert rows["convolutional: cost"] == {"as in the table": [0.05, 0.06], "16 000 steps": [0.17, 0.18]}
    assert {run.hash() for run in trained} == {
        run.hash() for row in steps.rows for change in ({}, {"steps": 16_000}) for run in steps.runs(row, change)}
    base, changed = (weight.runs("FC: summed Jacobian", change)[0] for change in ({}, *weight.changes.values()))
    before, after = (run.method.stages[0].objective["summed_jacobian"].weight for run in (base, changed))
    assert (before, after) == (0.1, 0.01) and base.steps == changed.steps
    assert weight.runs("FC: only labels", {}) == weight.runs("FC: only labels", *weight.changes.values())
    text = directions.markdown([(steps, rows)])
    assert "20000, at *standard*" in text
    assert ("| convolutional: cost | 0.9854 | 0.0550 ± 0.0050 (2) [-0.0150 ± 0.0050 (2)] "
            "| 0.1750 ± 0.0050 (2) [-0.0150 ± 0.0050 (2)] |") in text
    assert "| convolutional: only labels | 0.9814 | 0.0700 ± 0.0100 (2) | 0.1900 ± 0.0100 (2) |" in text


def test_of_a_direction_only_what_was_measured_is_written_beside_what_is_asked_for(real_data, tmp_path, monkeypatch):
    known = {run.hash(): 0.5 for doubt in directions.DOUBTS[:2] for row in doubt.rows
             for change in ({}, *[*doubt.changes.values()][:1]) for run in doubt.runs(row, change)}
    written = {}
    monkeypatch.setattr(directions, "kept", lambda name: {"runs": known})
    monkeypatch.setattr(directions, "reached", lambda store, wanted, experiment, known, taken: {
        words: [known.get(run.hash(), 0.7) for run in runs] for words, runs in wanted.items()})
    monkeypatch.setattr(directions, "write", lambda name, content, text: written.update(content))
    monkeypatch.setattr("sys.argv", ["directions", "5000 steps", "--store", str(tmp_path)])
    directions.main()
    assert [[*doubt["changes"]] for doubt in written["doubts"]] == [["16 000 steps"], ["λ = 0.01"], ["5000 steps"]]
    assert written["doubts"][2]["found"]["λ = 1"] == {"as in the table": [0.7] * 2, "5000 steps": [0.7] * 2}


def test_what_is_known_is_not_trained_again(monkeypatch):
    labels, _, jacobian = demo(seeds=1).runs()
    known, asked = {labels.hash(): 0.5}, []
    monkeypatch.setattr(runs, "trained", lambda store, configs, experiment: asked.extend(configs) or [7])
    found = runs.reached(None, {"one": [labels, jacobian], "other": [jacobian]}, "tried", known,
                         lambda ids: [run / 10 for run in ids])
    assert asked == [jacobian] and found == {"one": [0.5, 0.7], "other": [0.7]}
    assert known == {labels.hash(): 0.5, jacobian.hash(): 0.7}


def test_directions_were_trained_as_they_would_be_today(jpeg_zip, real_data, monkeypatch):
    asked = set()
    monkeypatch.setattr(directions, "reached", lambda store, wanted, *_: asked.update(
        run.hash() for runs in wanted.values() for run in runs))
    for doubt in directions.DOUBTS:
        directions.tried(None, doubt, {})
    assert set(json.loads((RESULTS / "papers/directions.json").read_text())["runs"]) <= asked


def test_what_is_measured_has_been_trained_and_other_failures_are_no_matter(tmp_path, monkeypatch):
    store, (labels, _, jacobian) = Store(tmp_path), demo(seeds=1).runs()

    def work(store, idle_seconds):
        while row := store.queue.claim(99):
            state, message = ("failed", "It broke.") if row["title"] == "Full Jacobian" else ("done", "")
            store.finish(row["id"], row["claim"], state, message)

    monkeypatch.setattr(runs, "work", work)
    monkeypatch.setattr(runs.time, "sleep", lambda seconds: None)
    with pytest.raises(UserError, match=r"is not done: It broke\."):
        runs.trained(store, [labels, jacobian], "tried")
    run, = runs.trained(store, [labels], "tried")
    assert store.run(run)["title"] == "Labels only"
