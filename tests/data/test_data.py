"""Image sets: the digits, MNIST's files, balanced subsets."""

import gzip
import struct
from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from kdcore import data
from kdcore.config import RunConfig
from kdcore.data import DataConfig, read, sources, training_images
from kdcore.errors import UserError

DIGITS, MNIST = DataConfig(name="digits"), DataConfig(name="mnist")
COUNT = {"train": 20, "t10k": 10}


@pytest.fixture(autouse=True)
def fresh_arrays():
    read._arrays.cache_clear()
    yield
    read._arrays.cache_clear()


@pytest.fixture
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("KD_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def made_mnist(empty_folder):
    """A handful of images in MNIST's published idx layout."""
    raw = empty_folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in COUNT.items():
        pixels = np.arange(count * 28 * 28, dtype=np.uint32).astype(np.uint8)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">4I", 0x803, count, 28, 28) + pixels.tobytes())
        labels = (np.arange(count) % 10).astype(np.uint8)
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, count) + labels.tobytes())
    return raw


def labels_of(name, index):
    return torch.from_numpy(data.arrays(DataConfig(name=name))["train"][1])[index]


def test_digits_are_all_of_scikit_learns_once():
    train, test = data.images(DIGITS, "train"), data.images(DIGITS, "test")
    assert (len(train), len(test)) == (1297, 500)
    assert train.pixels.shape == (1297, 1, 8, 8) and train.pixels.dtype == torch.float32
    assert train.labels.dtype == torch.int64
    rows = torch.cat([torch.cat([part.pixels.flatten(1) * 16, part.labels[:, None]], 1) for part in (train, test)])
    bunch = load_digits()
    assert sorted(rows.int().tolist()) == sorted(np.c_[bunch.data, bunch.target].astype(int).tolist())


def test_digits_are_in_0_to_1_and_fifty_of_each_are_tests():
    for part in ("train", "test"):
        pixels = data.images(DIGITS, part).pixels
        assert pixels.min() == 0 and pixels.max() == 1
    assert data.images(DIGITS, "test").labels.bincount().tolist() == [50] * 10


def test_digits_are_split_once_and_for_all():
    first = data.images(DIGITS, "test")
    read._arrays.cache_clear()
    np.random.seed(5)
    assert torch.equal(first.pixels, data.images(DIGITS, "test").pixels)


def test_indexing_picks_rows():
    index = torch.tensor([5, 3, 900])
    whole, picked = data.images(DIGITS, "train"), data.images(DIGITS, "train", index=index)
    assert torch.equal(whole[index].pixels, picked.pixels) and torch.equal(whole.labels[index], picked.labels)


@pytest.mark.parametrize("config, counts", [
    ({"images": 50}, [5] * 10), ({"per_class": 7}, [7] * 10), ({"images": 13}, [2] * 3 + [1] * 7),
    ({"images": 3}, [1] * 3 + [0] * 7)], ids=str)
def test_a_subset_is_balanced(config, counts):
    index = data.subset(DataConfig(name="digits", **config), 0)
    assert labels_of("digits", index).bincount(minlength=10).tolist() == counts
    assert len(index.unique()) == len(index)


def test_no_number_is_all_of_them():
    assert data.subset(DIGITS, 3).tolist() == list(range(1297))


def test_a_subset_is_decided_by_its_seed():
    def drawn(run_seed, seed=None):
        return data.subset(DataConfig(name="digits", images=50, seed=seed), run_seed)

    assert torch.equal(drawn(1), drawn(1)) and not torch.equal(drawn(1), drawn(2))
    assert torch.equal(drawn(1, seed=4), drawn(2, seed=4)) and torch.equal(drawn(4), drawn(9, seed=4))


@pytest.mark.parametrize("inside", [None, torch.arange(0, 1297, 2)], ids=["all", "half"])
def test_smaller_subsets_lie_inside_larger_ones(inside):
    drawn = [set(data.subset(DataConfig(name="digits", images=size), 7, inside).tolist()) for size in (3, 10, 13, 300)]
    assert all(small < large for small, large in pairwise(drawn))
    assert inside is None or drawn[-1] <= set(inside.tolist())


def test_a_draw_does_not_depend_on_the_order_it_draws_from():
    inside, config = torch.arange(0, 1297, 2), DataConfig(name="digits", images=50)
    assert torch.equal(data.subset(config, 7, inside), data.subset(config, 7, inside.flip(0)))


def run(images, seed, teacher=None, **more):
    return RunConfig(data={"name": "digits", "images": images}, network={"name": "fc_student"}, seed=seed,
                     teacher=teacher, **more)


def test_a_students_images_lie_inside_its_teachers():
    """Whatever the two seeds; and at the teacher's own size both saw the same images."""
    teacher = run(200, 3)
    seen = set(training_images(teacher).tolist())
    for images in (10, 50, 200):
        assert set(training_images(run(images, 8, teacher)).tolist()) <= seen
    assert set(training_images(run(200, 8, teacher)).tolist()) == seen


def test_a_student_of_more_images_than_its_teacher_draws_from_all():
    assert torch.equal(training_images(run(300, 8, run(200, 3))), training_images(run(300, 8)))


@pytest.mark.parametrize("config", [{"per_class": 128}, {"images": 1290}])
def test_too_few_images_of_a_class_is_a_sentence(config):
    with pytest.raises(UserError, match=r"^Of class \d, Digits has \d+ to draw from; \d+ were asked for\. Ask .*\.$"):
        data.subset(DataConfig(name="digits", **config), 0)


def test_a_missing_set_is_a_sentence_with_folder_and_command(empty_folder):
    with pytest.raises(UserError) as error:
        data.images(MNIST, "train")
    message = str(error.value)
    assert "python -m kdcore data mnist" in message and str(empty_folder / "MNIST" / "raw") in message
    assert "train-images-idx3-ubyte" in message and message.endswith(".")
    assert not sources.SOURCES["mnist"].present() and sources.SOURCES["digits"].present()


def test_a_set_that_arrives_later_is_found(empty_folder, request):
    with pytest.raises(UserError):
        data.images(MNIST, "train")
    request.getfixturevalue("made_mnist")
    assert len(data.images(MNIST, "train")) == 20


def test_mnists_files_load(made_mnist):
    for part, count in (("train", 20), ("test", 10)):
        images = data.images(MNIST, part)
        assert images.pixels.shape == (count, 1, 28, 28) and images.labels.tolist() == [n % 10 for n in range(count)]
        values = torch.arange(count * 784).remainder(256).view(count, 1, 28, 28) / 255
        torch.testing.assert_close(images.pixels, values)
    assert labels_of("mnist", data.subset(DataConfig(name="mnist", images=20), 0)).bincount().tolist() == [2] * 10


def test_fewer_images_on_the_disk_than_published_is_a_sentence(made_mnist):
    with pytest.raises(UserError, match="Of class 0, MNIST has 2 to draw from"):
        data.subset(DataConfig(name="mnist", images=50), 0)


SPOIL = {
    "truncated": lambda content: content[:500],
    "empty": lambda content: b"",
    "still packed": gzip.compress,
    "a web page": lambda content: b"<!DOCTYPE html><html>404 not found</html>",
    "labels for images": lambda content: struct.pack(">2I", 0x801, 3) + b"abc",
}


@pytest.mark.parametrize("how", SPOIL)
def test_a_spoiled_file_is_a_sentence(how, made_mnist):
    path = made_mnist / "train-images-idx3-ubyte"
    path.write_bytes(SPOIL[how](path.read_bytes()))
    with pytest.raises(UserError, match=r"(?s)^MNIST cannot be read from .*\.$") as error:
        data.images(MNIST, "train")
    assert str(made_mnist) in str(error.value)


def test_mnist_is_the_published_one(real_data):
    for part, count in (("train", 60000), ("test", 10000)):
        pixels, labels = data.arrays(MNIST)[part]
        assert pixels.shape == (count, 1, 28, 28) and len(labels) == count
    assert data.arrays(MNIST)["train"][1][:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert data.arrays(MNIST)["train"][0].mean() / 255 == pytest.approx(0.1307, abs=1e-4)


def test_the_papers_subsets_of_mnist(real_data):
    sizes = (50, 1000, 20000)
    drawn = [data.subset(DataConfig(name="mnist", images=size), 0) for size in sizes]
    for index, size in zip(drawn, sizes, strict=True):
        assert labels_of("mnist", index).bincount().tolist() == [size // 10] * 10
    assert set(drawn[0].tolist()) < set(drawn[1].tolist()) < set(drawn[2].tolist())
