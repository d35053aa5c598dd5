"""Sets on the device and sets that stream give the same batches, whatever their size; memory stays bounded."""

import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from kdcore import data, worker
from kdcore.config import read
from kdcore.data import DataConfig, Images, Packed, Streamed, batches, decoded
from kdcore.train import Measurement, Snapshot, fit, train
from tests.data.made import class_folders, write


@pytest.fixture
def colours(tmp_path):
    return DataConfig(name="folder", path=str(write(tmp_path / "set", class_folders(count=25))), size=12)


def kinds(config, monkeypatch, part="train", **more):
    """The same images as float32, as uint8 and streamed."""
    found = {}
    for kind, limits in ((Images, (2**31, 2**31)), (Packed, (2**31, 0)), (Streamed, (0, 0))):
        monkeypatch.setattr(batches, "RESIDENT_BYTES", limits[0])
        monkeypatch.setattr(batches, "FLOAT_BYTES", limits[1])
        found[kind] = data.images(config, part, **more)
        assert type(found[kind]) is kind
    return found


@pytest.mark.parametrize("index", [torch.tensor([3, 0, 39, 3]), slice(5, 30), slice(38, 99), torch.tensor([7]),
                                   slice(0, 0)], ids=str)
@pytest.mark.parametrize("announced", [False, True])
def test_a_batch_does_not_depend_on_where_the_set_lies(index, announced, colours, monkeypatch):
    whole, *others = kinds(colours, monkeypatch).values()
    for images in others:
        if announced:
            images.prefetch(index)
        batch = images[index]
        assert torch.equal(batch.pixels, whole[index].pixels) and torch.equal(batch.labels, whole[index].labels)
        assert len(images) == 40 and torch.equal(images.labels, whole.labels)


def test_a_subset_and_given_labels_are_the_same_too(colours, monkeypatch):
    more = {"index": torch.tensor([30, 2, 3, 4]), "labels": torch.tensor([1, -1, 0, 1])}
    whole, packed, streamed = kinds(colours, monkeypatch, **more).values()
    for images in (packed, streamed):
        assert torch.equal(images[:].pixels, whole.pixels) and images.labels.tolist() == [1, -1, 0, 1]
    assert torch.equal(packed.pixels, whole.pixels)


@pytest.mark.parametrize("size", [1, 7, 40, 1000])
def test_chunks_are_the_whole_set_in_order(size, colours, monkeypatch):
    for images in kinds(colours, monkeypatch).values():
        chunks = list(images.chunks(size))
        assert torch.equal(torch.cat([chunk.pixels for chunk in chunks]), images[:].pixels)
        assert max(map(len, chunks)) == min(size, 40)


def test_chunks_of_large_images_are_smaller(colours, monkeypatch):
    monkeypatch.setattr(batches, "CHUNK_BYTES", 3 * 4 * 3 * 12 * 12)
    assert [len(chunk) for chunk in data.images(colours, "test").chunks(1000)] == [3, 3, 3, 1]


def test_few_batches_wait(colours, monkeypatch):
    streamed = kinds(colours, monkeypatch)[Streamed]
    for at in range(40):
        streamed.prefetch(torch.tensor([at]))
        assert len(streamed._coming) <= batches.AHEAD
    assert len(streamed[torch.tensor([39])]) == 1 and len(streamed._coming) == batches.AHEAD - 1


@pytest.mark.parametrize("index", [np.array([4, 5, 6, 0, 9, 9, 8]), np.array([], np.int64), slice(2, 7)], ids=str)
def test_rows_of_a_file_are_those_of_the_array(index, tmp_path):
    rows = np.random.default_rng(0).integers(0, 256, (13, 2, 3, 4), np.uint8)
    (tmp_path / "rows").write_bytes(rows.tobytes())
    stored = decoded.StoredPixels(tmp_path / "rows", (10, 2, 3, 4), first=3)
    assert np.array_equal(stored[index], rows[3:][index]) and len(stored) == 10 and stored.nbytes == 240


def run(config, **changes):
    return read({"data": {**config.model_dump(), "validation": 0.2, "augment": "crop_flip", "labelled_per_class": 9},
                 "network": {"name": "fc_student", "width": 0.02, "initial": "he"}, "batch_size": 7, "steps": 20,
                 "evaluations": 4, "device": "cpu", **changes})


def test_a_streamed_run_is_the_resident_one(colours, monkeypatch):
    """To the last bit: weights and measurements, with what a teacher hands over, over several epochs."""
    teacher = fit(run(colours))
    config = run(colours, method="soft_targets", teacher=run(colours).model_dump(), seed=3)
    results = []
    for limit in (2**31, 0):
        monkeypatch.setattr(batches, "RESIDENT_BYTES", limit)
        records = list(train(config, teacher=teacher))
        results.append(([r.state for r in records if isinstance(r, Snapshot)][-1],
                        [{k: v for k, v in r.values.items() if k != "seconds"} for r in records
                         if isinstance(r, Measurement)]))
    assert results[0][1] == results[1][1] and "accuracy.validation" in results[0][1][0]
    assert all(torch.equal(results[0][0][name], results[1][0][name]) for name in results[0][0])


def test_a_streamed_set_is_read_while_the_device_computes(tmp_path, monkeypatch):
    """Announced batches are there when they are asked for, even from a slow disk."""
    config = DataConfig(name="folder", path=str(write(tmp_path / "set", class_folders(count=50))), size=16)
    monkeypatch.setattr(batches, "RESIDENT_BYTES", 0)
    images = data.images(config, "train")
    monkeypatch.setattr(images, "_stored", _Slow(images._stored))
    waited = 0.0
    order = [torch.arange(at, at + 8) for at in range(0, 72, 8)]
    for batch in order[:2]:
        images.prefetch(batch)
    for at, batch in enumerate(order):
        if at + 2 < len(order):
            images.prefetch(order[at + 2])
        began = time.perf_counter()
        images[batch]
        waited += time.perf_counter() - began if at else 0
        time.sleep(0.06)  # the step
    assert waited < 0.5 * 0.05 * len(order), "reading was waited for"


class _Slow:
    def __init__(self, stored):
        self._stored, self.shape = stored, stored.shape

    def __getitem__(self, index):
        time.sleep(0.05)
        return self._stored[index]


MEMORY = """
import resource, sys
import numpy as np, torch
from pathlib import Path
from kdcore.data import batches, decoded
batches.RESIDENT_BYTES = 2**20
stored = decoded.StoredPixels(Path(sys.argv[1]), (2000, 3, 96, 96))
images = batches.on_device(stored, np.arange(2000), torch.zeros(2000).long(), 255.0, torch.device("cpu"))
images[torch.arange(50)]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
order = torch.randperm(2000).split(50)
for at, index in enumerate(order):
    for later in order[at + 1 : at + 3]:
        images.prefetch(later)
    images[index]
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_a_streamed_set_takes_the_memory_of_its_batches(tmp_path):
    """55 MB on the disk, batches of 1.4 MB (5.5 MB as float32)."""
    with (tmp_path / "pixels").open("wb") as file:
        file.truncate(2000 * 3 * 96 * 96)
    ended = subprocess.run([sys.executable, "-c", MEMORY, str(tmp_path / "pixels")], capture_output=True, text=True,
                           cwd=worker.ROOT, check=True)
    assert float(ended.stdout) < 30
