"""Image files made for tests, in folders, zip files and the layouts in which sets are published."""

import io
import pickle
import zipfile

import numpy as np
from PIL import Image


def picture(seed: int, size=(20, 16), mode="RGB") -> Image.Image:
    """An image of one random colour with a little noise, so that it survives JPEG."""
    random = np.random.default_rng(seed)
    bands = 3 if mode == "RGB" else 1
    pixels = random.integers(40, 215, bands) + random.integers(-4, 5, (size[1], size[0], bands))
    return Image.fromarray(pixels.astype(np.uint8).squeeze())


def encoded(image: Image.Image, kind="PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def write(folder, files: dict[str, bytes]):
    """Write files, by their path below the folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def zipped(path, files: dict[str, bytes]):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def class_folders(classes=("cat", "dog"), count=10, top="", **how) -> dict[str, bytes]:
    """{path: content} of `count` images of each class."""
    return {f"{top}{name}/{n:03}.png": encoded(picture(1000 * at + n, **how))
            for at, name in enumerate(classes) for n in range(count)}


def cifar_file(path, key: bytes, labels: list[int], seed=0, pixels=None):
    """A file as published: a pickle of protocol 2 with bytes for keys."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if pixels is None:
        pixels = np.random.default_rng(seed).integers(0, 256, (len(labels), 3072), np.uint8)
    path.write_bytes(pickle.dumps({b"data": pixels, key: labels, b"batch_label": b"made"}, protocol=2))
    return pixels
