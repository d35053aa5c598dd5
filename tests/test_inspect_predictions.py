"""What networks answer, as they are and under noise, and what they cost, each computed a second time."""

import shutil
from importlib import import_module

import pytest
import torch
from torch import nn

from kdcore import data, device, inspect, models, snapshots, worker
from kdcore.config import read
from kdcore.inspect import networks
from kdcore.inspect.costs import operations
from kdcore.inspect.noise import noisy
from kdcore.models import NetworkConfig
from kdcore.places import replace_file
from kdcore.store import Store
from tests.data.made import class_folders, write
from tests.test_inspect_layers import STUDENT, trained  # noqa: F401

COSTS, PREDICTIONS = (import_module(f"kdcore.inspect.{name}") for name in ("costs", "predictions"))  # not the functions


def images():
    return data.images(data.DataConfig(name="digits"), "test")


def chosen(count):
    """A fixed random choice, in the order of the set."""
    return images()[torch.randperm(500, generator=torch.Generator().manual_seed(0))[:count].sort().values]


def test_predictions_are_the_softmaxs_largest(trained):  # noqa: F811
    store, teacher, alone, _ = trained
    asked = [(teacher, None), (alone, 0)]
    for (run, step), entry in zip(asked, inspect.predictions(store, asked, alone, count=300)):
        with torch.no_grad():
            shares = snapshots.network(store, run, step)(chosen(300).pixels).softmax(1)
        assert entry["reason"] == "" and (entry["labels"] == chosen(300).labels.numpy()).all()
        assert (entry["predicted"] == shares.argmax(1).numpy()).all()
        assert entry["confidence"] == pytest.approx(shares.amax(1).numpy(), rel=1e-5)


def test_the_accuracy_of_a_run_is_that_of_its_predictions(trained):  # noqa: F811
    store, _, alone, _ = trained
    entry, = inspect.predictions(store, [(alone, None)], alone)
    assert len(entry["labels"]) == 500, "all that there are"
    assert (entry["predicted"] == entry["labels"]).mean() == pytest.approx(store.summary([alone])[alone]["last"])


def test_noise_is_the_same_for_every_network_and_each_time(trained):  # noqa: F811
    store, teacher, alone, _ = trained
    asked = {"of": alone, "stds": [0.0, 0.2, 0.5], "count": 400}
    found = inspect.robustness(store, [(teacher, None), (alone, None)], **asked)
    assert (inspect.robustness(store, [(teacher, None)], **asked)[0]["accuracy"] == found[0]["accuracy"]).all()
    some = chosen(400)
    noise = torch.cat([noisy(torch.zeros(1, 1, 8, 8), 1.0, seed=0, first=i) for i in range(400)])
    for run, entry in zip((teacher, alone), found):
        for std, accuracy in zip(asked["stds"], entry["accuracy"]):
            with torch.no_grad():
                right = snapshots.network(store, run)(some.pixels + std * noise).argmax(1) == some.labels
            assert accuracy == pytest.approx(float(right.float().mean()))
    assert found[0]["accuracy"][0] != found[0]["accuracy"][2]


def test_noise_does_not_depend_on_how_many_images_are_answered_at_a_time(trained, monkeypatch):  # noqa: F811
    store, teacher, alone, _ = trained
    asked = store, [(teacher, None)], alone, [0.3]
    found, = inspect.robustness(*asked)
    monkeypatch.setattr(PREDICTIONS, "CHUNK", 7)
    PREDICTIONS._answers.cache_clear()
    assert inspect.robustness(*asked)[0]["accuracy"] == found["accuracy"]


def test_of_images_that_lie_class_by_class_all_classes_are_asked_about(tmp_path):
    store = Store(tmp_path / "store")
    own = {"name": "folder", "path": str(write(tmp_path / "set", class_folders(count=200))), "size": 8}
    run = store.submit(read({"data": own, "network": {"name": "fc_student", "width": 0.01}, "steps": 0}).planned())
    worker.execute(store, store.queue.claim(99, run))
    entry, = inspect.predictions(store, [(run, None)], run, count=40)
    assert 10 < entry["labels"].sum() < 30
    shown = inspect.differing(store, (run, None), (run, None), count=40, among=40)
    assert 10 < sum(one["label"] == "dog" for one in shown) < 30


def ensemble(store, seed):
    """An ensemble and its members."""
    run = store.submit(read({**STUDENT, "method": "labels_ensemble", "steps": 1, "seed": seed}).planned())
    while row := store.queue.claim(99):
        worker.execute(store, row)
    return run, store.parts(run)


def confidence(store, run, step, of):
    entry, = inspect.predictions(store, [(run, step)], of)
    assert not entry["reason"], entry["reason"]
    return entry["confidence"]


def test_an_ensemble_answers_as_its_members_are_now(trained):  # noqa: F811
    store, _, alone, _ = trained
    run, members = ensemble(store, seed=5)
    early, late = confidence(store, run, 0, alone), confidence(store, run, None, alone)
    with torch.no_grad():
        mean = torch.stack([snapshots.network(store, one, 0)(images().pixels).softmax(1) for one in members]).mean(0)
    assert early == pytest.approx(mean.amax(1).numpy(), rel=1e-5) and abs(early - late).max() > 1e-4
    for member in members:  # train on
        shutil.copy(store.snapshot(member, 0), store.snapshot(member, 2))
    assert (confidence(store, run, None, alone) == early).all()
    store.bin.delete(run)
    entry, = inspect.predictions(store, [(run, None)], alone)
    assert f"There is no run {run}" in entry["reason"]


def test_a_snapshot_that_is_written_anew_or_gone_is_not_answered_from_memory(trained):  # noqa: F811
    store, _, alone, _ = trained
    _, (member, other, *_) = ensemble(store, seed=50)
    before, path = confidence(store, member, 1, alone), store.snapshot(member, 1)
    replace_file(path, store.snapshot(other, 1).read_bytes())
    assert (confidence(store, member, 1, alone) == confidence(store, other, 1, alone)).all()
    assert abs(confidence(store, member, 1, alone) - before).max() > 1e-4
    path.unlink()
    for entry in (inspect.predictions(store, [(member, 1)], alone)[0],
                  inspect.maps(store, [(member, 1)], "full_jacobian", 0)[0]):
        assert "The snapshot 1.pt is missing" in entry["reason"]


def test_networks_in_memory_take_no_more_than_they_may(trained):  # noqa: F811
    store, teacher, alone, taught = trained
    asked = [networks.snapshot_of(store, run, None) for run in (alone, taught, teacher)]
    size = [sum(values.nbytes for values in snapshots.network(store, run).state_dict().values()) for run in (
        alone, taught, teacher)]
    kept = networks._Kept(size[0] + size[1])
    first, second = (kept(store, one) for one in asked[:2])
    assert kept(store, asked[0]) is first and kept(store, asked[1]) is second
    assert kept(store, asked[0]) is first, "asked for last"
    kept.most = size[0] + size[2]
    kept(store, asked[2])
    assert [snapshot for _, snapshot in kept.networks] == [asked[0], asked[2]]
    kept.most = 0
    assert kept(store, asked[1]) is not second and len(kept.networks) == 1, "the last one in any case"


def test_networks_of_other_classes_are_left_out_with_a_sentence(trained, tmp_path):  # noqa: F811
    store, _, alone, _ = trained
    own = {"name": "folder", "path": str(write(tmp_path / "set", class_folders())), "size": 8}
    other = store.submit(read({"data": own, "network": {"name": "fc_student", "width": 0.01}, "steps": 0}).planned())
    worker.execute(store, store.queue.claim(99, other))
    for question, asked in (("predictions", {}), ("robustness", {"stds": [0.1]})):
        entries = getattr(inspect, question)(store, [(other, None), (alone, None)], alone, **asked)
        assert "tells other classes apart, or looks at other images" in entries[0]["reason"]
        assert entries[1]["reason"] == ""


def test_an_ensemble_answers_and_costs_together(trained):  # noqa: F811
    store, teacher, alone, _ = trained
    run, members = ensemble(store, seed=500)
    with torch.no_grad():
        mean = torch.stack([snapshots.network(store, member)(images().pixels).softmax(1) for member in members]).mean(0)
    entry, = inspect.predictions(store, [(run, None)], alone)
    assert entry["confidence"] == pytest.approx(mean.amax(1).numpy(), rel=1e-5)
    assert (entry["predicted"] == entry["labels"]).mean() == pytest.approx(store.summary([run])[run]["last"])
    together, one = inspect.costs(store, [run, alone])
    for name in ("parameters", "operations"):
        assert together[name] == len(members) * one[name]
    assert together["milliseconds"][64] == pytest.approx(len(members) * one["milliseconds"][64]), "timed once"


def test_costs_are_counted(trained):  # noqa: F811
    store, teacher, alone, _ = trained
    theirs, ours, again = inspect.costs(store, [teacher, alone, alone])
    assert ours == again and ours["reason"] == ""
    assert (ours["labels"], theirs["labels"]) == (20, 1297)
    for run, entry in ((teacher, theirs), (alone, ours)):
        assert entry["parameters"] == sum(p.numel() for p in snapshots.network(store, run).parameters())


def test_times_are_milliseconds_of_an_image_on_one_thread(trained, monkeypatch):  # noqa: F811
    store, _, alone, _ = trained
    threads = []

    def seconds(network, batch):
        threads.append(torch.get_num_threads())
        return 0.002 * len(batch)

    monkeypatch.setattr(COSTS, "_seconds", seconds)
    with device.threads(2):
        entry, = inspect.costs(store, [alone])
        assert torch.get_num_threads() == 2
    assert entry["milliseconds"] == pytest.approx({1: 2.0, 64: 2.0}) and threads == [1, 1]


def test_the_time_of_a_batch_is_the_median(monkeypatch):
    clock = iter([0, 1, 10, 12, 20, 29])
    monkeypatch.setattr(COSTS, "TIMES", 3)
    monkeypatch.setattr(COSTS, "SECONDS", 100)
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    assert COSTS._seconds(nn.Identity(), torch.zeros(1)) == 2


@pytest.mark.parametrize("name", ["fc_student", "conv_student", "wrn_10_1", "vgg4", "residual8"])
def test_operations_are_those_of_each_layer(name):
    """Written out: a weight times as many places as its layer has outputs."""
    shape = (3, 32, 32)
    network, counted = models.build(NetworkConfig(name=name, width=0.25), shape, 10).eval(), []

    def count(module, given, out):
        places = out[0, 0].numel() if isinstance(module, nn.Conv2d) else 1
        counted.append(module.weight.numel() * places)

    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(1, *shape))
    expected = sum(counted)
    counted.clear()
    assert operations(network, shape) == expected > 0


class Attention(nn.Module):
    """Attention and a linear layer, as transformers have them, over the rows of an image."""

    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True)

    def forward(self, images):
        return self.layer(images.flatten(1, 2))


def test_operations_of_attention_are_counted():
    """Of 8 rows of 8 numbers: four projections, the products of rows with rows, and two linear layers."""
    fused = torch.backends.mha.get_fastpath_enabled()
    assert operations(Attention().eval(), (1, 8, 8)) == 8 * (4 * 8 * 8 + 2 * 8 * 8 + 2 * 8 * 16)
    assert torch.backends.mha.get_fastpath_enabled() == fused


def test_a_run_whose_weights_are_gone_says_so(trained):  # noqa: F811
    store, *_ = trained
    waiting = store.submit(read({**STUDENT, "seed": 77}).planned())
    entry, = inspect.costs(store, [waiting])
    assert entry["parameters"] is None and "has no snapshot yet" in entry["reason"]
    assert "has no snapshot yet" in inspect.predictions(store, [(waiting, None)], waiting)[0]["reason"]
