"""What the Data page shows, against what trains: which images, with which labels, and how they are varied."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from kdcore import data, inspect
from kdcore.config import read
from kdcore.data import DataConfig, shapes
from kdcore.errors import UserError
from kdcore.randomness import Draws
from kdcore.store import Store
from tests.data.made import class_folders, write

LEARNS = {"data": {"name": "digits", "per_class": 8, "labelled_per_class": 5, "label_noise": 0.3, "validation": 0.25,
                   "augment": "crop"}, "network": {"name": "fc_student", "width": 0.05}, "steps": 1, "seed": 3}
DIGITS = {"name": "digits"}


@pytest.fixture
def run(tmp_path):
    store = Store(tmp_path)
    return store, store.submit(read(LEARNS).planned())


def test_a_set_is_counted_by_class_and_part(tmp_path):
    found = inspect.image_groups(Store(tmp_path), content=DIGITS)
    whole = data.arrays(DataConfig(**DIGITS))
    assert {name: values.tolist() for name, values in found.items()} == {
        name: [int((whole[part][1] == label).sum()) for label in range(10)]
        for name, part in (("training", "train"), ("test", "test"))}


def test_a_runs_images_are_told_apart_as_it_trains_on_them(run):
    """Counted one by one, from the very images and labels that the trainer is given."""
    config, true = read(LEARNS), data.arrays(DataConfig(**DIGITS))["train"][1]
    chosen, seen = data.selection(config), data.of_run(config, "train")
    expected = {name: [0] * 10 for name in ("labelled", "wrongly labelled", "unlabelled", "held out")}
    for row, given in zip(chosen.train.tolist(), seen.labels.tolist()):
        name = "unlabelled" if given < 0 else "labelled" if given == true[row] else "wrongly labelled"
        expected[name][true[row]] += 1
    for row in chosen.validation.tolist():
        expected["held out"][true[row]] += 1
    assert {name: values.tolist() for name, values in inspect.image_groups(run[0], run=run[1]).items()} == expected
    assert [sum(values) for values in expected.values()] == [35, 15, 10, 20]


def test_examples_are_those_images_with_the_labels_that_they_are_given(run):
    config = read(LEARNS)
    chosen, whole = data.selection(config), data.arrays(config.data)["train"]
    given = dict(zip(chosen.train.tolist(), chosen.labels.tolist()))
    groups = ["labelled", "wrongly labelled", "unlabelled", "held out"]
    rows = inspect.examples(*run[:1], groups, list(range(10)), each=100, run=run[1])
    assert [len(row) for row in rows] == [8] * 10
    for label, row in enumerate(rows):
        for one in row:
            assert one["part"] == "train" and whole[1][one["index"]] == label
            held_out = one["index"] in chosen.validation.tolist()
            assert (one["group"] == "held out") == held_out
            taught = label if held_out else given[one["index"]]
            assert one["given"] == (None if taught < 0 else str(taught))
            assert np.abs(one["pixels"].astype(float) - 255 / 16 * whole[0][one["index"]]).max() <= 0.5


def test_a_draw_is_random_by_its_number(tmp_path):
    store = Store(tmp_path)

    def drawn(seed, groups=("training", "test"), classes=(3, 7)):
        rows = inspect.examples(store, list(groups), list(classes), 10, seed, content=DIGITS)
        return [[(one["part"], one["index"]) for one in row] for row in rows]

    assert drawn(0) == drawn(0) != drawn(1)
    assert all(len(set(row)) == 10 for row in drawn(0)) and drawn(0)[1] == drawn(0, classes=[7])[0]
    assert {part for row in drawn(0, ["test"]) for part, _ in row} == {"test"}
    assert {part for row in drawn(0) for part, _ in row} == {"train", "test"}


def test_a_group_that_is_not_there_is_a_sentence(run):
    with pytest.raises(UserError, match="no group training of these images; there are labelled, wrongly labelled, "):
        inspect.examples(run[0], ["labelled", "training"], [0], run=run[1])
    with pytest.raises(UserError, match="no group held out of these images; there are training, test"):
        inspect.examples(run[0], ["held out"], [0], content=DIGITS)


def test_an_image_is_varied_by_the_function_that_trains(run):
    config = DataConfig(**DIGITS)
    found = inspect.varied(run[0], "train", 5, "crop_flip", draws=6, seed=2, run=run[1])
    one = data.images(config, "train", index=torch.tensor([5]))
    seen = data.augment(one.pixels.expand(6, -1, -1, -1), Draws(2, 0, torch.device("cpu")), "crop_flip")
    assert np.array_equal(found["draws"], (255 * seen).round().byte().numpy())
    assert len({draw.tobytes() for draw in found["draws"]}) > 1 and found["masks"] == {}
    assert found["label"] == str(int(one.labels[0]))
    plain = inspect.varied(run[0], "test", 5, "none", content=DIGITS)
    assert all(np.array_equal(draw, plain["image"]) for draw in plain["draws"])
    with pytest.raises(UserError, match="test images 0 to 499; there is no image 500"):
        inspect.varied(run[0], "test", 500, "none", content=DIGITS)


@pytest.fixture
def few_shapes(tmp_path, monkeypatch):
    """The shapes, few enough to be drawn at once."""
    monkeypatch.setenv("KD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(shapes, "COUNTS", dict.fromkeys(shapes.COUNTS, shapes.BLOCK))
    shapes.drawn.cache_clear()
    yield
    shapes.drawn.cache_clear()


def test_the_shapes_come_with_their_masks(tmp_path, few_shapes):
    content = {"name": "shapes", "watermark": True}
    found = inspect.varied(Store(tmp_path), "test", 9, "none", content=content)
    assert list(found["masks"]) == ["object", "watermark"]
    for what, mask in found["masks"].items():
        true = data.masks(DataConfig(**content), "test", torch.tensor([9]), what).numpy()
        assert np.array_equal(mask, 255 * true) and mask.any()


def test_a_set_has_masks_where_it_says_so(tmp_path, monkeypatch):
    """Whatever it is called."""
    monkeypatch.setitem(data.SOURCES, "digits", replace(data.SOURCES["digits"], masked=True))
    monkeypatch.setattr(data, "masks", lambda config, part, index, of: torch.ones(1, 8, 8, dtype=torch.bool))
    assert list(inspect.varied(Store(tmp_path), "test", 9, "none", content=DIGITS)["masks"]) == ["object"]


def test_large_images_are_made_small_and_keep_their_mean(tmp_path):
    place = write(tmp_path / "set", class_folders(size=(200, 200)))
    content = {"name": "folder", "path": str(place), "size": 200}
    one = inspect.examples(Store(tmp_path), ["test"], [1], content=content)[0][0]
    whole = data.images(DataConfig(**content), "test", index=torch.tensor([one["index"]])).pixels[0]
    assert one["pixels"].shape == (3, 64, 64) and one["given"] == "dog"
    assert np.allclose(one["pixels"].mean((1, 2)) / 255, whole.mean((1, 2)), atol=0.01)
