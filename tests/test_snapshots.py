"""Snapshots: whatever a file holds, its reader gets weights or a sentence."""

import pickle
import traceback

import pytest
import torch

from kdcore import snapshots, train
from kdcore.config import read
from kdcore.errors import UserError
from kdcore.store import Store

RUN = read({"data": {"name": "digits"}, "network": {"name": "fc_student", "width": 0.01, "initial": "he"}})
OTHER = read({"data": {"name": "digits"}, "network": {"name": "fc_student", "width": 0.02, "initial": "he"}})


class Harmless:
    """Unpickling it would call a function; reading a snapshot must not."""

    called = False

    def __reduce__(self):
        return _call, ()


def _call():
    Harmless.called = True
    return {}


def whole(state):
    """What a snapshot's file holds."""
    return {"network": state, "connectors": {}}


@pytest.fixture
def kept(tmp_path):
    """A store, a run in it, and the file of its only snapshot."""
    store = Store(tmp_path)
    run = store.submit(RUN.planned())
    snapshots.save(store.snapshot(run, 7), whole(train.build(RUN).state_dict()))
    return store, run, store.snapshot(run, 7)


FOREIGN = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "without its last byte": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "a text": lambda path: path.write_text("These are not weights.\n"),
    "a pickled object": lambda path: path.write_bytes(pickle.dumps(Harmless(), protocol=2)),
    "a saved object": lambda path: torch.save(Harmless(), path),
    "a saved network": lambda path: torch.save(train.build(RUN), path),
    "another network's": lambda path: torch.save(whole(train.build(OTHER).state_dict()), path),
    "a tensor": lambda path: torch.save(torch.zeros(3), path),
    "a list": lambda path: torch.save([torch.zeros(3)], path),
    "numbered tensors": lambda path: torch.save(whole({1: torch.zeros(3)}), path),
    "texts instead of tensors": lambda path: torch.save(
        whole(dict.fromkeys(train.build(RUN).state_dict(), "text")), path),
    "a tensor instead of a network": lambda path: torch.save(whole(torch.zeros(3)), path),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


def test_a_snapshot_of_the_first_version_is_read(kept):
    """It held the network's weights alone."""
    store, run, path = kept
    weights = train.build(RUN).state_dict()
    torch.save(weights, path)
    read = snapshots.network(store, run, 7).state_dict()
    assert all(torch.equal(read[name], value) for name, value in weights.items())


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_snapshot_that_is_none_is_one_sentence(kept, kind):
    store, run, path = kept
    FOREIGN[kind](path)
    with pytest.raises(UserError) as caught:
        snapshots.network(store, run, 7)
    sentence = str(caught.value)
    assert "\n" not in sentence and "Traceback" not in sentence and "Error" not in sentence
    assert sentence.endswith("run it again.") or "has no snapshot yet" in sentence
    assert not Harmless.called


def test_a_run_without_snapshots_is_one_sentence(kept):
    store, run, path = kept
    path.unlink()
    with pytest.raises(UserError, match=rf"Run {run} \(Labels only · seed 0\) has no snapshot yet"):
        snapshots.network(store, run)


def test_a_step_without_snapshot_is_one_sentence(kept):
    store, run, _ = kept
    with pytest.raises(UserError, match=r"snapshot 8\.pt is missing; choose another step"):
        snapshots.network(store, run, 8)


def test_a_network_comes_back_as_it_was(kept):
    store, run, _ = kept
    network, state = snapshots.network(store, run), train.build(RUN).state_dict()
    assert not network.training
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


def test_the_last_snapshot_is_the_default(kept):
    store, run, _ = kept
    state = {name: value + 1 for name, value in train.build(RUN).state_dict().items()}
    snapshots.save(store.snapshot(run, 30), whole(state))
    assert all(torch.equal(value, state[name]) for name, value in snapshots.network(store, run).state_dict().items())


def test_a_full_disk_leaves_the_old_snapshot(kept, monkeypatch):
    store, run, path = kept
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        snapshots.save(path, whole(train.build(RUN).state_dict()))
    assert [file.read_bytes() for file in path.parent.iterdir()] == [before]


def test_a_damaged_snapshots_sentence_hides_no_cause(kept):
    """The sentence is for the user; the log still shows what went wrong."""
    store, run, path = kept
    path.write_text("These are not weights.\n")
    with pytest.raises(UserError) as caught:
        snapshots.network(store, run, 7)
    assert caught.value.__cause__ is not None and traceback.format_exception(caught.value.__cause__)
