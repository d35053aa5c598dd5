"""Which images keep their label, which get a wrong one, which are held out: balanced, seeded, nested."""

from itertools import pairwise

import pytest
import torch

from kdcore import data
from kdcore.config import RunConfig, read
from kdcore.data import DataConfig, selection
from kdcore.errors import UserError


def run(seed=0, teacher=None, **settings):
    return RunConfig(data={"name": "digits", **settings}, network={"name": "fc_student"}, seed=seed, teacher=teacher)


def true_labels(index):
    return torch.from_numpy(data.arrays(DataConfig(name="digits"))["train"][1])[index]


def test_without_settings_every_image_keeps_its_label():
    chosen = selection(run(per_class=20))
    assert torch.equal(chosen.labels, true_labels(chosen.train)) and not len(chosen.validation)


def test_so_many_labels_of_each_class_are_kept():
    chosen = selection(run(labelled_per_class=7))
    kept = chosen.labels >= 0
    assert len(chosen.train) == 1297 and chosen.labels[kept].bincount().tolist() == [7] * 10
    assert torch.equal(chosen.labels[kept], true_labels(chosen.train)[kept])
    assert chosen.labels[~kept].unique().tolist() == [-1]


def labelled(run_seed, count, **settings):
    chosen = selection(RunConfig(data={"name": "digits", "labelled_per_class": count, **settings}, seed=run_seed,
                                 network={"name": "fc_student"}))
    return set(chosen.train[chosen.labels >= 0].tolist())


def test_the_seed_decides_which_labels_and_fewer_are_among_more():
    assert labelled(1, 5) != labelled(2, 5) and labelled(1, 5) == labelled(1, 5)
    assert labelled(1, 5, seed=3) == labelled(2, 5, seed=3) == labelled(3, 5)
    assert all(few < more for few, more in pairwise(labelled(4, count) for count in (1, 5, 50)))


@pytest.mark.parametrize("settings", [{}, {"labelled_per_class": 30}], ids=str)
def test_a_share_of_the_labels_is_wrong(settings):
    plain, noisy = (selection(run(seed=2, label_noise=share, **settings)) for share in (0.0, 0.3))
    kept = plain.labels >= 0
    assert torch.equal(kept, noisy.labels >= 0) and torch.equal(plain.train, noisy.train)
    wrong = noisy.labels != plain.labels
    assert int(wrong.sum()) == round(0.3 * int(kept.sum())) and noisy.labels.max() <= 9
    assert noisy.labels[wrong].bincount(minlength=10).min() > 0


def test_noise_is_seeded_and_less_of_it_is_among_more():
    def wrong(share, seed=5):
        chosen = selection(run(seed, label_noise=share))
        return {(index, label) for index, label, true in zip(chosen.train.tolist(), chosen.labels.tolist(),
                                                              true_labels(chosen.train).tolist()) if label != true}

    assert wrong(0.1) < wrong(0.4) < wrong(0.9) and wrong(0.2) == wrong(0.2) != wrong(0.2, seed=6)


def test_validation_is_a_balanced_share_of_the_drawn_images():
    whole, chosen = selection(run(per_class=20)), selection(run(per_class=20, validation=0.2))
    assert true_labels(chosen.validation).bincount().tolist() == [4] * 10
    assert true_labels(chosen.train).bincount().tolist() == [16] * 10
    both = set(chosen.train.tolist()) | set(chosen.validation.tolist())
    assert both == set(whole.train.tolist()) and len(both) == 200


def test_runs_on_all_images_hold_out_the_same_ones():
    """So that a teacher did not learn what its student is validated on."""
    first, second = (selection(run(seed, validation=0.2)) for seed in (1, 2))
    assert torch.equal(first.validation, second.validation) and len(first.validation) == pytest.approx(259, abs=5)


def test_a_student_learns_nothing_that_its_teacher_held_out():
    teacher = run(3, per_class=50, validation=0.2)
    taught, held_out = (set(part.tolist()) for part in (selection(teacher).train, selection(teacher).validation))
    for settings in ({"per_class": 10}, {"per_class": 10, "validation": 0.5}):
        student = selection(run(8, teacher, **settings))
        assert set(student.train.tolist()) <= taught and not set(student.train.tolist()) & held_out


@pytest.mark.parametrize("settings, words", [
    ({"labelled_per_class": 128}, r"Of class \d, Digits has \d+ to train on; 128 labelled per class"),
    ({"per_class": 5, "labelled_per_class": 6}, "Of class 0, Digits has 5 to train on; 6 labelled per class"),
    ({"per_class": 10, "labelled_per_class": 10, "validation": 0.2}, "Of class 0, Digits has 8 to train on"),
    ({"per_class": 1, "validation": 0.2}, "none to validate on; change validation, or take more images"),
    ({"per_class": 1, "validation": 0.9}, "none to train on; change validation, or take more images")])
def test_what_cannot_be_drawn_is_a_sentence(settings, words):
    with pytest.raises(UserError, match=words + r".*\.$"):
        selection(run(**settings))


@pytest.mark.parametrize("settings, words", [
    ({"name": "folder"}, "Give the path of a folder or zip file"), ({"name": "digits", "path": "x"}, "Give the path"),
    ({"name": "digits", "size": 16}, "Digits has one size"), ({"name": "shapes", "size": 64}, "Shapes has one size"),
    ({"name": "digits", "watermark": True}, "Only the shapes have a watermark"),
    ({"name": "digits", "labelled_share": 0.5}, "Every image has a label; say how many of each class keep theirs"),
    ({"name": "digits", "label_noise": 1.0}, "label_noise must be less than 1, and not 1.0"),
    ({"name": "digits", "label_noise": float("nan")}, "label_noise = NaN is not possible"),
    ({"name": "digits", "validation": -0.1}, "validation must be at least 0, and not -0.1"),
    ({"name": "digits", "augment": "mixup"}, "augment = \"mixup\" is not possible"),
    ({"name": "mit67", "size": 4}, "size must be at least 8, and not 4"),
    ({"name": "folder", "path": "missing.zip"}, "there is no such folder or file"),
    ({"name": "folder", "path": "missing.zip", "images": 5}, "there is no such folder or file")], ids=str)
def test_an_impossible_configuration_is_a_sentence(settings, words):
    with pytest.raises(UserError) as error:
        read({"data": settings, "network": {"name": "fc_student"}})
    assert words in str(error.value) and str(error.value).endswith(".")


def test_a_run_sees_its_images_with_its_labels():
    one = run(per_class=20, validation=0.2, labelled_per_class=3, label_noise=0.5)
    chosen = selection(one)
    train, held_out = data.of_run(one, "train"), data.of_run(one, "validation")
    assert torch.equal(train.labels, chosen.labels) and len(data.of_run(one, "test")) == 500
    assert torch.equal(held_out.labels, true_labels(chosen.validation)), "the truth is measured, not the noise"
    stored = data.images(one.data, "train").pixels
    assert torch.equal(train.pixels, stored[chosen.train]) and torch.equal(held_out.pixels, stored[chosen.validation])
    index = torch.tensor([5, 0])
    picked = data.of_run(one, "train", index=index)
    assert torch.equal(picked.pixels, train.pixels[index]) and torch.equal(picked.labels, train.labels[index])
    with pytest.raises(UserError, match="holds out no images"):
        data.of_run(run(), "validation")
