"""A set that does not fit the budget for resident images: python -m benchmarks.stream [--images N].

Makes a folder of JPEG files, more of them than `kdcore.data.batches.RESIDENT_BYTES` holds, trains on it as it streams
from the disk, and once more with the whole set in memory; each in a process of its own. Writes
benchmarks/results/stream.json and .md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.runs import status, write
from kdcore.data import batches

SIDE, BATCH, STEPS, PICTURES, CLASSES = 96, 64, 50, 1000, 10
IMAGES = 100_000
WAYS = ("streamed", "resident")


def make(folder: Path, images: int) -> None:
    """`images` files in a folder for each class; they are `PICTURES` different pictures, each under many names."""
    random = np.random.default_rng(0)
    for number in range(images):
        place = folder / f"class{number % CLASSES}" / f"{number}.jpg"
        if number < PICTURES:
            place.parent.mkdir(exist_ok=True)
            coarse = Image.fromarray(random.integers(0, 256, (12, 12, 3), dtype=np.uint8))
            coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(place, quality=90)
        else:
            os.link(folder / f"class{number % CLASSES}" / f"{number % PICTURES}.jpg", place)


def measure(folder: str, way: str) -> dict[str, float]:
    """Seconds of decoding, of a step and of its input, and the largest memory of this process while it trains."""
    from kdcore.config import read
    from kdcore.device import threads
    from kdcore.train import Training

    if way == "resident":
        batches.RESIDENT_BYTES = sys.maxsize
    began = time.perf_counter()
    config = read({"data": {"name": "folder", "path": folder, "size": SIDE}, "network": {"name": "residual8"},
                   "batch_size": BATCH, "steps": STEPS, "optimiser": {"learning_rate": 1e-3}})
    decoding = time.perf_counter() - began
    _forget(Path(os.environ["KD_CACHE"]))
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    with threads(1):
        training = Training(config, None, None)
        list(training.enter(next(training.stages())))
        training.images = _Timed(training.images)
        began = time.perf_counter()
        for _ in range(STEPS):
            training.advance()
    return {"images": len(training.images), "decoding": decoding, "step": (time.perf_counter() - began) / STEPS,
            "input": training.images.seconds / STEPS, "megabytes": status("VmHWM") / 1024}


class _Timed:
    """An image set that counts how long its answers take."""

    def __init__(self, images):
        self._images, self.seconds = images, 0.0

    def __getitem__(self, index):
        began = time.perf_counter()
        found = self._images[index]
        self.seconds += time.perf_counter() - began
        return found

    def __len__(self) -> int:
        return len(self._images)

    def __getattr__(self, name: str):
        return getattr(self._images, name)


def _forget(cache: Path) -> None:
    """Drop what the system keeps of the decoded images in memory, so that they come from the disk."""
    os.sync()
    for path in filter(Path.is_file, cache.rglob("*")):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def markdown(found: dict[str, dict[str, float]]) -> str:
    """A line for each way."""
    images = found[WAYS[0]]["images"]
    lines = ["# Images from the disk", "",
             f"{images:.0f} training images of 3×{SIDE}×{SIDE} from JPEG files, {images * 3 * SIDE**2 / 2**30:.2f} GiB "
             f"decoded; the budget for resident images is {batches.RESIDENT_BYTES / 2**30:.0f} GiB. Residual net of 8 "
             f"layers, {BATCH} images a step, {STEPS} steps, one thread; the decoded images are on the disk alone when "
             "training starts. Decoding happens once, and is found again by the second way.", "",
             "| images | decoding, s | step, s | its input, s | input's share | peak memory, MB |",
             "|---|---|---|---|---|---|"]
    lines += [f"| {way} | {one['decoding']:.0f} | {one['step']:.3f} | {one['input']:.4f} | "
              f"{one['input'] / one['step']:.1%} | {one['megabytes']:.0f} |" for way, one in found.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Make the images, measure both ways, write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=IMAGES, help="image files to make")
    parser.add_argument("--measure", nargs=2, metavar=("FOLDER", "WAY"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(*options.measure)))
        return
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "images"
        folder.mkdir()
        make(folder, options.images)
        environment = {**os.environ, "KD_CACHE": f"{home}/cache"}
        found = {way: json.loads(subprocess.run(
            [sys.executable, "-m", "benchmarks.stream", "--measure", str(folder), way], capture_output=True, text=True,
            check=True, env=environment).stdout) for way in WAYS}
    write("stream", {"ways": found}, markdown(found))


if __name__ == "__main__":
    main()
