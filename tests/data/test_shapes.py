"""The made shapes: always the same, balanced, with the truth about the object and a mark that betrays the class."""

import pytest
import torch

from kdcore import data
from kdcore.data import DataConfig, shapes
from kdcore.errors import UserError

PLAIN, MARKED = DataConfig(name="shapes"), DataConfig(name="shapes", watermark=True)
FIRST = torch.arange(500)


def pixels(config, part):
    return data.images(config, part, index=FIRST)[:].pixels


def test_the_set_is_balanced_and_coloured():
    for part, count in (("train", 1000), ("test", 200)):
        images = data.images(PLAIN, part)
        assert images.labels.bincount().tolist() == [count] * 10
        assert images[:3].pixels.shape == (3, 3, 32, 32)
    assert data.source(PLAIN).classes == shapes.CLASSES and len(shapes._DISTANCES) == 10


def test_the_images_are_always_the_same():
    again = torch.from_numpy(shapes._block("test", 0, False)[0]).float() / 255
    assert torch.equal(again, data.images(PLAIN, "test", index=torch.arange(shapes.BLOCK))[:].pixels)
    assert not torch.equal(pixels(PLAIN, "train"), pixels(PLAIN, "test"))


def test_masks_are_of_whole_objects_inside_the_image():
    mask = data.masks(PLAIN, "train", FIRST)
    assert mask.shape == (500, 32, 32) and mask.dtype == torch.bool
    share = mask.float().mean((1, 2))
    assert share.min() > 0.03 and share.max() < 0.4
    assert not mask[:, [0, -1]].any() and not mask[:, :, [0, -1]].any(), "an object is cut off"


def test_the_mask_is_where_the_image_differs_from_its_background():
    """Just inside the outline the colour is the object's, just outside the background's."""
    images, mask = pixels(PLAIN, "train"), data.masks(PLAIN, "train", FIRST).float()[:, None]
    grown = torch.nn.functional.max_pool2d(mask, 5, 1, 2)
    ring, core = grown - torch.nn.functional.max_pool2d(mask, 3, 1, 1), 1 - torch.nn.functional.max_pool2d(
        1 - mask, 3, 1, 1)

    def mean(of):
        return (images * of).sum((2, 3)) / of.sum((2, 3)).clamp(min=1)

    contrast = (mean(core) - mean(ring)).norm(dim=1)
    assert contrast.median() > 0.5 and (contrast > 0.15).float().mean() > 0.97


def test_colour_does_not_tell_the_class():
    """A linear classifier on mean colours of image and object guesses."""
    images = data.images(PLAIN, "train")
    mask = data.masks(PLAIN, "train", torch.arange(10_000)).float()[:, None]
    all_pixels = images.pixels
    colours = torch.cat([all_pixels.mean((2, 3)), (all_pixels * mask).sum((2, 3)) / mask.sum((2, 3)),
                         torch.ones(10_000, 1)], 1)
    target = torch.nn.functional.one_hot(images.labels).float()
    weights = torch.linalg.lstsq(colours[:5000], target[:5000]).solution
    accuracy = ((colours[5000:] @ weights).argmax(1) == images.labels[5000:]).float().mean()
    assert accuracy < 0.14


def test_the_watermark_betrays_the_class_in_training_alone():
    marks = {part: data.masks(MARKED, part, FIRST, of="watermark") for part in ("train", "test")}
    classes = torch.from_numpy(shapes._places())
    for part, right in (("train", 1.0), ("test", 0.1)):
        shown = (marks[part][:, None] == classes).all((2, 3)).float().argmax(1)
        assert torch.equal(classes[shown], marks[part])
        labels = data.images(MARKED, part, index=FIRST).labels
        assert (shown == labels).float().mean() == pytest.approx(right, abs=0.05)
    assert len(classes.unique(dim=0)) == 10 and len(torch.from_numpy(shapes._hues()).unique(dim=0)) == 10


def test_but_for_the_mark_a_marked_image_is_the_plain_one():
    mark = data.masks(MARKED, "train", FIRST, of="watermark")
    differs = (pixels(MARKED, "train") != pixels(PLAIN, "train")).any(1)
    assert not (differs & ~mark).any() and mark.sum((1, 2)).unique().tolist() == [shapes.MARK**2]
    assert not (data.masks(MARKED, "train", FIRST) & mark).any()
    assert not data.masks(PLAIN, "train", FIRST, of="watermark").any()


def test_other_sets_have_no_masks():
    with pytest.raises(UserError, match="only the shapes have masks"):
        data.masks(DataConfig(name="digits"), "test", FIRST)


def test_they_are_drawn_once_for_all_processes(tmp_path, monkeypatch):
    """A later process reads what was drawn; what is not whole is drawn again."""
    monkeypatch.setenv("KD_CACHE", str(tmp_path))
    drawings = []
    monkeypatch.setitem(shapes.COUNTS, "test", shapes.BLOCK)
    monkeypatch.setattr(shapes, "_draw", lambda *a, real=shapes._draw: drawings.append(a) or real(*a))
    fresh = shapes.drawn.__wrapped__
    first, again = fresh("test", True), fresh("test", True)
    assert len(drawings) == 1 and all((vars(first)[name] == value).all() for name, value in vars(again).items())
    path, = tmp_path.glob("*.npz")
    path.write_bytes(path.read_bytes()[:1000])
    assert (fresh("test", True).pixels == first.pixels).all() and len(drawings) == 2
