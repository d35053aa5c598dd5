"""What a run survives: a full disk, a locked store, memory that ends, a device that goes; how it ends early."""

import multiprocessing
import os
import resource
import shutil
import sqlite3
import subprocess
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from kdcore import train, worker
from kdcore.config import read
from kdcore.errors import UserError
from kdcore.store import Store
from tests.test_worker import LONG, RUN, assert_same_run, claimed, give_up_at_once, store, unbroken  # noqa: F401

MIB = 2**20
STATM = Path("/proc/self/statm")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 16 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk can be made by root on Linux alone")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place, leave):
    """Take all but so many bytes of a disk."""
    with (place / "ballast").open("wb") as file:
        file.write(bytes(shutil.disk_usage(place).free - leave))
        os.fsync(file.fileno())


@pytest.mark.parametrize("leave", [0, 40_000, 200_000])
def test_a_full_disk_costs_nothing_that_was_recorded(unbroken, small_disk, monkeypatch, leave):  # noqa: F811
    """Whether or not there is room to say so; with room again, the run ends as the unbroken one."""
    theirs, whole = unbroken
    monkeypatch.setattr(train, "RESUME_SECONDS", 0.05)
    monkeypatch.setattr(train, "PROGRESS_SECONDS", 0.0)
    small = Store(small_disk)
    run = small.submit(read(LONG).planned())
    worker.execute(small, small.queue.claim(99))  # its teacher
    row, real = small.queue.claim(99), train.train

    def filling(*arguments, **named):
        for record in real(*arguments, **named):
            yield record
            if record.step == 100 and isinstance(record, train.Measurement):
                fill(small_disk, leave)

    monkeypatch.setattr(train, "train", filling)
    with pytest.raises(UserError, match="The disk is full; what was recorded before is kept"):
        worker.execute(small, row)
    monkeypatch.setattr(train, "train", real)
    state = small.run(run)["state"]
    assert state in ("running", "failed") and small.curves([run], "accuracy")[run][0][-1] >= 90
    (small_disk / "ballast").unlink()
    give_up_at_once(monkeypatch)
    small.queue.restart([run])
    row = small.queue.claim(99, run)
    assert worker.execute(small, row) == "done"
    assert_same_run(small, run, whole, theirs)


def test_a_store_that_is_locked_for_ten_seconds_delays_and_loses_nothing(unbroken):  # noqa: F811
    store, whole = unbroken  # noqa: F811
    run = store.submit(read(LONG).planned())
    row, locked = store.queue.claim(99, run), threading.Event()

    def lock():
        while store.run(run)["step"] < 50:
            time.sleep(0.002)
        with closing(sqlite3.connect(store.folder / "store.sqlite", isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            locked.set()
            time.sleep(10)
            db.execute("ROLLBACK")

    thread = threading.Thread(target=lock)
    thread.start()
    began = time.monotonic()
    assert worker.execute(store, row) == "done"
    thread.join()
    assert locked.is_set() and time.monotonic() - began > 10
    assert_same_run(store, run, whole)


def in_little_memory(folder, claimed):
    """In a process of its own, with room for 300 MiB more than it has."""
    pages = int(STATM.read_text().split()[0])
    most = pages * os.sysconf("SC_PAGESIZE") + 300 * MIB
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    try:
        worker.execute(Store(folder), claimed)
    except UserError:
        os._exit(0)
    os._exit(1)


@pytest.mark.skipif(not STATM.exists(), reason="Linux counts the memory")
def test_a_run_whose_memory_ends_says_what_to_lower_and_its_neighbour_goes_on(store):  # noqa: F811
    """A real allocation that fails, inside a step."""
    greedy = claimed(store, network={"name": "wrn_10_1", "width": 4, "resize": 32}, batch_size=1000,
                     data={"name": "digits"})
    modest = claimed(store)
    process = multiprocessing.get_context("fork").Process(target=in_little_memory, args=(store.folder, greedy))
    process.start()
    process.join()
    assert process.exitcode == 0
    row = store.run(greedy["id"])
    assert row["state"] == "failed" and row["message"].startswith("The memory was not enough; lower the batch size")
    assert worker.execute(store, modest) == "done"


def test_a_run_whose_device_goes_away_goes_on_from_where_it_was(unbroken, monkeypatch):  # noqa: F811
    """As torch says it when a GPU must be started anew; that it is another error than too little memory."""
    store, whole = unbroken  # noqa: F811
    monkeypatch.setattr(train, "RESUME_SECONDS", 0.0)
    run, real = store.submit(read(LONG).planned()), train.train

    def failing(*arguments, **named):
        for record in real(*arguments, **named):
            yield record
            if record.step > 200:
                raise RuntimeError("CUDA error: device-side assert triggered\nCompile with `TORCH_USE_CUDA_DSA`.")

    monkeypatch.setattr(train, "train", failing)
    with pytest.raises(UserError, match=r"^The device stopped answering \(CUDA error: device-side assert.*\)\.$"):
        worker.execute(store, store.queue.claim(99, run))
    assert store.run(run)["state"] == "queued" and "goes on from its last" in store.events(run)[-1]["text"]
    monkeypatch.setattr(train, "train", real)
    assert worker.execute(store, store.queue.claim(99, run)) == "done"
    assert_same_run(store, run, whole)
    assert not worker._is_device_lost(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))


PATIENT = {**RUN, "steps": 2000, "evaluations": 100, "patience": 3,
           "data": {"name": "digits", "per_class": 20, "validation": 0.5}}


def test_a_run_that_has_stopped_improving_ends_by_itself(store):  # noqa: F811
    row = claimed(store, **PATIENT)
    assert worker.execute(store, row) == "done"
    steps, accuracies = store.curves([row["id"]], "accuracy.validation")[row["id"]]
    assert steps[-1] < 2000 and store.run(row["id"])["step"] == steps[-1] == store.snapshot_steps(row["id"])[-1]
    even = [accuracy for step, accuracy in zip(steps, accuracies) if step % 20 == 0 and step]
    assert len(even) - 1 - even.index(max(even)) == 3, "three measurements after the best"
    assert "3 measurements in a row brought nothing better" in store.events(row["id"])[-1]["text"]


def test_patience_is_not_tired_by_the_first_steps(store):  # noqa: F811
    """Where measurements lie close together, for the snapshots."""
    row = claimed(store, **{**PATIENT, "optimiser": {"learning_rate": 1e-4}})
    worker.execute(store, row)
    assert store.run(row["id"])["step"] >= 3 * 20


def test_patience_survives_a_break_and_is_no_part_of_runs_without_it(store):  # noqa: F811
    records = list(train.train(read(PATIENT)))
    end = records[-1].step
    for at in (end // 3, end - 30):
        records = iter(train.train(read(PATIENT)))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(train, "PROGRESS_SECONDS", 0.0)
            state = next(records.send("please").state for record in records
                         if isinstance(record, train.Progress) and record.step >= at)
        assert list(train.train(read(PATIENT), resume=state))[-1].step == end
    assert read({**RUN, "patience": None}).hash() == read(RUN).hash() != read({**RUN, "patience": 5}).hash()


def test_patience_waits_for_the_last_stage_and_looks_at_the_loss_where_nothing_is_held_out():
    stage = LONG["method"]["stages"][1]
    config = read({**LONG, "patience": 1, "optimiser": {"learning_rate": 1e-12}, "method": {"stages": [
        {**stage, "name": "first", "share": 0.5}, {**stage, "share": 0.5}]}})
    end = list(train.train(config))[-1].step
    assert 250 < end < 500


def test_an_ensemble_has_no_patience():
    with pytest.raises(UserError, match="none can end early; leave patience empty"):
        read({**LONG, "method": "labels_ensemble", "patience": 2})
