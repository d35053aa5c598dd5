"""The worker: a run ends done, stopped or failed in words, and a killed one ends as if nothing had happened."""

import multiprocessing
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from kdcore import queue, snapshots, train, worker
from kdcore.config import RunConfig, read
from kdcore.errors import StaleClaim, UserError
from kdcore.store import Store

ADAM = {"learning_rate": 3e-3}
TEACHER = {"data": {"name": "digits"}, "network": {"name": "fc_teacher", "width": 0.05, "initial": "he"},
           "optimiser": ADAM, "steps": 60, "evaluations": 1, "device": "cpu"}
RUN = {"data": {"name": "digits", "per_class": 2}, "network": {"name": "fc_student", "width": 0.05, "initial": "he"},
       "optimiser": ADAM, "steps": 30, "evaluations": 6, "device": "cpu"}
# Draws of its own at every step, two stages, a connector, and Adam's moments: all that a resume point has to hold.
LONG = {**RUN, "teacher": TEACHER, "steps": 500, "evaluations": 50, "method": {"stages": [
    {"name": "maps", "share": 0.4, "objective": {
        "maps": {"share": 1, "term": {"kind": "full_jacobian", "projections": 1}},
        "hint": {"weight": 1, "term": {"kind": "hint", "connectors": "always"}},
        "labels": {"weight": 1, "term": {"kind": "cross_entropy"}}}},
    {"name": "task", "share": 0.6, "objective": {
        "maps": {"weight": 0.1, "term": {"kind": "full_jacobian", "projections": 2}},
        "labels": {"weight": 1, "term": {"kind": "cross_entropy"}}}}]}}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def give_up_at_once(monkeypatch):
    """Whoever is running is taken for dead."""
    monkeypatch.setattr(queue, "STALE_SECONDS", -1.0)
    monkeypatch.setattr(queue, "CONFIRM_SECONDS", 0.0)


def queued(store, **changes):
    return store.submit(read({**RUN, **changes}).planned())


def claimed(store, **changes):
    queued(store, **changes)
    return store.queue.claim(99)


def steps(store, run, name="accuracy"):
    return store.curves([run], name)[run][0]


def recorded(store, run):
    """Every metric but the clock's seconds."""
    return {name: store.curves([run], name)[run] for name in store.metric_names([run]) if name != "seconds"}


def assert_ended_in(store, run, state):
    row = store.run(run)
    assert (row["state"], row["finished"] is not None) == (state, True), row["message"]
    assert store.resume_point(run).exists() == (state == "stopped")
    return row["message"]


def test_a_queued_run_ends_done(store, monkeypatch):
    monkeypatch.setattr(train, "RESUME_SECONDS", -1.0)
    row = claimed(store)
    assert worker.execute(store, row) == "done"
    assert assert_ended_in(store, row["id"], "done") == ""
    assert store.run(row["id"])["step"] == 30
    assert {"accuracy", "loss", "loss.test", "seconds"} <= set(store.metric_names([row["id"]]))
    assert {0, 5, 10, 15, 20, 25, 30} <= set(steps(store, row["id"]))
    kept = store.snapshot_steps(row["id"])
    assert len(kept) <= 20 and {kept[0], kept[-1]} == {0, 30}


def test_a_student_is_taught_by_the_store_s_teacher(store):
    student = store.submit(read({**RUN, "teacher": TEACHER, "method": "full_jacobian"}).planned())
    teacher = store.queue.claim(99)
    worker.execute(store, teacher)
    worker.execute(store, store.queue.claim(99))
    assert_ended_in(store, student, "done")
    assert store.curves([student], "knowledge.full_jacobian")[student][1][-1] > 0
    assert store.find(read(TEACHER).hash())["id"] == teacher["id"]


def test_a_loss_that_stops_being_finite_is_a_sentence_and_keeps_what_was_recorded(store):
    method = {"stages": [{"objective": {"labels": {"weight": 1e30, "term": {"kind": "cross_entropy"}}}}]}
    row = claimed(store, optimiser={"kind": "sgd", "learning_rate": 10}, method=method)
    with pytest.raises(UserError, match="stopped being finite"):
        worker.execute(store, row)
    assert "stopped being finite before step" in assert_ended_in(store, row["id"], "failed")
    assert steps(store, row["id"])[0] == 0 and 0 in store.snapshot_steps(row["id"])


def test_a_missing_image_set_is_a_sentence(store, tmp_path, monkeypatch):
    monkeypatch.setenv("KD_DATA", str(tmp_path / "empty"))
    with pytest.raises(UserError, match="not on this machine"):
        queued(store, data={"name": "mnist", "images": 50})
    monkeypatch.setattr(RunConfig, "obstacle", lambda self: "")  # it was there when the run was queued
    row = claimed(store, data={"name": "mnist", "images": 50})
    with pytest.raises(UserError, match="not on this machine"):
        worker.execute(store, row)
    assert "python -m kdcore data mnist" in assert_ended_in(store, row["id"], "failed")


def failing(real, error, step):
    """A function that does what the real one does until the step, and then raises."""
    def fail(*arguments, **named):
        for record in real(*arguments, **named):
            if record.step >= step:
                raise error
            yield record

    return fail


FAULTS = {
    "The memory was not enough; lower the batch size": torch.OutOfMemoryError("CUDA out of memory. Tried 2 GiB"),
    "The memory was not enough;": MemoryError(),
    "The disk is full; what was recorded before is kept": OSError(28, "No space left on device"),
    "This run needs an operation that has no deterministic form on this device; leave": RuntimeError(
        "put does not have a deterministic implementation, but you set 'torch.use_deterministic_algorithms(True)'."),
    "An unexpected error ended the run (ZeroDivisionError: why": ZeroDivisionError("why"),
}


@pytest.mark.parametrize("sentence", FAULTS)
def test_a_fault_fails_the_run_in_words(store, monkeypatch, sentence):
    error = FAULTS[sentence]
    monkeypatch.setattr(train, "train", failing(train.train, error, step=10))
    row = claimed(store)
    with pytest.raises(UserError):
        worker.execute(store, row)
    assert assert_ended_in(store, row["id"], "failed").startswith(sentence)
    assert len(steps(store, row["id"])) > 0 and max(steps(store, row["id"])) < 10


def test_a_run_that_finds_the_store_locked_for_too_long_goes_on_later(store, monkeypatch):
    monkeypatch.setattr(train, "train", failing(train.train, sqlite3.OperationalError("database is locked"), step=10))
    row = claimed(store)
    with pytest.raises(UserError, match="^The store was locked by somebody else for half a minute.$"):
        worker.execute(store, row)
    assert store.run(row["id"])["state"] == "queued"
    assert "It goes on from its last resume point" in store.events(row["id"])[-1]["text"]


def test_a_full_disk_leaves_a_store_that_can_be_read(store, monkeypatch):
    real = snapshots.save

    def full(path, state):
        if path.stem not in ("0", "1"):
            raise OSError(28, "No space left on device")
        real(path, state)

    monkeypatch.setattr(snapshots, "save", full)
    row = claimed(store)
    with pytest.raises(UserError, match="The disk is full"):
        worker.execute(store, row)
    assert assert_ended_in(store, row["id"], "failed").startswith("The disk is full;")
    again = Store(store.folder)
    assert again.snapshot_steps(row["id"]) == [0, 1] and steps(again, row["id"]) == [0, 1]
    assert snapshots.network(again, row["id"]) is not None


def test_a_stopped_run_keeps_what_was_recorded(store, monkeypatch):
    monkeypatch.setattr(worker, "HEARTBEAT_SECONDS", 0.01)
    row = claimed(store, steps=100_000, evaluations=10_000)

    def stop_when_measured():
        while len(store.curves([row["id"]], "accuracy").get(row["id"], ([],))[0]) < 3:
            time.sleep(0.01)
        store.queue.stop([row["id"]])

    thread = threading.Thread(target=stop_when_measured)
    thread.start()
    assert worker.execute(store, row) == "stopped"
    thread.join()
    assert_ended_in(store, row["id"], "stopped")
    assert len(steps(store, row["id"])) >= 3 and store.snapshot_steps(row["id"])


def test_a_process_whose_run_was_taken_over_ends_and_stores_nothing(store, monkeypatch):
    row = claimed(store)
    give_up_at_once(monkeypatch)
    taken = store.queue.claim(99)
    with pytest.raises(StaleClaim):
        worker.execute(store, row)
    assert store.run(row["id"])["state"] == "running" and store.metric_names([row["id"]]) == []
    worker.execute(store, taken)
    assert_ended_in(store, row["id"], "done")


def test_a_damaged_resume_point_starts_the_run_anew(store):
    row = claimed(store)
    store.resume_point(row["id"]).parent.mkdir(parents=True)
    store.resume_point(row["id"]).write_text("not a resume point")
    assert worker.execute(store, row) == "done"
    assert steps(store, row["id"])[0] == 0


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """A store whose first student ran without a break."""
    store = Store(tmp_path_factory.mktemp("unbroken"))
    run = store.submit(read(LONG).planned())
    while row := store.queue.claim(99):
        worker.execute(store, row)
    assert_ended_in(store, run, "done")
    return store, run


KILLS = 20


def test_a_run_that_is_killed_at_twenty_moments_ends_as_the_unbroken_one(unbroken, monkeypatch):
    """SIGKILL at random moments, wherever they fall: the same weights and metrics to the last bit."""
    store, whole = unbroken
    give_up_at_once(monkeypatch)
    run, chance = store.submit(read(LONG).planned()), random.Random(4)
    processes = multiprocessing.get_context("fork")
    for kill in range(KILLS):
        process = processes.Process(target=execute_saving_often, args=(store.folder, store.queue.claim(99, run)))
        process.start()
        moment = (kill + chance.random()) / (KILLS + 1) * LONG["steps"]
        wait_for(partial(lambda process, moment: store.run(run)["step"] > moment or not process.is_alive(), process,
                         moment))
        time.sleep(chance.uniform(0, 0.02))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL and store.run(run)["state"] == "running", "it ended before"
    assert worker.execute(store, store.queue.claim(99, run)) == "done"
    assert_same_run(store, run, whole)


def execute_saving_often(folder, claimed):
    """In a process of its own: keep a resume point every hundredth of a second."""
    train.RESUME_SECONDS = train.PROGRESS_SECONDS = 0.01
    worker.execute(Store(folder), claimed)


def test_a_paused_run_goes_on_where_it_was(unbroken, monkeypatch):
    store, whole = unbroken
    monkeypatch.setattr(worker, "HEARTBEAT_SECONDS", 0.005)
    monkeypatch.setattr(train, "PROGRESS_SECONDS", 0.0)
    run = store.submit(read(LONG).planned())
    for share in (0.1, 0.5):
        row = store.queue.claim(99, run)
        thread = threading.Thread(target=lambda share=share: wait_for(
            lambda: store.run(run)["step"] > share * LONG["steps"]) and store.queue.pause([run]))
        thread.start()
        assert worker.execute(store, row) == "paused"
        thread.join()
        row = store.run(run)
        assert row["state"] == "paused" and row["finished"] is None and store.queue.claim(99, run) is None
        assert snapshots.load(store.resume_point(run))["step"] == row["step"] < LONG["steps"]
        store.queue.restart([run])
    assert worker.execute(store, store.queue.claim(99, run)) == "done"
    assert_same_run(store, run, whole)


def assert_same_run(store, run, whole, theirs=None):
    """Curves, snapshots and connectors to the last bit, as in the other's store; the seconds never go back."""
    theirs = theirs or store
    assert recorded(store, run) == recorded(theirs, whole)
    assert steps(store, run, "seconds") == steps(theirs, whole)
    seconds = store.curves([run], "seconds")[run][1]
    assert all(before <= after for before, after in pairwise(seconds))
    assert store.snapshot_steps(run) == theirs.snapshot_steps(whole)
    for step in store.snapshot_steps(run):
        assert_same(snapshots.load(store.snapshot(run, step)), snapshots.load(theirs.snapshot(whole, step)))


def assert_same(ours, theirs):
    """Tensors, or what holds them by name."""
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys()
        for name in ours:
            assert_same(ours[name], theirs[name])
    else:
        assert torch.equal(ours, theirs)


def started(store):
    return subprocess.Popen([sys.executable, "-m", "kdcore", "worker", "--store", str(store.folder)], cwd=worker.ROOT,
                            start_new_session=True)


def wait_for(condition, seconds=60):
    last = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < last, "it did not happen in time"
        time.sleep(0.02)
    return found


def end(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A store with two queued runs, and a real worker."""
    store = Store(tmp_path_factory.mktemp("real"))
    store.submit(read({**RUN, "teacher": TEACHER, "method": "full_jacobian"}).planned())
    process = started(store)
    try:
        wait_for(store.queue.workers)
        yield store, process
    finally:
        end(process)


def test_a_worker_finishes_what_is_queued(real):
    store, process = real
    wait_for(lambda: all(row["state"] == "done" for row in store.runs()))
    assert [row["role"] for row in store.runs()] == ["student", "teacher"]
    assert [row["pid"] for row in store.queue.workers()] == [process.pid]
    assert store.queue.workers()[0]["device"] and store.queue.workers()[0]["slots"] >= 1


def test_a_second_worker_ends_at_once(real):
    store, process = real
    assert started(store).wait(timeout=20) == 0
    assert process.poll() is None and [row["pid"] for row in store.queue.workers()] == [process.pid]


def test_a_worker_is_started_only_where_there_is_none(real, monkeypatch):
    store, _ = real
    monkeypatch.setattr(subprocess, "Popen", lambda *arguments, **named: pytest.fail("a second worker was started"))
    worker.ensure(store)


def children(pid):
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    return [int(child) for child, parent in (line.split() for line in listed.splitlines()) if int(parent) == pid]


def cpu_seconds(pid):
    """User time of a process, in clock ticks."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])


@pytest.mark.skipif(sys.platform != "linux", reason="a run's process is found by Linux's process table")
def test_a_run_whose_process_is_killed_is_finished_by_the_same_worker(real):
    store, process = real
    run = queued(store, steps=1500, evaluations=100, seed=5)
    wait_for(lambda: store.run(run)["step"] > 0)
    grandchildren = [pid for child in children(process.pid) for pid in children(child)]
    os.kill(max(grandchildren, key=cpu_seconds), signal.SIGKILL)
    wait_for(lambda: store.run(run)["claim"] > 1)
    wait_for(lambda: store.run(run)["state"] == "done")
    assert process.poll() is None
    assert len(steps(store, run)) == len(set(steps(store, run))) and steps(store, run)[-1] == 1500
    assert any("SIGKILL" in event["text"] for event in store.events(run))


def test_a_worker_ends_when_asked(store):
    process = started(store)
    try:
        wait_for(store.queue.workers)
        process.terminate()
        assert process.wait(timeout=20) == 0
        assert store.queue.workers() == []
    finally:
        end(process)


def test_a_run_keeps_where_it_is_when_its_worker_is_told_to_end(store):
    process = started(store)
    try:
        run = queued(store, steps=20_000, evaluations=2000, seed=7)
        wait_for(lambda: store.run(run)["step"] > 0)
        process.terminate()
        assert process.wait(timeout=60) == 0
    finally:
        end(process)
    row = store.run(run)
    assert row["state"] == "queued"
    assert snapshots.load(store.resume_point(run))["step"] == row["step"] > 0
    assert "goes on from here" in store.events(run)[-1]["text"]
