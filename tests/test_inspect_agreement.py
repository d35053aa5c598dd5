"""The shares of activations that agree: each the paper's, counted one by one."""

import sys

import numpy as np
import pytest

from kdcore import data, inspect
from tests.test_inspect_layers import shown, trained  # noqa: F401

INDICES = [*range(0, 26)]  # more than two batches


@pytest.fixture(autouse=True)
def batches(monkeypatch):
    monkeypatch.setattr(sys.modules["kdcore.inspect.agreement"], "CHUNK", 10)


def answered(trained, run, indices=INDICES):  # noqa: F811
    store, teacher, *_ = trained
    entry, = inspect.agreement(store, [(run, None)], indices, (teacher, None))
    assert entry["reason"] == ""
    return entry


def test_shares_are_counted_over_images_classes_neurons_and_places(trained):  # noqa: F811
    *_, alone, _ = trained
    whole, labels = answered(trained, alone), data.images(data.DataConfig(name="digits"), "test").labels[INDICES]
    alone_each = [shown(trained, "activation_boundary", alone, [index])["layers"] for index in INDICES]
    for layer, each in zip(whole["layers"], zip(*alone_each), strict=True):
        values, theirs = (np.stack([one[whose] for one in each]) for whose in ("ours", "theirs"))
        on = theirs > 0
        agree = ((values > 0) == on).astype(float)  # (images, channels, H, W)
        assert layer["rate"] == pytest.approx(agree.mean(), rel=1e-5)
        assert np.allclose(layer["per_neuron"], agree.mean((0, 2, 3)), atol=1e-6)
        assert np.allclose(layer["differing"], 1 - agree.mean((0, 1)), atol=1e-6)
        assert np.allclose(layer["on"], np.mean(on, (0, 1)), atol=1e-6)
        for label in set(labels.tolist()):
            assert layer["per_class"][label] == pytest.approx(agree[labels == label].mean(), rel=1e-5)
        assert np.allclose(layer["counts"], np.histogram(values, layer["bins"])[0] / values.size, atol=1e-4)
        assert layer["beyond"] == pytest.approx(1 - layer["counts"].sum()) and layer["beyond"] <= 0.01


def test_a_class_without_an_image_has_no_share(trained):  # noqa: F811
    *_, alone, _ = trained
    assert np.isfinite(answered(trained, alone, [0])["layers"][0]["per_class"]).sum() == 1


def test_the_last_snapshot_is_what_is_meant_without_a_step(trained):  # noqa: F811
    store, teacher, alone, _ = trained
    steps = store.snapshot_steps(alone)
    entries = inspect.agreement(store, [(alone, steps[-1]), (alone, steps[0]), (alone, None)], [0, 1], (teacher, None))
    rates = [entry["layers"][0]["rate"] for entry in entries]
    assert rates[0] == rates[2] != rates[1]
