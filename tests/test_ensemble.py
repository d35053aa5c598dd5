"""Ensembles: members that part after the stages they share, and the accuracy of their averaged probabilities."""

import json
import math
import time
from itertools import combinations
from pathlib import Path

import pytest
import torch

from kdcore import data, snapshots, worker
from kdcore import ensemble as measuring
from kdcore.__main__ import main
from kdcore.config import read
from kdcore.ensemble import averaged
from kdcore.errors import UserError
from kdcore.methods import METHODS
from kdcore.store import Store
from kdcore.train import Snapshot, Training, build, train

FC = {"name": "fc_student", "width": 0.02, "initial": "he"}
DIGITS = {"data": {"name": "digits", "per_class": 2}, "network": FC, "batch_size": 7, "device": "cpu",
          "optimiser": {"learning_rate": 3e-3}}
TEACHER = {**DIGITS, "steps": 5, "seed": 8, "evaluations": 1}
LABELS = {"labels": {"weight": 1.0, "term": {"kind": "cross_entropy"}}}
# Draws, dropout and a connector: all that a seed decides.
NOISY = {**LABELS, "noise": {"weight": 0.1, "term": {"kind": "noisy_outputs"}},
         "hint": {"weight": 1.0, "term": {"kind": "hint", "connectors": "always"}}}
SHARING = {"title": "Three", "members": 3, "shared_stages": 1, "stages": [
    {"share": 0.5, "objective": NOISY, "dropout": 0.3}, {"share": 0.5, "objective": LABELS}]}


def ensemble(method=SHARING, **changes):
    return read({**DIGITS, "teacher": TEACHER, "method": method, "steps": 6, "evaluations": 6, "seed": 1, **changes})


def weights(config, teacher=None):
    """{step: the network's weights, flat}."""
    network = teacher or build(config.teacher)
    return {record.step: torch.cat([value.flatten() for value in record.state.values()])
            for record in train(config, teacher=network) if isinstance(record, Snapshot)}


def executed(store, config):
    """The ensemble's run, after everything that it needs."""
    run = store.submit(config.planned())
    while row := store.queue.claim(99):
        worker.execute(store, row)
    return run


def test_members_are_one_until_the_stages_that_they_share_end():
    found = [weights(member) for member in ensemble().members()]
    assert len(found) == 3 and list(found[0]) == [0, 1, 2, 3, 4, 6]
    for one, other in combinations(found, 2):
        assert [torch.equal(one[step], other[step]) for step in one] == [True] * 4 + [False] * 2


def test_members_that_share_nothing_differ_from_the_start():
    one, other = [weights(member) for member in ensemble({**SHARING, "shared_stages": 0}).members()[:2]]
    assert not any(torch.equal(one[step], other[step]) for step in one)


def test_members_see_the_same_images():
    first, *others = [data.of_run(member, "train") for member in ensemble("labels_ensemble").members()]
    assert all(torch.equal(first.pixels, other.pixels) for other in others)


def test_copies_start_as_the_teacher_and_part_from_it():
    members = ensemble("copy_ensemble").members()
    teacher = build(members[0].teacher)
    copied = torch.cat([value.flatten() for value in teacher.state_dict().values()])
    first, second, _ = [weights(member, teacher) for member in members]
    assert torch.equal(first[0], copied) and torch.equal(second[0], copied)
    assert not torch.equal(first[6], copied) and not torch.equal(first[6], second[6])


def test_the_accuracy_is_that_of_the_averaged_probabilities(tmp_path):
    store = Store(tmp_path)
    run = executed(store, ensemble())
    members = [snapshots.network(store, member) for member in store.parts(run)]
    images = data.images(data.DataConfig(name="digits"), "test")
    with torch.no_grad():
        each = [network(images.pixels).softmax(1) for network in members]
    correct = [float((p.argmax(1) == images.labels).double().mean()) for p in (sum(each) / 3, *each)]
    probability = (sum(each) / 3)[range(len(images)), images.labels]
    last = {name: values[-1] for name in store.metric_names([run])
            for _, values in [store.curves([run], name)[run]]}
    assert last["accuracy"] == pytest.approx(correct[0], abs=1e-6)
    assert last["accuracy.members"] == pytest.approx(sum(correct[1:]) / 3, abs=1e-6)
    assert last["loss.test"] == pytest.approx(float(-probability.log().mean()), rel=1e-4)
    assert store.curves([run], "accuracy")[run][0] == store.snapshot_steps(store.parts(run)[0])


def test_an_ensemble_that_is_stopped_keeps_what_was_measured(tmp_path, monkeypatch):
    store, measure = Store(tmp_path), measuring.measure
    monkeypatch.setattr(worker, "HEARTBEAT_SECONDS", 0.01)

    def slowly(store, run):
        for measurement in measure(store, run):
            yield measurement
            store.queue.stop([run])
            time.sleep(0.5)

    monkeypatch.setattr(measuring, "measure", slowly)
    run = store.submit(ensemble("labels_ensemble").planned())
    while row := store.queue.claim(99):
        assert worker.execute(store, row) == ("stopped" if row["id"] == run else "done")
    assert 0 < len(store.curves([run], "accuracy")[run][0]) < 6


def test_held_out_images_and_seconds_are_those_of_all_members(tmp_path):
    store = Store(tmp_path)
    config = ensemble("labels_ensemble", data={"name": "digits", "per_class": 10, "validation": 0.2})
    run = executed(store, config)
    held_out = data.of_run(config, "validation")
    with torch.no_grad():
        each = [snapshots.network(store, member)(held_out.pixels).softmax(1) for member in store.parts(run)]
    correct = float((sum(each).argmax(1) == held_out.labels).float().mean())
    assert store.curves([run], "accuracy.validation")[run][1][-1] == pytest.approx(correct)
    spent = sum(curve[1][-1] for curve in store.curves(store.parts(run), "seconds").values())
    assert store.curves([run], "seconds")[run][1][-1] == pytest.approx(spent)


def flat(store, run):
    """{step: the weights that a run of the store kept, flat}."""
    states = {step: snapshots.load(store.snapshot(run, step))["network"] for step in store.snapshot_steps(run)}
    return {step: torch.cat([value.flatten() for value in state.values()]) for step, state in states.items()}


def test_the_stages_that_members_share_are_trained_once(tmp_path, monkeypatch):
    """And every member keeps and ends with what it would have had alone, to the last bit."""
    store, steps, advance = Store(tmp_path), [], Training.advance
    monkeypatch.setattr(Training, "advance", lambda training: (steps.append(training.step), advance(training)))
    run = executed(store, ensemble())
    assert sorted(steps[TEACHER["steps"]:]) == [0, 1, 2, *sorted(3 * [3, 4, 5])]
    teacher = snapshots.network(store, store.run(run)["teacher"])
    for member, number in zip(ensemble().members(), store.parts(run), strict=True):
        alone, kept = weights(member, teacher), flat(store, number)
        assert list(alone) == list(kept) and all(torch.equal(alone[step], kept[step]) for step in alone)
        assert store.curves([number], "accuracy")[number][0] == list(range(7))
    members = [dict(zip(*curve)) for curve in store.curves(store.parts(run), "seconds").values()]
    spent = dict(zip(*store.curves([run], "seconds")[run]))
    assert spent[6] == pytest.approx(sum(seconds[6] for seconds in members) - 2 * members[0][3])
    assert spent[2] == pytest.approx(members[0][2])


def test_a_member_that_was_killed_as_it_began_ends_as_the_others_do(tmp_path):
    store = Store(tmp_path)
    run = store.submit(ensemble().planned())
    for _ in range(2):  # the teacher, and the first member
        worker.execute(store, store.queue.claim(99))
    claimed = store.queue.claim(99)
    worker._shared_state(store, claimed)
    store.release(claimed["id"], claimed["claim"], "Killed.")
    assert store.queue.claim(99)["id"] == claimed["id"]
    worker.execute(store, store.run(claimed["id"]))
    alone = weights(ensemble().members()[1], snapshots.network(store, store.run(run)["teacher"]))
    assert all(torch.equal(value, alone[step]) for step, value in flat(store, claimed["id"]).items())
    assert store.curves([claimed["id"]], "accuracy")[claimed["id"]][0] == list(range(7))


@pytest.mark.parametrize("harm", [Path.unlink, lambda file: file.write_bytes(b"damaged")], ids=["missing", "damaged"])
def test_a_member_learns_by_itself_what_the_first_did_not_keep(harm, tmp_path):
    """As no member did in earlier versions."""
    store = Store(tmp_path)
    run = store.submit(ensemble().planned())
    for _ in range(2):
        worker.execute(store, store.queue.claim(99))
    first, second, _ = store.parts(run)
    harm(store.snapshot(first, 3))
    worker.execute(store, store.queue.claim(99, second))
    alone = weights(ensemble().members()[1], snapshots.network(store, store.run(run)["teacher"]))
    assert all(torch.equal(value, alone[step]) for step, value in flat(store, second).items())


def test_a_later_member_waits_for_the_first_and_fails_with_it(tmp_path):
    store = Store(tmp_path)
    later = store.submit(ensemble().members()[2].planned())
    first, = store.parts(later)
    assert store.run(first)["role"] == store.run(later)["role"] == "member"
    assert store.submit(ensemble().planned()) and store.parts(later) == [first]
    worker.execute(store, store.queue.claim(99))
    claimed = store.queue.claim(99)
    assert claimed["id"] == first and store.queue.claim(99) is None
    store.finish(first, claimed["claim"], "stopped")
    assert store.queue.claim(99) is None and store.run(later)["state"] == "failed"
    store.queue.restart([later])
    assert store.queue.claim(99)["id"] == first


def test_members_that_are_sure_of_another_class_have_a_finite_loss():
    """Where probabilities underflow, their mean does, but not its logarithm."""
    one, other = torch.tensor([[0.0, -300.0, -300.0]]), torch.tensor([[0.0, -300.0, -200.0]])
    expected = torch.tensor([[0.0, -300.0, -200.0 - math.log(2)]])
    torch.testing.assert_close(averaged([one, other]), expected)


def test_a_run_of_an_ensemble_follows_its_members(tmp_path):
    store = Store(tmp_path)
    run = executed(store, ensemble())
    rows = {row["id"]: row for row in store.runs()}
    assert [rows[number]["role"] for number in sorted(rows)] == ["teacher", *["member"] * 3, "ensemble"]
    assert {row["state"] for row in rows.values()} == {"done"} and rows[run]["step"] == 6
    assert [rows[member]["name"] for member in store.parts(run)] == [
        f"Three · seed 1 · member {number}" for number in (1, 2, 3)]


def test_the_command_line_ends_with_the_ensembles_accuracy(tmp_path, capsys, store_folder):
    (tmp_path / "config.json").write_text(ensemble().model_dump_json())
    assert main(["train", str(tmp_path / "config.json")]) == 0
    result, store = json.loads(capsys.readouterr().out), Store(store_folder)
    assert (result["state"], result["name"]) == ("done", "Three · seed 1")
    assert store.run(result["run"])["role"] == "ensemble"
    assert result["test_accuracy"] == store.curves([result["run"]], "accuracy")[result["run"]][1][-1]
    assert result["metrics"]["accuracy.members"] > 0


def test_an_ensemble_alone_is_trained_by_its_members():
    with pytest.raises(UserError, match="^Three is an ensemble; train its members 0 to 2 by setting member"):
        next(train(ensemble()))


@pytest.mark.parametrize(("method", "member", "sentence"), [
    ("labels_ensemble", 3, "Ensemble: labels only has 3 members; there is no member 3."),
    ("labels_only", 0, "Labels only has 1 member; there is no member 0.")])
def test_a_member_that_is_not_there_is_a_sentence(method, member, sentence):
    with pytest.raises(UserError) as error:
        ensemble(method, member=member)
    assert str(error.value) == sentence


def test_members_must_differ_in_the_last_stage():
    with pytest.raises(UserError, match="must differ in the last stage at least"):
        ensemble({**SHARING, "shared_stages": 2})


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.members > 1])
def test_what_tells_members_apart_is_their_seed(name):
    """Each stage's seed: the same in the stages that they share, and no run's own in the others."""
    method = METHODS[name]
    members = [ensemble().model_copy(update={"method": method, "member": i}) for i in range(method.members)]
    for stage in range(len(method.stages)):
        seeds = {member.seed_of(stage) for member in members}
        assert seeds == {1} if stage < method.shared_stages else len(seeds | {1}) == method.members + 1
