"""CIFAR, MIT Indoor Scenes 67 and CUB-200-2011, from made files in the published layouts."""

import os
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from kdcore import data
from kdcore.data import SOURCES, DataConfig, cifar, read
from kdcore.data.sources import download
from kdcore.errors import UserError
from tests.data.made import cifar_file, encoded, write


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("KD_DATA", str(tmp_path))
    read._arrays.cache_clear()
    yield tmp_path
    read._arrays.cache_clear()


def made_cifar10(folder):
    return {name: cifar_file(folder / "cifar-10-batches-py" / name, b"labels", [at, 9 - at], at)
            for at, name in enumerate((*cifar.CIFAR10_FILES["train"], "test_batch"))}


def test_cifar10s_files_load(empty_folder):
    made = made_cifar10(empty_folder)
    config = DataConfig(name="cifar10")
    train, test = data.images(config, "train"), data.images(config, "test")
    assert train.labels.tolist() == [0, 9, 1, 8, 2, 7, 3, 6, 4, 5] and test.labels.tolist() == [5, 4]
    assert test.pixels.shape == (2, 3, 32, 32)
    rows = torch.from_numpy(made["data_batch_3"]).float().view(2, 3, 32, 32) / 255
    torch.testing.assert_close(train.pixels[4:6], rows)


def test_cifar100s_fine_labels_load(empty_folder):
    for name, labels in (("train", [0, 99, 50]), ("test", [7])):
        cifar_file(empty_folder / "cifar-100-python" / name, b"fine_labels", labels)
    config = DataConfig(name="cifar100")
    assert data.images(config, "train").labels.tolist() == [0, 99, 50]
    assert data.images(config, "test").labels.tolist() == [7] and len(data.source(config).classes) == 100


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("harm",)


SPOIL = {
    "a pickle that calls": lambda path: path.write_bytes(pickle.dumps({b"data": Hostile(), b"labels": []})),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:200]),
    "empty": lambda path: path.write_bytes(b""),
    "a web page": lambda path: path.write_bytes(b"<html>404</html>"),
    "another pickle": lambda path: path.write_bytes(pickle.dumps([1, 2])),
    "other labels": lambda path: cifar_file(path, b"labels", [0, 10]),
    "other images": lambda path: cifar_file(path, b"labels", [0, 1], pixels=np.zeros((2, 5), np.uint8)),
}


@pytest.mark.parametrize("how", SPOIL)
def test_a_spoiled_file_is_a_sentence_and_does_nothing(how, empty_folder, monkeypatch):
    monkeypatch.chdir(empty_folder)
    made_cifar10(empty_folder)
    SPOIL[how](empty_folder / "cifar-10-batches-py" / "data_batch_2")
    with pytest.raises(UserError, match=r"(?s)^CIFAR-10 cannot be read from .*download the set again\.$"):
        data.images(DataConfig(name="cifar10"), "train")
    assert not (empty_folder / "harm").exists()


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_a_missing_cifar_can_be_downloaded(name, empty_folder):
    assert SOURCES[name].downloaded() == 0 and SOURCES[name].fetch
    (empty_folder / SOURCES[name].packed).write_bytes(bytes(17_000_000))
    assert SOURCES[name].downloaded() == pytest.approx(0.1, abs=0.01)
    with pytest.raises(UserError, match=f"python -m kdcore data {name} downloads it"):
        data.images(DataConfig(name=name), "train")


def shaded(level: int, size=(12, 9)) -> bytes:
    return encoded(Image.new("RGB", size, (level,) * 3))


def made_mit67(folder):
    """Rooms whose shade is told by their file's name; a grey one among them."""
    files = {f"mit67/Images/{room}/{level}.jpg": shaded(level) for room in ("attic", "bar") for level in (0, 100, 200)}
    files["mit67/Images/bar/200.jpg"] = encoded(Image.new("L", (10, 10), 200))
    files["mit67/TrainImages.txt"] = b"bar/100.jpg\nattic/200.jpg\nattic/100.jpg\n\n"
    files["mit67/TestImages.txt"] = b"attic/0.jpg\r\nbar/200.jpg\r\nbar/gone.jpg"
    return write(folder, files)


def test_mit67s_files_load(empty_folder):
    made_mit67(empty_folder)
    config = DataConfig(name="mit67", size=16)
    found = data.source(config)
    assert (found.classes, found.shape, found.train, found.test) == (("attic", "bar"), (3, 16, 16), 3, 2)
    assert found.left_out == ("bar/gone.jpg: it is named in the lists, but is not there",)
    train, test = data.images(config, "train"), data.images(config, "test")
    assert train.labels.tolist() == [1, 0, 0] and test.labels.tolist() == [0, 1]
    assert (train.pixels.amax((1, 2, 3)) * 255).round().tolist() == [100, 200, 100]
    assert (test.pixels.amin((1, 2, 3)) * 255).round().tolist() == [0, 200]
    assert data.source(DataConfig(name="mit67")).shape == (3, 224, 224)


def made_cub200(folder):
    names = ("001.Black_footed_Albatross", "002.Laysan_Albatross", "010.Rusty_Blackbird")
    files = {f"CUB_200_2011/images/{name}/{at}.jpg": shaded(10 * at) for at, name in enumerate(names)}
    files |= {f"CUB_200_2011/images/{name}/9{at}.jpg": shaded(100 + 10 * at) for at, name in enumerate(names)}
    tables = {"classes.txt": [(1, names[0]), (2, names[1]), (10, names[2])],
              "images.txt": [(1, f"{names[0]}/0.jpg"), (2, f"{names[0]}/90.jpg"), (3, f"{names[1]}/1.jpg"),
                             (4, f"{names[1]}/91.jpg"), (5, f"{names[2]}/2.jpg"), (6, f"{names[2]}/92.jpg")],
              "image_class_labels.txt": [(1, 1), (2, 1), (3, 2), (4, 2), (5, 10), (6, 10)],
              "train_test_split.txt": [(1, 0), (2, 1), (3, 0), (4, 1), (5, 1), (6, 0)]}
    files |= {f"CUB_200_2011/{name}": "".join(f"{number} {value}\n" for number, value in rows).encode()
              for name, rows in tables.items()}
    return write(folder, files)


def test_cub200s_files_load(empty_folder):
    made_cub200(empty_folder)
    config = DataConfig(name="cub200", size=8)
    found = data.source(config)
    assert found.classes == ("Black footed Albatross", "Laysan Albatross", "Rusty Blackbird")
    train, test = data.images(config, "train"), data.images(config, "test")
    assert train.labels.tolist() == [0, 1, 2] and test.labels.tolist() == [0, 1, 2]
    assert (train.pixels.amax((1, 2, 3)) * 255).round().tolist() == [100, 110, 20]
    assert (test.pixels.amax((1, 2, 3)) * 255).round().tolist() == [0, 10, 120]


@pytest.mark.parametrize("name, page", [("mit67", "https://web.mit.edu/torralba/www/indoor.html"),
                                        ("cub200", "https://www.vision.caltech.edu/datasets/cub_200_2011/")])
def test_a_missing_set_says_where_to_get_it_and_where_to_put_it(name, page, empty_folder):
    source = data.source(DataConfig(name=name))
    assert source.shape == (3, 224, 224) and len(source.classes) == {"mit67": 67, "cub200": 200}[name]
    for ask in (lambda: data.images(DataConfig(name=name), "train"), lambda: download(name)):
        with pytest.raises(UserError) as error:
            ask()
        message = str(error.value)
        assert page in message and str(empty_folder / source.folder) in message and message.endswith(".")
        assert all(file in message for file in source.files)


@pytest.mark.parametrize("name, file, content, sentence", [
    ("mit67", "TrainImages.txt", "../../secret.jpg\n", "secret.jpg lies outside of"),
    ("mit67", "TestImages.txt", "", "TestImages.txt is empty"),
    ("cub200", "images.txt", "1\n", "images.txt has the line '1', and each is a number and a value"),
    ("cub200", "image_class_labels.txt", "1 1\n", "image_class_labels.txt has no line for the number 2"),
    ("cub200", "image_class_labels.txt", "1 1\n2 77\n", "image_class_labels.txt has no line for the number"),
    ("cub200", "train_test_split.txt", "1 x\n2 1\n3 1\n4 0\n5 0\n6 0\n", "train_test_split.txt says 'x'"),
    ("cub200", "classes.txt", "one bird\n", "classes.txt has the line 'one bird'")])
def test_a_spoiled_list_is_a_sentence_that_names_it(name, file, content, sentence, empty_folder):
    (made_mit67 if name == "mit67" else made_cub200)(empty_folder)
    (empty_folder / SOURCES[name].folder / file).write_text(content)
    with pytest.raises(UserError, match=rf"{sentence}.*\.$"):
        data.source(DataConfig(name=name, size=8))


def test_a_set_that_arrives_later_is_found(empty_folder):
    config = DataConfig(name="mit67", size=8)
    assert len(data.source(config).classes) == 67
    made_mit67(empty_folder)
    assert len(data.source(config).classes) == 2
