"""Maps under noise, over a class and over the test images: each number against maps asked for one by one."""

import weakref
from importlib import import_module

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from kdcore import data, inspect, models, snapshots
from kdcore.config import read
from kdcore.data import shapes as drawing
from kdcore.errors import UserError
from kdcore.inspect import ATTRIBUTIONS, attribution
from kdcore.inspect.networks import config_of
from kdcore.inspect.noise import noisy
from kdcore.knowledge import TERMS
from kdcore.models import NetworkConfig
from kdcore.response import Response
from kdcore.store import Store
from kdcore.teaching import answer
from tests.test_inspect import DIGITS, MAPS, in_the_loss, network, save, trained  # noqa: F401

MAPS_OF = import_module("kdcore.inspect.maps")
INDICES = [*range(3, 33)]  # more than are drawn at a time
ASKED = [("full_jacobian", "label"), ("full_jacobian", None), ("full_jacobian", [7]), ("cost_gradient", None)]


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(MAPS_OF, "MOST", 25)


def shown(trained, kind, index, **further):  # noqa: F811
    store, teacher, student, _ = trained
    return inspect.maps(store, [(teacher, None), (student, None)], kind, index, teacher=(teacher, None), **further)


def under_noise(index, seed, std=0.2):
    one, = data.images(DIGITS, "test", index=torch.tensor([index])).chunks(1)
    return data.Images(noisy(one.pixels, std, seed), one.labels)


def test_noise_has_its_deviation_and_is_always_the_same():
    pixels = torch.full((4, 3, 40, 40), 0.5)
    added = noisy(pixels, 0.2, 1) - pixels
    assert float(added.std()) == pytest.approx(0.2, rel=0.02) and abs(float(added.mean())) < 0.01
    assert torch.equal(noisy(pixels, 0.2, 1), pixels + added) and not torch.equal(noisy(pixels, 0.2, 2), pixels + added)
    assert torch.equal(noisy(pixels, 0.0, 1), pixels)


@pytest.mark.parametrize("kind", MAPS)
def test_the_number_under_noise_is_the_term_of_the_noisy_image(trained, kind):  # noqa: F811
    store, teacher, student, _ = trained
    networks = [snapshots.network(store, run) for run in (teacher, student)]
    each = [in_the_loss(kind, {}, *networks, under_noise(3, seed)) for seed in range(30)]
    assert shown(trained, kind, 3, noise=0.2)[1]["distance"] == pytest.approx(each[0], rel=1e-5)
    assert shown(trained, kind, 3, noise=0.2, draws=30)[1]["distance"] == pytest.approx(np.mean(each), rel=1e-4)
    assert shown(trained, kind, 3)[1]["distance"] != pytest.approx(each[0], rel=1e-3)


@pytest.mark.parametrize("kind", ["full_jacobian", "attribution.saliency"])
def test_a_map_under_noise_is_the_mean_over_the_draws(trained, kind):  # noqa: F811
    store, _, student, _ = trained
    torch_network, found = snapshots.network(store, student), shown(trained, kind, 3, noise=0.2, draws=30)[1]
    each = []
    for seed in range(30):
        one = under_noise(3, seed)
        pixels = one.pixels.requires_grad_()
        outputs = torch_network(pixels)[0]
        rows = range(10) if kind == "full_jacobian" else one.labels.tolist()
        each.append(np.stack([torch.autograd.grad(outputs[row], pixels, retain_graph=True)[0][0] for row in rows]))
    np.testing.assert_allclose(found["maps"], np.mean(each, 0), rtol=1e-3, atol=1e-6)
    answers = [torch_network(under_noise(3, seed).pixels).softmax(1)[0].detach().numpy() for seed in range(30)]
    np.testing.assert_allclose(found["probabilities"], np.mean(answers, 0), rtol=1e-4)


def test_the_first_noisy_image_is_shown(trained):  # noqa: F811
    store, _, student, _ = trained
    found = inspect.image(store, student, 3, noise=0.2)
    np.testing.assert_array_equal(found["pixels"], under_noise(3, 0).pixels[0].clamp(0, 1))


def test_a_timeline_under_noise_ends_with_the_last_map(trained):  # noqa: F811
    store, teacher, student, _ = trained
    steps = store.snapshot_steps(student)
    line = inspect.timeline(store, student, steps, "cost_gradient", 3, teacher=(teacher, None), noise=0.1, draws=3)
    last = shown(trained, "cost_gradient", 3, noise=0.1, draws=3)[1]
    assert np.array_equal(line[steps[-1]]["maps"], last["maps"]) and line[steps[-1]]["distance"] == last["distance"]


def test_the_maps_of_a_class_are_means_over_its_first_images(trained):  # noqa: F811
    store, teacher, student, _ = trained
    images = data.images(DIGITS, "test")
    indices = torch.nonzero(images.labels == 4).flatten().tolist()[:30]
    found = inspect.class_maps(store, [(teacher, None), (student, None)], "full_jacobian", 4, 30, (teacher, None))
    assert (found["count"], found["label"]) == (30, 4)
    np.testing.assert_allclose(found["pixels"], images.pixels[indices].mean(0), rtol=1e-6)
    each = [shown(trained, "full_jacobian", index)[1] for index in indices]
    for what in ("maps", "distance", "probabilities"):
        expected = np.mean([entry[what] for entry in each], 0)
        np.testing.assert_allclose(found["entries"][1][what], expected, rtol=1e-3, atol=1e-6)
    few = inspect.class_maps(store, [(student, None)], "cost_gradient", 4, 10_000)
    assert few["count"] == int((images.labels == 4).sum())


@pytest.mark.parametrize(("kind", "rows"), ASKED, ids=str)
def test_likeness_is_of_each_images_two_maps(trained, kind, rows):  # noqa: F811
    store, teacher, student, _ = trained
    found, same = inspect.likeness(store, [(student, None), (teacher, None)], kind, INDICES, (teacher, None), rows=rows,
                                   shares=[0.1])
    for i in (0, 1, 2, len(INDICES) - 1):
        label = inspect.image(store, student, INDICES[i])["label"]
        of = [label] if rows == "label" else slice(None) if rows is None else rows
        theirs, ours = (entry["maps"][of].ravel() for entry in shown(trained, kind, INDICES[i]))
        cosine = theirs @ ours / np.linalg.norm(theirs) / np.linalg.norm(ours)
        assert found["cosine"][i] == pytest.approx(cosine, abs=1e-4)
        assert found["ranks"][i] == pytest.approx(spearmanr(theirs, ours).statistic, abs=2e-3)
        count = max(1, round(0.1 * len(ours)))
        top = [set(np.argsort(-np.abs(each))[:count]) for each in (theirs, ours)]
        assert found["top 0.1"][i] == pytest.approx(len(top[0] & top[1]) / count, abs=1.1 / count)
    assert found["reason"] == "" and len(found["cosine"]) == len(INDICES)
    assert all(np.allclose(same[measure], 1) for measure in ("cosine", "ranks", "top 0.1"))


def test_maps_of_the_teachers_class_are_of_that_class_in_every_network(trained):  # noqa: F811
    store, teacher, student, _ = trained
    settings = {"classes": "teacher"}
    found, = inspect.likeness(store, [(student, None)], "jacobian_match", INDICES, (teacher, None), settings=settings)
    for i in (0, 1, 2, len(INDICES) - 1):
        theirs, ours = (entry["maps"].ravel() for entry in shown(trained, "jacobian_match", INDICES[i],
                                                                settings=settings))
        cosine = theirs @ ours / np.linalg.norm(theirs) / np.linalg.norm(ours)
        assert found["cosine"][i] == pytest.approx(cosine, abs=1e-4)


def maps_under_noise(store, networks, kind, index, position, teacher, draws):
    """The mean of the maps of an image over draws of the noise that it has at a position among others."""
    term, (one,) = TERMS[kind](), data.images(config_of(store, networks[0]).data, "test",
                                              index=torch.tensor([index])).chunks(1)
    found = []
    for run in networks:
        each = []
        for seed in range(draws):
            seen = noisy(one.pixels, 0.2, seed, position)
            response = Response(snapshots.network(store, run).eval(), seen, one.labels)
            taught = answer(term, snapshots.network(store, teacher).eval(), data.Images(seen, one.labels)) if (
                teacher) else {}
            each.append(term.picture(response, taught)[0].detach())
        found.append(torch.stack(each).mean(0).numpy())
    return found, int(one.labels[0])


@pytest.mark.parametrize("draws", [1, 3])
def test_likeness_under_noise_is_of_means_over_the_same_draws_in_both(trained, draws):  # noqa: F811
    store, teacher, student, _ = trained
    asked = {"kind": "full_jacobian", "indices": INDICES, "teacher": (teacher, None), "rows": "label", "noise": 0.2}
    found, same = inspect.likeness(store, [(student, None), (teacher, None)], **asked, draws=draws)
    assert np.allclose(same["cosine"], 1) and len(found["cosine"]) == len(INDICES)
    for position in (0, 1, 11, len(INDICES) - 1):
        (theirs, ours), label = maps_under_noise(store, (teacher, student), "full_jacobian", INDICES[position],
                                                 position, teacher, draws)
        theirs, ours = theirs[label].ravel(), ours[label].ravel()
        cosine = theirs @ ours / np.linalg.norm(theirs) / np.linalg.norm(ours)
        assert found["cosine"][position] == pytest.approx(cosine, abs=1e-4)
    quiet, = inspect.likeness(store, [(student, None)], **{**asked, "noise": 0.0}, draws=draws)
    assert np.abs(quiet["cosine"] - found["cosine"]).max() > 1e-3


@pytest.mark.parametrize("draws", [1, 3])
def test_the_maps_of_a_class_under_noise_are_means_over_images_and_draws(trained, draws):  # noqa: F811
    store, teacher, student, _ = trained
    indices = torch.nonzero(data.images(DIGITS, "test").labels == 4).flatten().tolist()[:30]
    found = inspect.class_maps(store, [(student, None)], "full_jacobian", 4, 30, (teacher, None), noise=0.2,
                               draws=draws)
    each = [maps_under_noise(store, (student,), "full_jacobian", index, position, teacher, draws)[0][0]
            for position, index in enumerate(indices)]
    np.testing.assert_allclose(found["entries"][0]["maps"], np.mean(each, 0), rtol=1e-3, atol=1e-5)
    pixels = [noisy(data.images(DIGITS, "test", index=torch.tensor([index]))[:].pixels, 0.2, 0, position)[0].numpy()
              for position, index in enumerate(indices)]
    np.testing.assert_allclose(found["pixels"], np.mean(pixels, 0).clip(0, 1), atol=1e-6)


def test_of_many_images_only_the_rows_that_are_asked_for_are_computed(trained, monkeypatch):  # noqa: F811
    """One derivative a network for each batch, of the whole Jacobian ten; and of the teacher once."""
    store, teacher, student, _ = trained
    passes, made = [], torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", lambda *given, **how: passes.append(1) or made(*given, **how))
    asked = {"kind": "full_jacobian", "indices": INDICES, "teacher": (teacher, None)}
    inspect.likeness(store, [(student, None), (student, 0)], rows="label", **asked)
    assert len(passes) == 2 * 3, "two batches, the teacher and two students"


def test_maps_are_drawn_of_fewer_images_where_they_are_large():
    images = data.Images(torch.zeros(2, 3, 224, 224), torch.zeros(2, dtype=torch.int64))
    assert MAPS_OF.at_a_time(images, 1000) == 1 and MAPS_OF.at_a_time(images, 1) == 3
    assert MAPS_OF.at_a_time(data.Images(torch.zeros(2, 1, 8, 8), images.labels), 10) == MAPS_OF.MOST


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """A store with an untrained network on shapes with a watermark, and one on shapes without."""
    store, runs = Store(tmp_path_factory.mktemp("shapes")), []
    with pytest.MonkeyPatch.context() as patch:  # the training images take long to draw, and nobody looks at them
        patch.setattr(drawing, "arrays", lambda watermark: dict.fromkeys(
            drawing.COUNTS, (drawing.drawn("test", watermark).pixels, drawing.drawn("test", watermark).labels)))
        for watermark in (True, False):
            config = read({"data": {"name": "shapes", "watermark": watermark}, "network": network("conv_student", 0.1)})
            runs.append(store.submit(config.planned(), "marked" if watermark else "plain"))
            save(store, runs[-1], config)
        yield store, *runs


def test_what_lies_on_the_object_is_summed_up(shapes):
    store, marked, plain = shapes
    config = data.DataConfig(name="shapes", watermark=True)
    found = inspect.on_object(store, [(marked, 0)], "full_jacobian", INDICES, rows="label")
    for place in ("object", "watermark"):
        masks = data.masks(config, "test", torch.tensor(INDICES), of=place).numpy()
        np.testing.assert_allclose(found["covers"][place], masks.reshape(len(INDICES), -1).mean(1))
        for i in (0, len(INDICES) - 1):
            entry, = inspect.maps(store, [(marked, 0)], "full_jacobian", INDICES[i])
            strength = np.abs(entry["maps"][inspect.image(store, marked, INDICES[i])["label"]]).sum(0)
            assert found["entries"][0][place][i] == pytest.approx(strength[masks[i]].sum() / strength.sum(), rel=1e-4)
    noise = inspect.on_object(store, [(marked, 0)], "full_jacobian", INDICES, rows="label", noise=0.2, draws=3)
    for i in (0, 9, len(INDICES) - 1):
        (maps,), label = maps_under_noise(store, (marked,), "full_jacobian", INDICES[i], i, None, 3)
        strength, mask = np.abs(maps[label]).sum(0), data.masks(config, "test", torch.tensor(INDICES))[i].numpy()
        assert noise["entries"][0]["object"][i] == pytest.approx(strength[mask].sum() / strength.sum(), rel=1e-3)
    without = inspect.on_object(store, [(plain, 0)], "cost_gradient", [0, 1])
    assert set(without["covers"]) == {"object"} and set(without["entries"][0]) == {"object", "reason"}


def test_where_no_one_knows_the_object_there_is_a_sentence(trained):  # noqa: F811
    store, _, student, _ = trained
    with pytest.raises(UserError, match="It is not known where the object is in Digits"):
        inspect.on_object(store, [(student, None)], "full_jacobian", [0])


def test_a_network_without_such_a_map_says_why(tmp_path):
    store, runs = Store(tmp_path), []
    for classes in (10, 12):
        config = read({"data": {"name": "digits"}, "network": {**network("fc_student", 0.05), "classes": classes}})
        runs.append(store.submit(config.planned()))
        save(store, runs[-1], config)
    ours, other = inspect.likeness(store, [(runs[0], 0), (runs[1], 0)], "full_jacobian", [0, 1], (runs[0], 0))
    assert ours["reason"] == "" and "tells other classes apart" in other["reason"] and "cosine" not in other


def test_maps_of_many_images_are_drawn_a_few_at_a_time_in_all_networks(trained, monkeypatch):  # noqa: F811
    """What is held for some images is let go before the next ones are looked at."""
    store, teacher, student, _ = trained
    made, alive = MAPS_OF.drawer, []

    def watched(*arguments):
        draw = made(*arguments)
        assert not any(reference() for reference in alive), "those before are let go"
        alive.append(weakref.ref(draw))
        return draw

    monkeypatch.setattr(MAPS_OF, "drawer", watched)
    inspect.class_maps(store, [(teacher, None), (student, None)], "cost_gradient", 4, 50, (teacher, None))
    assert len(alive) == 2


WIDE = models.build(NetworkConfig(name="conv_student", width=0.1), (3, 32, 32), 5).eval()


@pytest.mark.parametrize("name", ATTRIBUTIONS)
def test_attributions_of_many_images_are_those_of_each_and_bounded(name):
    """Neither does a network see many copies of many images at once, nor of one image very many in all."""
    pixels, labels = torch.rand(25, 3, 32, 32, generator=torch.Generator().manual_seed(2)), torch.arange(25) % 5
    sizes = []
    watch = WIDE.register_forward_hook(lambda module, given, out: sizes.append(len(out)))
    together = attribution(name, WIDE, pixels, labels)
    watch.remove()
    assert max(sizes) <= 100 and sum(sizes) <= 25 * 100
    for i in (0, 24):
        alone = attribution(name, WIDE, pixels[i : i + 1], labels[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-3, atol=1e-6)


@torch.no_grad()
def test_occlusion_is_what_the_answer_loses_without_each_square():
    pixels = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    found = attribution("occlusion", WIDE, pixels, torch.tensor([1, 3]))
    for i, label in enumerate((1, 3)):
        for top in range(0, 32, 4):
            for left in range(0, 32, 4):
                covered = pixels[i : i + 1].clone()
                covered[..., top : top + 4, left : left + 4] = 0
                lost = WIDE(pixels[i : i + 1])[0, label] - WIDE(covered)[0, label]
                here = found[i, :, top : top + 4, left : left + 4]
                torch.testing.assert_close(here, lost.expand(3, 4, 4), rtol=1e-3, atol=1e-5)
