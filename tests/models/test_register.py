"""A module of one's own, traced or read through hooks."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from kdcore import models
from kdcore.config import read
from kdcore.errors import UserError
from kdcore.models import ARCHITECTURES, NetworkConfig, tapped
from kdcore.response import Response
from kdcore.train import Measurement, Snapshot, train

SHAPE = (1, 8, 8)
TAPS = {"group1": "features.1", "group1.pre": "features.0", "embedding": "hidden"}


class Mine(nn.Module):
    def __init__(self, shape, classes, width):
        super().__init__()
        maps = round(10 * width)
        self.features = nn.Sequential(nn.Conv2d(shape[0], maps, 3), nn.ReLU(inplace=True))
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(maps * (shape[1] - 2) * (shape[2] - 2), 12))
        self.output = nn.Linear(12, classes)

    def forward(self, images):
        return self.output(functional.relu(self.hidden(self.features(images))))


class Wayward(Mine):
    """Its control flow depends on the data."""

    def forward(self, images):
        if images.mean() > 2:
            images = images / 2
        return super().forward(images)


@pytest.fixture(params=[Mine, Wayward])
def name(request, monkeypatch):
    known = dict(ARCHITECTURES)
    models.register("mine", request.param, TAPS, title="My own", sentence="It is mine.")
    yield "mine"
    ARCHITECTURES.clear()
    ARCHITECTURES.update(known)


def build(name, seed=0, **settings):
    return models.build(NetworkConfig(name=name, **settings), SHAPE, 10, seed)


def test_its_taps_hold_what_they_name(name):
    network, images = build(name), torch.rand(3, *SHAPE)
    taps = tapped(network, ("group1", "group1.pre", "embedding", "logits"))(images)
    before = network.features[0](images)
    assert torch.equal(taps["group1.pre"], before) and torch.equal(taps["group1"], before.relu())
    assert torch.equal(taps["embedding"], network.hidden(taps["group1"])) and (taps["embedding"] < 0).any()
    assert torch.equal(taps["logits"], network(images))


def test_operations_have_names_where_it_can_be_traced(name):
    network = build(name)
    network.taps = {**network.taps, "group2": "relu"}
    if isinstance(network, Wayward):
        with pytest.raises(UserError, match=r"^The network cannot be traced, so only modules have names\. The network "
                                            r"has no value 'relu'; it has features, features\.0, .*output\.$"):
            tapped(network, ("group2",))(torch.rand(1, *SHAPE))
    else:
        values = tapped(network, ("group2", "embedding"))(torch.rand(1, *SHAPE))
        assert torch.equal(values["group2"], values["embedding"].relu())


def test_an_unknown_module_is_a_sentence_with_those_that_exist(name):
    models.register("mine", ARCHITECTURES["mine"].build.args[0], {"group1": "feature.1"})
    with pytest.raises(UserError, match=r"has no value 'feature\.1' \(did you mean 'features\.1'"):
        models.shapes(NetworkConfig(name=name), SHAPE, 10)
    with pytest.raises(UserError, match="did you mean 'features.1'"):
        read({"data": {"name": "digits"}, "network": {"name": "mine"}})


def test_gradients_flow_through_its_taps(name):
    network = build(name)
    response = Response(network, torch.rand(3, *SHAPE), torch.arange(3), taps=("group1.pre", "embedding"))
    response.taps["group1.pre"].square().sum().backward(retain_graph=True)
    assert network.features[0].weight.grad.abs().max() > 0 and network.output.weight.grad is None
    response.cost_gradient.square().sum().backward()
    assert network.output.weight.grad.abs().max() > 0


@pytest.mark.parametrize("method", ["full_jacobian", "soft_targets"])
def test_it_is_trained_like_any_other(name, method):
    run = {"data": {"name": "digits", "per_class": 2}, "network": {"name": name}, "method": method, "steps": 30,
           "optimiser": {"learning_rate": 1e-3}, "evaluations": 1, "device": "cpu",
           "teacher": {"data": {"name": "digits"}, "network": {"name": name, "width": 1.5}, "steps": 40,
                       "optimiser": {"learning_rate": 1e-3}, "evaluations": 1, "device": "cpu"}}
    records = list(train(run))
    accuracies = [record.values["accuracy"] for record in records if isinstance(record, Measurement)]
    first, *_, last = [record.state for record in records if isinstance(record, Snapshot)]
    assert accuracies[-1] > accuracies[0] and not torch.equal(first["features.0.weight"], last["features.0.weight"])


def test_its_weights_are_its_own_and_the_seeds(name):
    first, again, other = build(name), build(name), build(name, seed=1)
    torch.default_generator.manual_seed(0)
    assert torch.equal(first.output.weight, ARCHITECTURES[name].build.args[0](SHAPE, 10, 1.0).output.weight)
    assert torch.equal(first.output.weight, again.output.weight)
    assert not torch.equal(first.output.weight, other.output.weight)
    assert (build(name, initial="he").output.bias == 0).all() and (first.output.bias != 0).any()


def test_it_is_a_choice_like_any_other(name):
    config = read({"data": {"name": "digits"}, "network": {"name": name, "width": 2.0, "resize": 16}})
    assert models.shapes(config.network, SHAPE, 10)["group1"] == (20, 14, 14)
    assert read(config.model_dump_json()) == config
    assert (ARCHITECTURES[name].title, ARCHITECTURES[name].sentence) == ("My own", "It is mine.")


def test_a_connector_that_normalises_one_value_is_a_sentence():
    for name, maps in (("few", 4), ("many", 6)):
        models.register(name, lambda image_shape, classes, width, maps=maps: nn.Sequential(
            nn.Conv2d(1, maps, 8), nn.ReLU(), nn.Flatten(), nn.Linear(maps, classes)), {"group1": "1"})
    run = {"data": {"name": "digits"}, "network": {"name": "few"}, "method": "map_information", "batch_size": 1,
           "teacher": {"data": {"name": "digits"}, "network": {"name": "many"}}}
    try:
        with pytest.raises(UserError, match="The connector of Information of maps cannot learn from one image a step"):
            read(run)
        assert read({**run, "batch_size": 2}) and read({**run, "steps": 0}) and read({**run, "method": "hint"})
    finally:
        del ARCHITECTURES["few"], ARCHITECTURES["many"]


def test_what_builds_it_takes_three_arguments_and_taps_may_be_left_out():
    with pytest.raises(UserError, match="What builds 'mine' must take three arguments"):
        models.register("mine", lambda classes: nn.Flatten())
    with pytest.raises(UserError, match="What builds 'mine' must take three arguments"):
        models.register("mine", dict)
    assert "mine" not in ARCHITECTURES
    models.register("mine", lambda image_shape, classes, width: nn.Sequential(nn.Flatten(), nn.Linear(64, classes)))
    try:
        assert models.shapes(NetworkConfig(name="mine"), (1, 8, 8), 10) == {"logits": (10,)}
    finally:
        del ARCHITECTURES["mine"]


def test_the_projects_names_are_taken():
    with pytest.raises(UserError, match="'vgg9' is one of Apprentice's own networks; choose another name"):
        models.register("vgg9", Mine, TAPS)


def test_another_number_of_outputs_is_a_sentence(name):
    models.register("mine", lambda shape, classes, width: Mine(shape, 7, width), TAPS, title="Seven")
    with pytest.raises(UserError, match="Seven should have 10 outputs an image; it has 7"):
        read({"data": {"name": "digits"}, "network": {"name": "mine"}})


def test_a_tap_that_is_neither_vector_nor_maps_is_a_sentence(name):
    models.register("mine", lambda shape, classes, width: nn.Sequential(
        nn.Flatten(2), nn.Flatten(), nn.Linear(64, classes)), {"group1": "0"}, title="Tokens")
    with pytest.raises(UserError, match="'group1' of Tokens is 1×64 for each image, and a tap is a vector or a stack"):
        read({"data": {"name": "digits"}, "network": {"name": "mine"}})


def test_attention_is_differentiated_twice(name):
    """torch's fused attention has no second derivative."""
    models.register("mine", lambda shape, classes, width: nn.Sequential(
        nn.Flatten(2), nn.Unflatten(2, (8, 8)), nn.Flatten(1, 2),
        nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True), nn.Flatten(), nn.Linear(64, classes)))
    side = {"data": {"name": "digits", "per_class": 2}, "network": {"name": "mine"}, "steps": 2}
    records = list(train({**side, "teacher": side, "method": "full_jacobian"}))
    assert [record for record in records if isinstance(record, Measurement)][-1].values["term.full_jacobian"] > 0


def test_a_tap_of_several_tensors_is_a_sentence(name):
    class Several(Mine):
        def __init__(self, *settings):
            super().__init__(*settings)
            self.split = Split()

        def forward(self, images):
            self.split(images)
            return super().forward(images * float(images.mean() < 2))

    models.register("mine", Several, {"group1": "split"})
    with pytest.raises(UserError, match="The tap 'group1' of mine must be one tensor"):
        models.shapes(NetworkConfig(name=name), SHAPE, 10)


class Split(nn.Module):
    def forward(self, images):
        return images, images


def test_a_module_that_an_image_does_not_pass_is_a_sentence(name):
    class Idle(Mine):
        def __init__(self, *settings):
            super().__init__(*settings)
            self.idle = nn.ReLU()

        def forward(self, images):
            return super().forward(self.idle(images) if images.mean() > 2 else images)

    models.register("mine", Idle, {"group1": "idle"})
    with pytest.raises(UserError, match="The tap 'group1' is the module 'idle', which this image did not pass"):
        models.shapes(NetworkConfig(name=name), SHAPE, 10)


def test_a_module_used_twice_has_a_value_for_each_time(name):
    class Twice(ARCHITECTURES["mine"].build.args[0]):
        def forward(self, images):
            return super().forward(self.features[1](self.features[1](images - 0.5) - 0.1))

    models.register("mine", Twice, {"first": "features.1", "second": "features.1_1", "third": "features.1_2"})
    taps = tapped(build(name), ("first", "second", "third"))(torch.rand(2, *SHAPE))
    assert torch.equal(taps["second"], (taps["first"] - 0.1).relu()) and taps["third"].shape[1] == 10
