"""A user's own images: what is read, what is left out and why, and that it is decoded once."""

import io
import stat
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from kdcore import data
from kdcore.data import DataConfig, decoded, folder
from kdcore.errors import UserError
from kdcore.places import cache_folder
from tests.data.made import class_folders, encoded, picture, write, zipped


def own(path, **more):
    return DataConfig(name="folder", path=str(path), **more)


@pytest.fixture
def pets(tmp_path):
    return write(tmp_path / "pets", class_folders())


def test_class_folders_are_a_set(pets):
    found = data.source(own(pets))
    assert (found.title, found.shape, found.classes) == ("pets", (3, 32, 32), ("cat", "dog"))
    assert (found.train, found.test, found.left_out) == (16, 4, ())
    assert found.sentence.startswith("20 images of 2 classes in ")
    assert found.sentence.endswith(", 4 of them to test on, read at 32×32 pixels.")
    assert data.images(own(pets), "test").labels.tolist() == [0, 0, 1, 1]


def test_pixels_are_the_files_largest_centred_square(tmp_path):
    grey = Image.fromarray(np.tile(np.repeat(np.array([0, 100, 200, 0], np.uint8), 8), (16, 1)))  # 32 wide, 16 high
    write(tmp_path / "set", {f"{name}/{n}.png": encoded(grey) for name in "ab" for n in range(3)})
    pixels = data.images(own(tmp_path / "set", size=16), "train").pixels
    assert pixels.shape == (4, 1, 16, 16)
    assert (pixels[:, 0, :, :8] == 100 / 255).all() and (pixels[:, 0, :, 8:] == 200 / 255).all()


def test_the_split_is_fixed_and_a_fifth_of_each_class(tmp_path):
    """Whatever it is called and wherever it is; the train and the test part share no image."""
    parts = []
    for place in ("one", "two/three"):
        config = own(write(tmp_path / place, class_folders(count=15)))
        parts.append({part: data.images(config, part) for part in ("train", "test")})
        assert parts[-1]["test"].labels.bincount().tolist() == [3, 3]
    assert torch.equal(parts[0]["test"].pixels, parts[1]["test"].pixels)
    whole = torch.cat([part.pixels for part in parts[0].values()]).flatten(1)
    assert len(whole.unique(dim=0)) == 30


LAYOUTS = {
    "train and test": {"train": "train", "test": "test"},
    "train and val": {"train": "train", "val": "test"},
    "training and validation": {"Training": "train", "Validation": "test"},
    "all three": {"train": "train", "val": "train", "test": "test"},
}


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
@pytest.mark.parametrize("top", ["", "wrapped/", "twice/wrapped/"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_parts_are_found(layout, top, packed, tmp_path):
    files = {f"{top}README.txt": b"about", f"{top}.DS_Store": b"x", "__MACOSX/train/cat/._000.png": b"x"}
    for part in LAYOUTS[layout]:
        files |= class_folders(count=3, top=f"{top}{part}/")
    place = zipped(tmp_path / "set.zip", files) if packed else write(tmp_path / "set", files)
    found = data.source(own(place))
    counts = {kind: 6 * list(LAYOUTS[layout].values()).count(kind) for kind in ("train", "test")}
    assert {"train": found.train, "test": found.test} == counts and found.classes == ("cat", "dog")
    assert found.left_out == (f"{top}README.txt: it lies in no class folder",)


def test_a_relative_path_starts_in_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("KD_DATA", str(tmp_path))
    zipped(tmp_path / "pets.zip", class_folders())
    assert data.source(own("pets.zip")).train == 16


def test_unusable_files_are_named_and_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(decoded, "MOST_PIXELS", 10_000)
    files = class_folders() | {
        "cat/empty.png": b"", "cat/text.jpg": b"this is text", "cat/cut.png": encoded(picture(1))[:60],
        "dog/large.png": encoded(Image.new("L", (101, 100))), "dog/notes.md": b"notes", "loose.png": b"",
        "fish/only.jpg": b"nothing"}
    found = data.source(own(write(tmp_path / "set", files)))
    assert (found.train + found.test, found.classes) == (20, ("cat", "dog"))
    reasons = dict(line.split(": ", 1) for line in found.left_out)
    assert set(reasons) == set(files) - set(class_folders()) | {"fish"}
    assert "more than 0 million pixels (101×100)" in reasons["dog/large.png"]
    assert "not an image file" in reasons["dog/notes.md"]
    assert "no image in this class folder" in reasons["fish"] and "class folder" in reasons["loose.png"]
    assert all("cannot be decoded" in reasons[f"cat/{name}"] for name in ("empty.png", "text.jpg", "cut.png"))
    assert found.sentence.endswith("; 8 files or folders were left out.")
    why = decoded.by_reason(found.left_out)
    assert sorted(why["it cannot be decoded"])[0] == "cat/cut.png (OSError)" and len(why["it cannot be decoded"]) == 4
    assert why["it has more than 0 million pixels"] == ["dog/large.png (101×100)"] and list(why)[0] != "fish"
    assert why["no image in this class folder can be used"] == ["fish"] and sum(map(len, why.values())) == 8


def test_labels_stay_with_their_images_where_files_are_left_out(tmp_path):
    """Class folders in black and in white; the first class and some files cannot be read."""
    files = {f"a/{n}.png": b"x" for n in range(3)}
    for name, shade in (("b", 0), ("c", 255)):
        files |= {f"{name}/{n}.png": encoded(Image.new("L", (8, 8), shade)) if n % 3 else b"x" for n in range(9)}
    config = own(write(tmp_path / "set", files))
    for part in ("train", "test"):
        images = data.images(config, part)
        assert torch.equal(images.pixels.amax((1, 2, 3)).long(), images.labels)
    assert data.source(config).classes == ("b", "c")


MODES = {"L": 1, "1": 1, "I;16": 1, "RGB": 3, "P": 3, "RGBA": 3, "CMYK": 3}


@pytest.mark.parametrize("mode", MODES)
def test_every_kind_of_image_file_is_read(mode, tmp_path):
    """White stays white; a set of grey files alone has one channel, any other three."""
    kind = {"CMYK": "JPEG", "I;16": "PNG"}.get(mode, "PNG")
    pixels = {"I;16": lambda: Image.fromarray(np.full((9, 9), 65535, np.uint16)),
              "RGBA": lambda: Image.new("RGBA", (9, 9), (0, 0, 0, 0))}  # nothing, on white
    image = pixels.get(mode, lambda: Image.new("RGB", (9, 9), "white").convert(mode))()
    config = own(write(tmp_path / "set", {f"{name}/{n}.{kind}": encoded(image, kind) for name in "ab"
                                          for n in range(5)}), size=8)
    images = data.images(config, "train")
    assert images.pixels.shape == (8, MODES[mode], 8, 8) and images.pixels.min() > 0.99


def test_grey_and_coloured_files_make_a_coloured_set(tmp_path):
    files = class_folders(classes=("a",)) | class_folders(classes=("b",), mode="L")
    assert data.source(own(write(tmp_path / "set", files))).shape[0] == 3


def test_a_photograph_stands_upright(tmp_path):
    image = Image.fromarray(np.repeat(np.array([0, 255], np.uint8), 8)[:, None].repeat(16, 1))  # dark above
    turned = Image.Exif()
    turned[274] = 3  # upside down
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=turned)
    config = own(write(tmp_path / "set", {f"{name}/{n}.jpg": buffer.getvalue() for name in "ab" for n in range(3)}),
                 size=16)
    pixels = data.images(config, "train").pixels
    assert pixels[:, :, 2].min() > 0.9 and pixels[:, :, -2].max() < 0.1


def test_a_zip_file_cannot_reach_out_of_itself(tmp_path):
    """Members with a path that leaves it, links, and encrypted ones are left out; nothing is written anywhere."""
    path = zipped(tmp_path / "set.zip", class_folders())
    with zipfile.ZipFile(path, "a") as archive:
        for name in ("../cat/out.png", "/cat/root.png", "cat/../../up.png", "..\\cat\\back.png", "C:\\cat\\c.png"):
            archive.writestr(name, encoded(picture(1)))
        link = zipfile.ZipInfo("cat/link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    before = sorted(tmp_path.rglob("*"))
    found = data.source(own(path))
    assert found.train + found.test == 20 and len(found.left_out) == 6
    assert sum("leaves the zip file" in line for line in found.left_out) == 5
    assert "cat/link.png: it is not a regular file" in found.left_out
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("written", [lambda name: name.replace("/", "\\"), "./{}".format, "./a//{}".format])
def test_names_in_a_zip_file_are_read_as_any_system_writes_them(written, tmp_path):
    path = zipped(tmp_path / "set.zip", {written(name): content for name, content in class_folders(top="set/").items()})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(written("set/cat/"), b"")
    found = data.source(own(path))
    assert (found.train, found.test, found.classes, found.left_out) == (16, 4, ("cat", "dog"), ())


def test_a_test_part_without_class_folders_serves_for_nothing(tmp_path):
    """As in competitions, which keep the labels; a class may also be called train."""
    files = class_folders(top="train/") | {f"test/{n}.png": encoded(picture(n)) for n in range(3)}
    found = data.source(own(write(tmp_path / "set", files)))
    assert (found.train, found.test, found.classes, len(found.left_out)) == (16, 4, ("cat", "dog"), 3)
    assert data.source(own(write(tmp_path / "toys", class_folders(("train", "test"))))).classes == ("test", "train")


def test_links_to_folders_are_followed_but_not_round_and_round(tmp_path):
    elsewhere = write(tmp_path / "elsewhere", class_folders(("dog",)))
    place = write(tmp_path / "set", class_folders(("cat",)))
    (place / "dog").symlink_to(elsewhere / "dog")
    (elsewhere / "dog" / "back").symlink_to(place)
    (place / "cat" / "itself.png").symlink_to("itself.png")
    found = data.source(own(place))
    assert (found.train, found.test, found.classes) == (16, 4, ("cat", "dog"))
    assert "cat/itself.png: it is not a regular file" in found.left_out


def test_a_class_may_have_a_colon_in_its_name(tmp_path):
    found = data.source(own(zipped(tmp_path / "set.zip", class_folders(("16:9", "4:3")))))
    assert (found.classes, found.left_out) == (("16:9", "4:3"), ())
    assert decoded.by_reason(("16:9: no image", "a: b/c.txt: it is not an image file")) == {
        "no image": ["16:9"], "it is not an image file": ["a: b/c.txt"]}


@pytest.mark.parametrize("damage", [
    lambda pixels: pixels.unlink(), lambda pixels: pixels.write_bytes(pixels.read_bytes()[:-1]),
    lambda pixels: pixels.with_suffix(".json").write_text("{")], ids=["gone", "cut", "facts"])
def test_a_damaged_cache_is_decoded_again(damage, pets, tmp_path, monkeypatch):
    monkeypatch.setenv("KD_CACHE", str(tmp_path / "cache"))
    before = data.images(own(pets), "train").pixels
    kept, = cache_folder().glob("*.pixels")
    damage(kept)
    folder._images_of.cache_clear()
    assert torch.equal(data.images(own(pets), "train").pixels, before)


def test_a_zip_bomb_is_left_out_or_refused(tmp_path, monkeypatch):
    path = zipped(tmp_path / "set.zip", class_folders() | {"cat/huge.png": bytes(10_000)})
    monkeypatch.setattr(folder, "MOST_FILE_BYTES", 9_999)
    assert data.source(own(path)).left_out == ("cat/huge.png: it is larger than 0 MiB",)
    monkeypatch.setattr(folder, "MOST_BYTES", 1000)
    folder._images_of.cache_clear()
    with pytest.raises(UserError, match="unpacks to .* is the most that is read"):
        data.source(own(path))


FAULTS = {
    "missing": lambda place: place,
    "a text": lambda place: place.write_text("text") and place,
    "cut short": lambda place: place.write_bytes(zipped(place, class_folders()).read_bytes()[:500]) and place,
    "empty": lambda place: place.mkdir() or place,
    "one class": lambda place: write(place, class_folders(classes=("cat",))),
    "nothing to test on": lambda place: write(place, class_folders(top="train/") | {"test/cat/1.png": b"x"}),
    "no images": lambda place: write(place, {"cat/a.txt": b"x", "dog/b.txt": b"x"}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_set_is_a_sentence(fault, tmp_path):
    place = FAULTS[fault](tmp_path / "set.zip")
    with pytest.raises(UserError, match=r"(?s)^[^\n]*set\.zip [^\n]*\.$"):
        data.source(own(place))


def test_a_set_is_decoded_once(pets, tmp_path, monkeypatch):
    """A later process reads the cache; a file that changed, came or went makes it anew."""
    monkeypatch.setenv("KD_CACHE", str(tmp_path / "cache"))
    first = data.images(own(pets), "train").pixels
    decodings = []
    monkeypatch.setattr(decoded, "_append", lambda *a, real=decoded._append: decodings.append(a) or real(*a))
    folder._images_of.cache_clear()
    assert torch.equal(data.images(own(pets), "train").pixels, first) and not decodings
    write(pets, {"cat/new.png": encoded(picture(99))})
    assert data.source(own(pets)).train + data.source(own(pets)).test == 21 and len(decodings) == 1
    assert len(list((tmp_path / "cache").glob("*.pixels"))) == 1, "the outdated decoding takes room"


def test_a_full_disk_is_a_sentence(pets, tmp_path, monkeypatch):
    monkeypatch.setenv("KD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(decoded.shutil, "disk_usage", lambda _: decoded.shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(UserError, match="set KD_CACHE to another folder"):
        data.source(own(pets))


def test_an_interrupted_decoding_leaves_nothing_behind(pets, tmp_path, monkeypatch):
    monkeypatch.setenv("KD_CACHE", str(tmp_path / "cache"))

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(decoded, "_drop_colour", interrupted)
        patch.setattr(decoded, "replace_file", interrupted)
        with pytest.raises(KeyboardInterrupt):
            data.source(own(pets))
    assert data.source(own(pets)).train == 16


def test_a_tenth_of_cifar_as_jpeg_files(jpeg_zip, tmp_path):
    """A real zip file: each image is what the file holds."""
    with zipfile.ZipFile(jpeg_zip) as archive:
        names = archive.namelist()[::10]
        files = {name: archive.read(name) for name in names}
    config = own(zipped(tmp_path / "tenth.zip", files))
    found = data.source(config)
    assert (found.shape, found.train, found.test, found.left_out) == ((3, 32, 32), 5000, 1000, ())
    assert found.classes == data.SOURCES["cifar10"].classes
    for part, count in (("train", 500), ("test", 100)):
        images = data.images(config, part)
        assert images.labels.bincount().tolist() == [count] * 10
        last = Image.open(io.BytesIO(files[[name for name in names if f"/{part}/" in name][-1]]))
        assert np.array_equal((images.pixels[-1] * 255).round().numpy(), np.asarray(last).transpose(2, 0, 1))


@pytest.mark.heavy
def test_all_of_cifar_as_jpeg_files(jpeg_zip):
    found = data.source(own(jpeg_zip))
    assert (found.train, found.test, found.left_out) == (50_000, 10_000, ())
