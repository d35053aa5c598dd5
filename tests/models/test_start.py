"""Where weights come from: torchvision's, a file, a run; and the sentences where they cannot."""

import urllib.error

import pytest
import torch
import torchvision

from kdcore import models, probe, snapshots
from kdcore.config import read
from kdcore.errors import UserError
from kdcore.models import ARCHITECTURES, NetworkConfig
from kdcore.store import Store
from kdcore.train import build as build_run
from kdcore.train import fit

SHAPE = (3, 32, 32)
RESNET18 = "resnet18-f37072fd.pth"
PUBLISHED = {"kind": "published"}


@pytest.fixture(autouse=True)
def no_connection(monkeypatch):
    def refuse(*_, **__):
        raise urllib.error.URLError("no connection")

    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A data folder of its own."""
    monkeypatch.setenv("KD_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def theirs(folder):
    """torchvision's ResNet-18, and its weights where a download would put them."""
    torch.manual_seed(7)
    network = torchvision.models.resnet18().eval()
    (folder / "weights").mkdir(parents=True)
    torch.save(network.state_dict(), folder / "weights" / RESNET18)
    return network


def build(name="resnet18", shape=SHAPE, classes=10, **settings):
    return models.build(NetworkConfig(name=name, **settings), shape, classes).eval()


def imagenet(images):
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (images - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)


def test_published_weights_answer_as_they_do_in_torchvision(theirs):
    images = torch.rand(2, *SHAPE)
    with torch.no_grad():
        torch.testing.assert_close(build(start=PUBLISHED, classes=1000)(images), theirs(imagenet(images)))


def test_another_number_of_outputs_takes_a_fresh_last_layer(theirs):
    network, fresh = build(start=PUBLISHED).body, build().body
    assert torch.equal(network.fc.weight, fresh.fc.weight) and network.fc.weight.shape == (10, 512)
    ours = network.state_dict()
    assert all(torch.equal(value, ours[name]) for name, value in theirs.state_dict().items() if "fc" not in name)
    assert build(start=PUBLISHED, classes=1000)(torch.rand(2, *SHAPE)).shape == (2, 1000)


def test_grey_images_are_shown_to_colour_weights_three_times(theirs):
    network, grey = build(shape=(1, 40, 40), start=PUBLISHED, resize=32), torch.rand(2, 1, 40, 40)
    seen = torch.nn.functional.interpolate(grey, (32, 32), mode="bilinear", antialias=True).expand(-1, 3, -1, -1)
    torch.testing.assert_close(network(grey), network.body(imagenet(seen)))
    gradient, = torch.autograd.grad(network(grey.requires_grad_()).sum(), grey)
    assert gradient.shape == grey.shape
    assert build(shape=(1, 40, 40)).body.conv1.in_channels == 1


def test_without_a_connection_a_sentence_says_which_file_goes_where(folder):
    with pytest.raises(UserError, match=f"https://download.pytorch.org/models/{RESNET18} elsewhere and put it into "
                                        f"{folder / 'weights'}"):
        build(start=PUBLISHED)


def test_a_damaged_download_is_a_sentence(theirs, folder):
    (folder / "weights" / RESNET18).write_bytes(b"half")
    with pytest.raises(UserError, match="is damaged or holds more than weights; delete it, and it is downloaded again"):
        build(start=PUBLISHED)


@pytest.mark.parametrize("name", [name for name, known in ARCHITECTURES.items() if not known.published])
def test_no_published_weights_is_a_sentence_at_once(name):
    with pytest.raises(UserError, match="There are no published weights for .*; there are for ResNet-18, ResNet-34, "
                                        "ResNet-50"):
        read({"data": {"name": "digits"}, "network": {"name": name, "start": PUBLISHED}})


def test_published_weights_have_one_width():
    with pytest.raises(UserError, match="The published weights of ResNet-18 are for width 1, not 0.5"):
        read({"data": {"name": "digits"}, "network": {"name": "resnet18", "width": 0.5, "resize": 32,
                                                      "start": PUBLISHED}})


def test_torchvision_publishes_weights_for_what_says_so():
    from torchvision.models import get_model_weights

    for known in filter(None, (known.published for known in ARCHITECTURES.values())):
        assert get_model_weights(known)["IMAGENET1K_V1"].url.startswith(f"https://download.pytorch.org/models/{known}")


SMALL = {"name": "vgg4", "width": 0.05}


@pytest.mark.parametrize("form", ["whole", "bare"])
@pytest.mark.parametrize("classes", [10, 4])
def test_a_file_of_ones_own(tmp_path, form, classes):
    network = build(**SMALL)
    with torch.no_grad():
        network.prepare.mean.fill_(0.2)
    torch.save((network if form == "whole" else network.body).state_dict(), tmp_path / "mine.pt")
    again = build(**SMALL, start={"kind": "file", "path": str(tmp_path / "mine.pt")}, classes=classes)
    assert torch.equal(again.body.section1.conv1.weight, network.body.section1.conv1.weight)
    assert torch.equal(again.body.fc.weight, network.body.fc.weight) == (classes == 10)
    assert float(again.prepare.mean[0]) == pytest.approx(0.2 if form == "whole" else 0.5)


@pytest.mark.parametrize("wrapped", [
    lambda state: {"state_dict": state, "epoch": 3, "optimizer": {"lr": 0.1}}, lambda state: {"model": state},
    lambda state: {f"module.{name}": value for name, value in state.items()}])
def test_a_checkpoint_in_the_usual_wrappings(tmp_path, wrapped):
    network = build(**SMALL)
    torch.save(wrapped(network.state_dict()), tmp_path / "mine.pt")
    again = build(**SMALL, start={"kind": "file", "path": str(tmp_path / "mine.pt")})
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in network.state_dict().items())


def test_torchvisions_own_file_comes_with_imagenets_normalisation(theirs, folder):
    network = build(start={"kind": "file", "path": str(folder / "weights" / RESNET18)}, classes=1000)
    images = torch.rand(2, *SHAPE)
    torch.testing.assert_close(network(images), theirs(imagenet(images)))


def test_weights_go_from_a_network_without_preparation_to_one_with_it_and_back(tmp_path):
    plain = build("fc_student", (1, 8, 8), width=0.01)
    torch.save(plain.state_dict(), tmp_path / "plain.pt")
    resized = build("fc_student", (1, 16, 16), width=0.01, resize=8, start={
        "kind": "file", "path": str(tmp_path / "plain.pt")})
    torch.save(resized.state_dict(), tmp_path / "resized.pt")
    back = build("fc_student", (1, 8, 8), width=0.01, start={"kind": "file", "path": str(tmp_path / "resized.pt")})
    assert all(torch.equal(value, back.state_dict()[name]) for name, value in plain.state_dict().items())


@pytest.mark.parametrize("content, sentence", [
    (lambda state: {**state, "odd.weight": torch.zeros(1)}, r"another network's \(unexpected: odd.weight\)"),
    (lambda state: {name: value for name, value in state.items() if "conv" not in name},
     r"missing: section1.conv1.weight, section2.conv1.weight, section3.conv1.weight\)"),
    (lambda state: {f"net.{name}": value for name, value in state.items()},
     r"missing: section1.conv1.weight, .* and \d+ more; unexpected: net.section1.conv1.weight"),
    (lambda state: {**state, "fc.weight": torch.zeros(10, 3)}, "fc.weight is 10×3 and should be 10×13"),
    (lambda state: {"weights": state}, "holds no state_dict"),
    (lambda state: torch.zeros(3), "holds no state_dict"),
    (lambda state: {}, "holds no state_dict"),
    (lambda state: print, "is damaged or holds more than weights")])
def test_a_file_that_does_not_fit_is_a_sentence(tmp_path, content, sentence):
    torch.save(content(build(**SMALL).body.state_dict()), tmp_path / "mine.pt")
    with pytest.raises(UserError, match=sentence) as caught:
        build(**SMALL, start={"kind": "file", "path": str(tmp_path / "mine.pt")})
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_a_missing_file_is_a_sentence(tmp_path):
    with pytest.raises(UserError, match=rf"There is no file {tmp_path}/none.pt; give the path"):
        build(**SMALL, start={"kind": "file", "path": str(tmp_path / "none.pt")})


RUN = {"data": {"name": "digits"}, "network": {**SMALL, "width": 0.1}, "seed": 3}


@pytest.fixture
def earlier(store_folder):
    """A run in the store with snapshots at steps 0 and 5; returns (its number, its state at step 5)."""
    store, config = Store(), read(RUN)
    run = store.submit(config.planned())
    states = [build_run(config.model_copy(update={"seed": seed})).state_dict() for seed in (1, 2)]
    for step, state in zip((0, 5), states, strict=True):
        snapshots.save(store.snapshot(run, step), state)
    return run, states


@pytest.mark.parametrize("step, which", [(None, 1), (5, 1), (0, 0)])
def test_a_run_goes_on_from_another(earlier, step, which):
    run, states = earlier
    config = read({**RUN, "network": {**RUN["network"], "start": {"kind": "run", "run": run, "step": step}}})
    assert all(torch.equal(value, states[which][name]) for name, value in build_run(config).state_dict().items())
    assert read(config.model_dump_json()) == config and config.hash() != read(RUN).hash()


def test_a_run_or_step_that_is_none_is_a_sentence(earlier):
    run, _ = earlier
    with pytest.raises(UserError, match="There is no run 99 with a snapshot in"):
        build(**SMALL, start={"kind": "run", "run": 99})
    with pytest.raises(UserError, match=rf"Run {run} has no snapshot at step 7; it has 0, 5\."):
        build(**SMALL, start={"kind": "run", "run": run, "step": 7})


@pytest.mark.parametrize("shape, sentence", [
    ((1, 8, 8), "These weights are another network's"),
    (SHAPE, "^These weights learnt on images of 1 channel, and these have 3 channels; choose images like theirs")])
def test_a_run_that_does_not_fit_is_a_sentence(earlier, shape, sentence):
    with pytest.raises(UserError, match=sentence):
        build(**SMALL, shape=shape, start={"kind": "run", "run": earlier[0]})


def test_fine_tuning_starts_from_published_weights_alone(theirs, tmp_path):
    own = tmp_path / "own.pt"
    torch.save(theirs.state_dict(), own)
    network = {"name": "resnet18", "resize": 32, "start": {"kind": "file", "path": str(own)}}
    with pytest.raises(UserError, match="^Fine-tuned starts from published weights, and the network from others; let"):
        read({**RUN, "method": "finetuned", "network": network})


def test_a_snapshot_needs_what_the_run_started_from_no_more(theirs, folder):
    config = read({"data": {"name": "digits"}, "network": {"name": "resnet18", "resize": 32, "start": PUBLISHED}})
    store, network = Store(), build_run(config).eval()
    run = store.submit(config.planned())
    snapshots.save(store.snapshot(run, 0), {"network": network.state_dict(), "connectors": {}})
    (folder / "weights" / RESNET18).unlink()
    grey = torch.rand(2, 1, 8, 8)
    assert torch.equal(snapshots.network(store, run)(grey), network(grey))


@pytest.fixture
def unmeasured(monkeypatch):
    """What is trained is looked at, not how far from its teacher it is."""
    monkeypatch.setattr(probe, "TERMS", {})


def test_a_copy_of_a_teacher_that_sees_grey_as_colour(theirs, unmeasured):
    network = {"name": "resnet18", "resize": 32}
    teacher = {"data": {"name": "digits"}, "network": {**network, "start": PUBLISHED}, "steps": 0}
    copy = {"data": {"name": "digits", "images": 20}, "network": network, "teacher": teacher, "steps": 0,
            "method": {"start": "teacher", "stages": [{"objective": {
                "labels": {"weight": 1, "term": {"kind": "cross_entropy"}}}}]}}
    taught, copied = build_run(read(teacher)), fit(copy, teacher=build_run(read(teacher)))
    grey = torch.rand(2, 1, 8, 8)
    assert torch.equal(copied(grey), taught.eval()(grey))


def test_a_copy_of_a_finetuned_teacher(theirs, unmeasured):
    """What the teacher started from does not matter to its copy."""
    network = {"name": "resnet18", "resize": 32}
    teacher = {"data": {"name": "digits"}, "network": network, "method": "finetuned", "steps": 0}
    copy = {"data": {"name": "digits", "images": 20}, "network": network, "teacher": teacher, "steps": 0,
            "method": {"start": "teacher", "stages": [{"objective": {
                "labels": {"weight": 1, "term": {"kind": "cross_entropy"}}}}]}}
    taught = fit(teacher)
    copied, grey = fit(copy, teacher=taught), torch.rand(2, 1, 8, 8)
    assert torch.equal(copied(grey), taught(grey)) and all(value.requires_grad for value in copied.parameters())


@pytest.mark.parametrize("start, sentence", [
    ({"kind": "magic"}, "there is no kind 'magic'"), ({"kind": "run"}, "run.*is missing"),
    ({}, "must say which kind"), ({"kind": "file", "path": ""}, "path"),
    ({"kind": "published", "size": 3}, "'network.start.published.size' is not")])
def test_a_start_that_is_none_is_a_sentence(start, sentence):
    with pytest.raises(UserError, match=sentence):
        read({**RUN, "network": {**SMALL, "start": start}})
