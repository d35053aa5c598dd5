"""What networks answer, as they are and under noise, and what they cost, each computed a second time."""

import pytest
import torch
from torch import nn

from kdcore import data, inspect, models, snapshots, worker
from kdcore.config import read
from kdcore.inspect.costs import operations
from kdcore.models import NetworkConfig
from tests.data.made import class_folders, write
from tests.test_inspect_layers import STUDENT, trained  # noqa: F401


def images():
    return data.images(data.DataConfig(name="digits"), "test")


def test_predictions_are_the_softmaxs_largest(trained):  # noqa: F811
    store, teacher, alone, _ = trained
    asked = [(teacher, None), (alone, 0)]
    for (run, step), entry in zip(asked, inspect.predictions(store, asked, alone, count=300)):
        with torch.no_grad():
            shares = snapshots.network(store, run, step)(images().pixels[:300]).softmax(1)
        assert entry["reason"] == "" and (entry["labels"] == images().labels[:300].numpy()).all()
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
    generator = torch.Generator().manual_seed(0)
    noise = torch.cat([torch.randn(count, 1, 8, 8, generator=generator) for count in (250, 150)])
    some = images()[:400]
    for run, entry in zip((teacher, alone), found):
        for std, accuracy in zip(asked["stds"], entry["accuracy"]):
            with torch.no_grad():
                right = snapshots.network(store, run)(some.pixels + std * noise).argmax(1) == some.labels
            assert accuracy == pytest.approx(float(right.float().mean()))
    assert found[0]["accuracy"][0] != found[0]["accuracy"][2]


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
    run = store.submit(read({**STUDENT, "method": "labels_ensemble", "steps": 1}).planned())
    while row := store.queue.claim(99):
        worker.execute(store, row)
    members = store.parts(run)
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
        assert all(0 < taken < 1000 for taken in entry["milliseconds"].values())


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


def test_a_run_whose_weights_are_gone_says_so(trained):  # noqa: F811
    store, *_ = trained
    waiting = store.submit(read({**STUDENT, "seed": 77}).planned())
    entry, = inspect.costs(store, [waiting])
    assert entry["parameters"] is None and "has no snapshot yet" in entry["reason"]
    assert "has no snapshot yet" in inspect.predictions(store, [(waiting, None)], waiting)[0]["reason"]
