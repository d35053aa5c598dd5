"""What holds for every network, and the published facts of each family."""

import re
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional

from kdcore import models
from kdcore.catalogue import catalogue
from kdcore.config import read
from kdcore.errors import UserError
from kdcore.methods import METHODS
from kdcore.models import ARCHITECTURES, NetworkConfig, tapped
from kdcore.models.residual import for_small_images
from kdcore.models.wide_residual import wide_residual
from kdcore.train import build as build_run
from tests.conftest import WIDTHS

DEEP = [name for name in ARCHITECTURES if name not in WIDTHS]
WIDE = [name for name in DEEP if name.startswith("wrn")]
LARGE = [name for name in DEEP if ARCHITECTURES[name].smallest == 32]


def config(name, width=0.1, **settings):
    return NetworkConfig(name=name, width=width, **settings)


def side(name):
    return 64 if name in LARGE else 32 if name in WIDTHS else 16


def small(name, shape=None, classes=3, seed=0, width=0.1, **settings):
    return models.build(config(name, width, **settings), shape or (3, side(name), side(name)), classes, seed)


def images(name, count=2, channels=3, dtype=torch.float32):
    generator = torch.Generator().manual_seed(5)
    return torch.rand(count, channels, side(name), side(name), generator=generator, dtype=dtype)


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def unbuilt(make):
    with torch.device("meta"):
        return make()


def vgg_by_hand(maps, count, classes):
    """3·3·before·after weights and two numbers a map for its batch norm, for each convolution; then one layer."""
    convolutions = [(before if place == 0 else after, after)
                    for before, after in pairwise((3, *maps)) for place in range(count)]
    return sum(9 * before * after + 2 * after for before, after in convolutions) + (maps[-1] + 1) * classes


PUBLISHED = {  # name: (classes, parameters)
    "residual8": (10, 75_290), "residual14": (10, 172_506), "residual26": (10, 366_938), "residual32": (10, 464_154),
    "wrn_10_1": (10, 77_850), "wrn_10_4": (10, 1_198_810), "wrn_16_1": (10, 175_066), "wrn_16_2": (10, 691_674),
    "wrn_16_4": (10, 2_748_890), "wrn_22_4": (10, 4_298_970), "wrn_40_2": (10, 2_243_546),
    "vgg4": (100, vgg_by_hand((64, 128, 256), 1, 100)), "vgg9": (100, vgg_by_hand((64, 128, 256, 512), 2, 100)),
    "mobilenet": (1000, 4_231_976), "resnet18": (1000, 11_689_512), "resnet34": (1000, 21_797_672),
    "resnet50": (1000, 25_557_032), "residual20_large": (200, 12_362_314 + 190 * 513)}


def test_as_many_parameters_as_published():
    """He's 20 and 32 layers: 0.27 and 0.46 million; Zagoruyko's tables; torchvision's and MobileNet's exact numbers."""
    assert set(PUBLISHED) == set(DEEP)
    for name, (classes, count) in PUBLISHED.items():
        with torch.device("meta"):
            assert parameters(models.bare(NetworkConfig(name=name), (3, 64, 64), classes)) == count, name


@pytest.mark.parametrize("depth, count", [(20, 269_722), (44, 658_586), (56, 853_018), (110, 1_727_962)])
def test_any_residual_net_of_6n_2_layers(depth, count):
    assert parameters(unbuilt(lambda: for_small_images((3, 32, 32), 10, depth))) == count


def test_any_wide_residual_net_of_6n_4_layers():
    assert parameters(unbuilt(lambda: wide_residual((3, 32, 32), 10, 28, 10))) == 36_479_194
    assert parameters(unbuilt(lambda: wide_residual((3, 32, 32), 10, 40, 4))) == 8_949_210


@pytest.mark.parametrize("make", [for_small_images, lambda *known: wide_residual(*known, 1)])
def test_a_depth_between_is_refused(make):
    with pytest.raises(ValueError, match="layers, not 15"):
        make((3, 32, 32), 10, 15)


def layers_with_weights(network):
    """All but batch norms and shortcuts."""
    return [module for name, module in network.named_modules()
            if isinstance(module, (nn.Conv2d, nn.Linear)) and "downsample" not in name and "shortcut" not in name]


@pytest.mark.parametrize("name", DEEP)
def test_as_many_layers_as_the_name_says(name):
    """Zagoruyko counts the three shortcuts and not the fully connected layer."""
    said = 28 if name == "mobilenet" else int(re.search(r"\d+", name)[0]) - 2 * (name in WIDE)
    assert len(layers_with_weights(unbuilt(lambda: models.bare(config(name), (3, 64, 64), 3)))) == said


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50"])
def test_torchvisions_weights_give_torchvisions_answers(name):
    import torchvision

    torch.manual_seed(0)
    theirs = getattr(torchvision.models, name)(num_classes=5).eval()
    ours = models.build(NetworkConfig(name=name), (3, 64, 64), 5).eval()
    ours.body.load_state_dict(theirs.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(ours.body(images(name)), theirs(images(name)))


@pytest.mark.parametrize("name", ["residual20_large"])
def test_the_20_layer_net_is_torchvisions_with_other_blocks(name):
    from torchvision.models.resnet import BasicBlock, ResNet

    theirs = unbuilt(lambda: ResNet(BasicBlock, [2, 2, 3, 2], num_classes=3)).state_dict()
    ours = unbuilt(lambda: models.bare(NetworkConfig(name=name), (3, 64, 64), 3)).body.state_dict()
    assert {key: value.shape for key, value in ours.items()} == {key: value.shape for key, value in theirs.items()}


@pytest.mark.parametrize("name", DEEP)
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_taps_hold_what_their_names_say(name, training):
    network, batch = small(name).train(training), images(name, count=3)
    taps = tapped(network, tuple(network.taps))(batch)
    groups = sorted(tap for tap in taps if tap.startswith("group") and "." not in tap)
    parts = ("", ".pre") if name == "vgg4" else ("", ".pre", ".first")  # a section of one layer has no first
    roles = {f"{group}{part}" for group in groups for part in parts}
    pooled = {f"{group}.pooled" for group in groups} if name.startswith("vgg") else set()
    assert set(taps) == roles | pooled | {"embedding", "logits"}
    assert groups == [f"group{number}" for number in range(1, len(groups) + 1)] and len(groups) >= 3
    for group in groups:
        before, after, first = taps[f"{group}.pre"], taps[group], taps.get(f"{group}.first", taps[group])
        assert (before < 0).any() and first.min() == 0 and before.shape == after.shape
        assert first.shape[-2:] == after.shape[-2:] or name == "resnet50"  # its second layer has the stride
        assert (after < 0).any() if name in WIDE else torch.equal(functional.relu(before), after)
        if pooled:
            assert torch.equal(taps[f"{group}.pooled"], functional.max_pool2d(after, 2))
    last = functional.relu(taps[f"{groups[-1]}.pre"]) if name in WIDE else taps[f"{groups[-1]}"]
    last = taps[f"{groups[-1]}.pooled"] if pooled else last
    torch.testing.assert_close(taps["embedding"], last.mean((2, 3)))
    assert taps["logits"].shape == (3, 3)
    sizes = [taps[group].shape[-1] for group in groups]
    assert all(after * 2 == before for before, after in pairwise(sizes))


@pytest.mark.parametrize("name", WIDE)
def test_a_wide_groups_pre_is_the_batch_norm_after_it(name):
    network = small(name).eval()
    taps = tapped(network, tuple(network.taps))(images(name))
    for number, norm in enumerate([network.body.group2[0].bn1, network.body.group3[0].bn1, network.body.bn], start=1):
        assert torch.equal(norm(taps[f"group{number}"]), taps[f"group{number}.pre"])


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_shapes_are_those_of_the_values(name):
    shape = (3, side(name), side(name))
    network = small(name).eval()
    values = tapped(network, tuple(network.taps))(images(name))
    assert models.shapes(config(name), shape, 3) == {tap: tuple(value.shape[1:]) for tap, value in values.items()}


def test_shapes_make_no_weights(monkeypatch):
    made = []
    monkeypatch.setattr(nn.Module, "register_parameter", lambda module, name, value: (
        made.append(value), module._parameters.update({name: value}))[0])
    models.shapes(NetworkConfig(name="resnet50", width=1.01), (3, 224, 224), 1000)
    assert made and all(value is None or value.is_meta for value in made)


def test_papers_sizes():
    def sizes(name, shape, part=""):
        found = models.shapes(NetworkConfig(name=name), shape, 10)
        return [found[f"group{k}{part}"] for k in range(1, 6) if f"group{k}{part}" in found]

    assert sizes("residual26", (3, 32, 32)) == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]
    assert sizes("wrn_16_2", (3, 32, 32), ".pre") == [(32, 32, 32), (64, 16, 16), (128, 8, 8)]
    assert sizes("vgg9", (3, 32, 32), ".pooled") == [(64, 16, 16), (128, 8, 8), (256, 4, 4), (512, 2, 2)]
    assert sizes("vgg4", (3, 32, 32)) == [(64, 32, 32), (128, 16, 16), (256, 8, 8)]
    assert sizes("resnet50", (3, 224, 224)) == [(256, 56, 56), (512, 28, 28), (1024, 14, 14), (2048, 7, 7)]
    assert sizes("resnet50", (3, 224, 224), ".first") == [(64, 56, 56), (128, 56, 56), (256, 28, 28), (512, 14, 14)]
    assert sizes("mobilenet", (3, 224, 224)) == [(64, 112, 112), (128, 56, 56), (256, 28, 28), (512, 14, 14),
                                                 (1024, 7, 7)]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_input_gradient_can_be_differentiated_again_in_training(name):
    network, batch = small(name, initial="he").train(), images(name).requires_grad_()
    gradient, = torch.autograd.grad(network(batch).square().sum(), batch, create_graph=True)
    gradient.square().sum().backward()
    assert gradient.abs().max() > 0
    weights = [parameter.grad for parameter in network.parameters() if parameter.dim() > 1]
    assert all(value is not None and value.isfinite().all() for value in weights)
    assert any(value.abs().max() > 0 for value in weights)


@pytest.mark.parametrize("name", ["residual8", "wrn_10_1", "vgg4"])
@pytest.mark.parametrize("resize", [None, 20, 12])
def test_double_backpropagation_is_exact(name, resize):
    network = small(name, (2, 16, 16), resize=resize).double().eval()
    batch = torch.rand(1, 2, 16, 16, dtype=torch.float64, requires_grad=True)
    direction, step = torch.randn_like(batch), 1e-7

    def gradient(at):
        return torch.autograd.grad(network(at).square().sum(), at, create_graph=True)[0]

    product, = torch.autograd.grad((gradient(batch) * direction).sum(), batch)
    around = [gradient((batch + sign * step * direction).detach().requires_grad_()) for sign in (1, -1)]
    torch.testing.assert_close(product, (around[0] - around[1]) / (2 * step), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_one_dropout_before_the_last_layer(name):
    network = small(name).train()
    dropouts = [module for module in network.modules() if isinstance(module, nn.Dropout)]
    assert [dropout.p for dropout in dropouts] == [0.0]
    torch.manual_seed(0)
    plain = network(images(name))
    dropouts[0].p = 1.0
    dropped = network(images(name))
    assert torch.equal(dropped, torch.zeros_like(dropped)) and not torch.equal(plain, dropped)  # biases are zero


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_nothing_works_in_place(name):
    assert not any(getattr(module, "inplace", False) for module in small(name).modules())


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_weights_survive_a_state(name):
    network, again = small(name, seed=1).train(), small(name, seed=2).eval()
    network(images(name))  # moves the statistics of batch norms
    again.load_state_dict(network.state_dict())
    assert torch.equal(again(images(name)), network.eval()(images(name)))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_seed_alone_decides_the_weights(name):
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = small(name).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    again, other = small(name).state_dict(), small(name, seed=1).state_dict()
    assert all(torch.equal(value, again[key]) for key, value in first.items())
    assert not any(torch.equal(value, other[key]) for key, value in first.items() if key.endswith("weight")
                   and value.dim() > 1)


@pytest.mark.parametrize("name", DEEP)
@pytest.mark.parametrize("initial", [None, "he", "truncated_normal"])
def test_drawn_weights(name, initial):
    """He's deviation is √(2 / fan-in); batch norms start as they are made, and biases at zero."""
    for module in small(name, width=0.25, initial=initial).modules():
        if isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all() and (module.bias == 0).all()
        elif isinstance(module, (nn.Conv2d, nn.Linear)) and module.weight.numel() > 2000:
            deviation = 0.0088 if initial == "truncated_normal" else (2 / module.weight[0].numel()) ** 0.5
            assert float(module.weight.detach().std()) == pytest.approx(deviation, rel=0.1)
        if isinstance(module, nn.Linear):
            assert (module.bias == 0).all()


def test_the_configuration_keeps_how_weights_are_drawn():
    assert NetworkConfig(name="fc_student").initial == "truncated_normal"
    assert NetworkConfig(name="wrn_16_2").initial == "he"
    assert NetworkConfig(name="wrn_16_2", initial="truncated_normal").initial == "truncated_normal"
    assert NetworkConfig(name="fc_student") == NetworkConfig(name="fc_student", initial="truncated_normal")


@pytest.mark.parametrize("name", DEEP)
def test_images_are_normalised_inside(name):
    network = small(name).eval()
    assert torch.equal(network(images(name)), network.body((images(name) - 0.5) / 0.25))
    assert not {*dict(network.prepare.named_parameters())}


@pytest.mark.parametrize("name, resize, shape", [
    ("vgg9", 24, (3, 8, 8)), ("fc_student", 5, (1, 8, 8)), ("conv_teacher", 12, (2, 40, 30)),
    ("mobilenet", 48, (3, 50, 70))])
def test_images_are_resized_inside(name, resize, shape):
    network = small(name, shape, resize=resize).eval()
    batch = torch.rand(2, *shape, requires_grad=True)
    resized = functional.interpolate(batch, (resize, resize), mode="bilinear", antialias=True)
    torch.testing.assert_close(network(batch), network.body((resized - network.prepare.mean)
                                                            / network.prepare.deviation))
    assert torch.autograd.grad(network(batch).sum(), batch)[0].shape == (2, *shape)
    assert models.shapes(config(name, resize=resize), shape, 3) == models.shapes(
        config(name), (shape[0], resize, resize), 3)


@pytest.mark.parametrize("name, smallest", [("vgg9", 16), ("vgg4", 8), ("residual8", 4), ("wrn_16_1", 4),
                                            ("mobilenet", 32), ("resnet18", 32), ("residual20_large", 32)])
def test_too_small_an_image_is_a_sentence_before_anything_is_made(name, smallest):
    assert models.shapes(config(name), (1, smallest, smallest), 3)["logits"] == (3,)
    for ask in (models.shapes, models.build):
        with pytest.raises(UserError, match=rf"needs images of at least {smallest}×{smallest} pixels and these are "
                                            rf"{smallest}×{smallest - 1}; set resize to 32 or more"):
            ask(config(name), (1, smallest, smallest - 1), 3)
        with pytest.raises(UserError, match="set resize"):
            ask(config(name, resize=smallest - 1), (1, 200, 200), 3)


def test_a_run_says_at_once_that_its_images_are_too_small():
    with pytest.raises(UserError, match="VGG-9 needs images of at least 16×16 pixels and these are 8×8"):
        read({"data": {"name": "digits"}, "network": {"name": "vgg9"}})
    assert read({"data": {"name": "digits"}, "network": {"name": "vgg9", "resize": 32}}).network.resize == 32


def test_more_outputs_than_classes():
    run = {"data": {"name": "digits"}, "network": {"name": "vgg4", "width": 0.05, "classes": 12}}
    assert len(read(run).side().classes) == 12
    assert build_run(read(run))(torch.rand(2, 1, 8, 8)).shape == (2, 12)
    taught = read({**run, "network": {"name": "fc_student"}, "teacher": run})
    assert len(taught.pair().teacher.classes) == 12 and "12 classes apart" in METHODS["soft_targets"].unsuited(
        taught.pair())
    with pytest.raises(UserError, match="The network has 9 outputs and Digits has 10 classes"):
        read({**run, "network": {"name": "vgg4", "classes": 9}})


def test_the_catalogue_says_what_each_network_is():
    networks = catalogue()["networks"]
    assert list(networks) == list(ARCHITECTURES)
    assert len({entry["title"] for entry in networks.values()}) == len(networks)
    for name, entry in networks.items():
        assert entry["sentence"].endswith(".") and entry["paper"] and entry["initial"] == ARCHITECTURES[name].initial
    assert [name for name, entry in networks.items() if entry["published"]] == ["resnet18", "resnet34", "resnet50"]


def test_a_tap_that_is_none_is_a_sentence():
    with pytest.raises(UserError, match=r"has no tap 'group4' \(did you mean .*'group3'"):
        tapped(small("residual8"), ("group4",))


def test_one_network_in_both_modes_and_on_new_weights():
    """A reader made in training answers in evaluation as the network does, also after its buffers were replaced."""
    network = small("residual8").train()
    reader = tapped(network, ("group1", "logits"))
    reader(images("residual8"))
    network.double().eval()
    batch = images("residual8", dtype=torch.float64)
    assert torch.equal(reader(batch)["logits"], network(batch))
    assert set(map(id, reader.parameters())) == set(map(id, network.parameters()))


def test_modes_are_left_as_they_are():
    network = small("residual8").train()
    network.body.bn1.eval()
    tapped(network, ("group1", "logits"))(images("residual8"))
    assert network.training and not network.body.bn1.training and network.body.layer1.training


@pytest.mark.heavy
@pytest.mark.parametrize("name", DEEP)
def test_at_full_width_with_the_papers_images(name):
    shape = (3, 224, 224) if name in LARGE else (3, 32, 32)
    network = models.build(NetworkConfig(name=name), shape, 10).train()
    reader = SimpleNamespace(taps=tapped(network, tuple(network.taps))(torch.rand(2, *shape)))
    assert models.shapes(NetworkConfig(name=name), shape, 10) == {
        tap: tuple(value.shape[1:]) for tap, value in reader.taps.items()}
    reader.taps["logits"].square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())
