"""Crops and flips: those that are meant, on the whole batch at once, and the same when a run is continued."""

import pytest
import torch
from torch.nn import functional

from kdcore.data import augment
from kdcore.randomness import Draws

SHAPES = [(6, 1, 8, 8), (7, 3, 5, 9), (1, 2, 32, 32)]


def draws(step=3):
    return Draws(1, step, torch.device("cpu"))


def batch(shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def all_crops(image):
    """Every result that is possible for one image, written out."""
    padded = functional.pad(image, (4,) * 4)
    _, height, width = image.shape
    crops = [padded[:, top : top + height, left : left + width] for top in range(9) for left in range(9)]
    return crops + [crop.flip(-1) for crop in crops]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_each_image_is_cropped_and_mirrored_on_its_own(shape):
    images = batch(shape)
    seen = set()
    for step in range(40):
        varied = augment(images, draws(step), "crop_flip")
        assert varied.shape == images.shape
        for image, crop in zip(images, varied, strict=True):
            found = [at for at, known in enumerate(all_crops(image)) if torch.equal(known, crop)]
            assert found
            seen.add(found[0])
    assert len({at for at in seen if at < 81}) > 10 < len({at for at in seen if at >= 81})


def test_crops_alone_mirror_nothing():
    images = batch(SHAPES[0])
    seen = set()
    for step in range(40):
        for image, crop in zip(images, augment(images, draws(step), "crop"), strict=True):
            seen.add(next(at for at, known in enumerate(all_crops(image)) if torch.equal(known, crop)))
    assert len(seen) > 20 and max(seen) < 81


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_flips_alone_move_nothing(shape):
    images = batch(shape)
    varied = [augment(images, draws(step), "flip") for step in range(20)]
    mirrored = torch.stack([(one == images.flip(-1)).flatten(1).all(1) for one in varied])
    kept = torch.stack([(one == images).flatten(1).all(1) for one in varied])
    assert (mirrored | kept).all() and 0.2 < mirrored.float().mean() < 0.8


def test_none_is_the_image_itself():
    images = batch(SHAPES[0])
    assert augment(images, draws(), "none") is images


def test_a_step_has_its_own_crops_and_always_the_same():
    images = batch((20, 1, 8, 8))
    once, again, later = (augment(images, draws(step), "crop_flip") for step in (3, 3, 4))
    assert torch.equal(once, again) and not torch.equal(once, later)
    one = draws()
    assert torch.equal(augment(images, one, "crop_flip"), augment(images, one, "crop_flip")), "one name, one draw"


def test_numbers_of_one_name_are_drawn_once():
    one = draws()
    first = one.integers("a", 0, 9, 50)
    assert one.integers("a", 0, 9, 50) is first and not torch.equal(one.integers("b", 0, 9, 50), first)
    assert first.min() == 0 and first.max() == 8 and first.dtype == torch.int64
