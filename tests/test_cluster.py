"""A real Ray cluster of several nodes on this machine: what is trained there is as if it were trained here."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from kdcore import cluster, settings, snapshots, train, worker
from kdcore.config import read
from kdcore.errors import NodeLost, UserError
from kdcore.settings import Settings
from kdcore.store import Store
from tests.test_worker import LONG, RUN, TEACHER, assert_same_run, end, started, store, unbroken, wait_for  # noqa: F401

os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"  # as `Cluster` does before it imports Ray
ray = pytest.importorskip("ray")
pytest.importorskip("ray.cluster_utils")
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # a node has the project's package, and no tests


class Saving(cluster._Trainer):
    """A node that keeps a resume point every hundredth of a second."""

    def begin(self, *arguments):
        train.RESUME_SECONDS = train.PROGRESS_SECONDS = 0.01
        return super().begin(*arguments)


@pytest.fixture(scope="module")
def nodes():
    """A cluster whose head computes nothing, and one node that does."""
    made = ray.cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    made.add_node(num_cpus=2)
    yield made
    made.shutdown()


@pytest.fixture(scope="module")
def connected(nodes):
    """Our connection to it."""
    made = cluster.Cluster(nodes.address)
    yield made
    made.close()


@pytest.fixture
def often(monkeypatch):
    monkeypatch.setattr(cluster, "_Trainer", Saving)


def trainers():
    """Process numbers of the trainings on nodes of this machine."""
    named = {int(place.parent.name): place.read_bytes() for place in Path("/proc").glob("[0-9]*/cmdline")
             if place.exists()}
    return [pid for pid, line in named.items() if line.startswith((b"ray::Saving", b"ray::_Trainer"))]


def test_a_run_on_the_cluster_is_the_run_it_would_be_here(unbroken, connected):  # noqa: F811
    theirs, whole = unbroken
    run = theirs.submit(read(LONG).planned())
    assert worker.execute(theirs, theirs.queue.claim(99, run), connected) == "done"
    assert_same_run(theirs, run, whole)


@pytest.mark.heavy
def test_a_run_goes_on_when_its_process_on_a_node_is_killed(unbroken, connected, often):  # noqa: F811
    theirs, whole = unbroken
    run = theirs.submit(read(LONG).planned())
    kills = threading.Thread(target=lambda: wait_for(lambda: theirs.run(run)["step"] > 100) and os.kill(
        trainers()[0], signal.SIGKILL))
    kills.start()
    with pytest.raises(UserError, match="node that it was trained on is lost"):
        worker.execute(theirs, theirs.queue.claim(99, run), connected)
    kills.join()
    assert theirs.run(run)["state"] == "queued"
    assert "goes on from its last resume point" in theirs.events(run)[-1]["text"]
    assert 0 < snapshots.load(theirs.resume_point(run))["step"] < LONG["steps"]
    assert worker.execute(theirs, theirs.queue.claim(99, run), connected) == "done"
    assert_same_run(theirs, run, whole)


@pytest.mark.heavy
def test_a_run_on_the_cluster_pauses_and_goes_on(unbroken, connected, often, monkeypatch):  # noqa: F811
    theirs, whole = unbroken
    monkeypatch.setattr(worker, "HEARTBEAT_SECONDS", 0.005)
    run = theirs.submit(read(LONG).planned())
    pauses = threading.Thread(target=lambda: wait_for(lambda: theirs.run(run)["step"] > 100) and theirs.queue.pause(
        [run]))
    pauses.start()
    assert worker.execute(theirs, theirs.queue.claim(99, run), connected) == "paused"
    pauses.join()
    assert snapshots.load(theirs.resume_point(run))["step"] == theirs.run(run)["step"] < LONG["steps"]
    wait_for(lambda: not trainers())  # its place is free
    theirs.queue.restart([run])
    assert worker.execute(theirs, theirs.queue.claim(99, run), connected) == "done"
    assert_same_run(theirs, run, whole)


def test_a_network_starts_from_a_run_that_the_node_never_saw(store, connected, monkeypatch):  # noqa: F811
    monkeypatch.setenv("KD_STORE", str(store.folder))
    first = store.submit(read(RUN).planned())
    worker.execute(store, store.queue.claim(99, first))
    going_on = {**RUN, "network": {**RUN["network"], "start": {"kind": "run", "run": first}}}
    run = store.submit(read(going_on).planned())
    worker.execute(store, store.queue.claim(99, run), connected)
    begun = snapshots.load(store.snapshot(run, 0))["network"]
    assert all(torch.equal(begun[name], value)
               for name, value in snapshots.load(store.snapshot(first, RUN["steps"]))["network"].items())


def test_what_fails_on_a_node_fails_in_the_same_words(store, connected):  # noqa: F811
    method = {"stages": [{"objective": {"labels": {"weight": 1e30, "term": {"kind": "cross_entropy"}}}}]}
    run = store.submit(read({**RUN, "optimiser": {"kind": "sgd", "learning_rate": 10}, "method": method}).planned())
    with pytest.raises(UserError, match="^The network's outputs stopped being finite before step"):
        worker.execute(store, store.queue.claim(99, run), connected)
    assert store.run(run)["state"] == "failed"


@pytest.mark.heavy
def test_a_run_goes_on_when_its_node_is_lost(unbroken, nodes, connected, often):  # noqa: F811
    theirs, whole = unbroken
    run = theirs.submit(read(LONG).planned())

    def lose():
        wait_for(lambda: theirs.run(run)["step"] > 100)
        nodes.remove_node(next(iter(nodes.worker_nodes)), allow_graceful=False)

    lost = threading.Thread(target=lose)
    lost.start()
    with pytest.raises(UserError, match="node that it was trained on is lost"):
        worker.execute(theirs, theirs.queue.claim(99, run), connected)
    lost.join()
    nodes.add_node(num_cpus=2)
    assert worker.execute(theirs, theirs.queue.claim(99, run), connected) == "done"
    assert_same_run(theirs, run, whole)


def test_a_run_that_finds_no_place_can_be_stopped(store, connected, monkeypatch):  # noqa: F811
    monkeypatch.setattr(connected, "_needs", lambda config: {"num_cpus": 99})
    run = store.submit(read(RUN).planned())
    claimed = store.queue.claim(99, run)
    store.queue.stop([run])
    assert worker.execute(store, claimed, connected) == "stopped"


@pytest.mark.parametrize("threads, nodes, needs", [
    (4, [{"CPU": 64}, {"CPU": 8, "GPU": 1}], (4, 0.5)), (16, [{"CPU": 64}, {"CPU": 8, "GPU": 1}], (8, 0.5)),
    (4, [{"CPU": 2}], (2, 0)), (4, [{}], (4, 0)), (4, [], (4, 0))])
def test_a_run_asks_for_what_a_node_has(threads, nodes, needs):
    made = cluster.Cluster.__new__(cluster.Cluster)
    made.gpu_share = 0.5
    made.ray = SimpleNamespace(nodes=lambda: [{"Alive": True, "Resources": node} for node in nodes])
    asked = made._needs(json.dumps({**RUN, "device": "auto", "threads": threads}))
    assert (asked["num_cpus"], asked["num_gpus"]) == needs


@pytest.mark.heavy
def test_half_a_gpu_is_enough_for_a_run(nodes, store, connected):  # noqa: F811
    """Ray counts a GPU where it is told of one: two runs go on it at a time, and the third waits for its turn."""
    gpu = nodes.add_node(num_cpus=8, num_gpus=1)
    wait_for(lambda: ray.cluster_resources().get("GPU"))
    connected.gpu_share = 0.5
    runs = [store.submit(read({**RUN, "device": "auto", "steps": 100_000, "seed": seed}).planned())
            for seed in range(3)]
    threads = [threading.Thread(target=worker.execute, args=(Store(store.folder), store.queue.claim(99, run),
                                                             connected)) for run in runs]
    try:
        for thread in threads[:2]:
            thread.start()
        wait_for(lambda: all(store.run(run)["step"] for run in runs[:2]))
        threads[2].start()
        time.sleep(3)
        assert store.run(runs[2])["step"] == 0 and ray.available_resources().get("GPU", 0) == 0
        store.queue.stop(runs[:1])
        wait_for(lambda: store.run(runs[2])["step"])
        store.queue.stop(runs)
        for thread in threads:
            thread.join()
        assert {store.run(run)["state"] for run in runs} == {"stopped"}
    finally:
        connected.gpu_share = 1.0
        nodes.remove_node(gpu)


@pytest.mark.heavy
def test_what_is_trained_when_the_connection_goes_waits_and_nothing_is_started_here(store, connected):  # noqa: F811
    lost = connected
    run = store.submit(read({**RUN, "steps": 20_000}).planned())
    ends = threading.Thread(target=lambda: wait_for(lambda: store.run(run)["step"] > 0) and lost.close())
    ends.start()
    with pytest.raises(UserError, match="is lost"):
        worker.execute(store, store.queue.claim(99, run), lost)
    ends.join()
    assert store.run(run)["state"] == "queued" and not ray.is_initialized()


def test_a_worker_with_the_one_setting_trains_on_the_cluster(tmp_path, nodes):
    """Teacher, ensemble and all; and says on which device."""
    theirs = Store(tmp_path)
    (tmp_path / "settings.toml").write_text(f"ray = {json.dumps(nodes.address)}")
    stages = [{"objective": {"labels": {"weight": 1, "term": {"kind": "cross_entropy"}}}}]
    run = theirs.submit(read({**RUN, "teacher": TEACHER, "method": {"stages": stages, "members": 2}}).planned())
    process = subprocess.Popen([sys.executable, "-m", "kdcore", "worker", "--store", str(tmp_path)], cwd=worker.ROOT,
                               start_new_session=True, env={**os.environ, "KD_STORE": str(tmp_path)})
    try:
        wait_for(trainers, seconds=180)
        wait_for(lambda: theirs.run(run)["state"] in ("done", "failed"), seconds=180)
        assert theirs.run(run)["state"] == "done", theirs.run(run)["message"]
        (it,) = theirs.queue.workers()
        assert it["device"] == "Ray cluster of 2 cores" and it["slots"] == 2
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, "asked to end, it does"
    finally:
        end(process)


@pytest.mark.heavy
def test_runs_go_on_when_the_head_is_lost_and_comes_back(unbroken):  # noqa: F811
    """A worker may end with it, as Ray has it; the next one, which the app starts, takes over."""
    theirs, whole = unbroken

    def head(**at):
        return ray.cluster_utils.Cluster(initialize_head=True, head_node_args={
            "num_cpus": 2, "include_dashboard": False, **at})

    def work():
        return subprocess.Popen([sys.executable, "-m", "kdcore", "worker", "--store", str(theirs.folder)],
                                cwd=worker.ROOT, start_new_session=True, stderr=subprocess.DEVNULL, env={
                                    **os.environ, "KD_STORE": str(theirs.folder),
                                    "RAY_gcs_rpc_server_reconnect_timeout_s": "5"})

    first = head()
    address = first.address
    (theirs.folder / "settings.toml").write_text(f"ray = {json.dumps(address)}")
    run = theirs.submit(read(LONG).planned())
    process = work()
    try:
        wait_for(lambda: theirs.run(run)["step"] > 50)
        first.remove_node(first.head_node, allow_graceful=False)
        wait_for(lambda: theirs.run(run)["state"] == "queued")
        second = head(gcs_server_port=int(address.rpartition(":")[2]))
        last = time.monotonic() + 120
        while theirs.run(run)["state"] != "done":
            assert time.monotonic() < last, theirs.queue.workers()
            if process.poll() is not None:
                process = work()
            time.sleep(0.2)
        assert_same_run(theirs, run, whole)
        second.shutdown()
    finally:
        end(process)
        (theirs.folder / "settings.toml").unlink()


def test_an_address_that_is_none_is_said_and_tried_again(tmp_path, monkeypatch):
    (tmp_path / "settings.toml").write_text('ray = "nonsense"')
    monkeypatch.setenv("KD_STORE", str(tmp_path))
    it = worker._Worker(Store(tmp_path), 1)
    it.settings = settings.read()
    for _ in range(2):
        assert it._describe_device() == worker._nowhere(
            "The Ray cluster at nonsense cannot be reached (Invalid address format: nonsense); start it, or change the "
            "setting.")
    (tmp_path / "settings.toml").write_text("slots = 3")
    it.processes = multiprocessing.get_context("fork")
    for _ in range(2):
        it._turn()
    assert it.device["slots"] == 3 and it.cluster is None, "without the setting, runs are trained here again"


def test_a_cluster_that_does_not_answer_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("KD_STORE", str(tmp_path))
    (tmp_path / "settings.toml").write_text('ray = "127.0.0.1:1"')
    theirs = Store(tmp_path)
    process = started(theirs)
    try:
        (it,) = wait_for(theirs.queue.workers)
        assert it["slots"] == 0 and it["device"] == "The Ray cluster at 127.0.0.1:1 has not answered yet."
    finally:
        end(process)


def test_what_the_cluster_no_longer_answers_is_a_lost_node():
    class Silent:
        def cluster_resources(self):
            raise ConnectionError("gone\nand more")

    silent = cluster.Cluster.__new__(cluster.Cluster)
    silent.ray, silent.address = Silent(), "there"
    with pytest.raises(NodeLost, match=r"^The Ray cluster at there stopped answering \(gone\)\.$"):
        silent.describe()


@pytest.mark.parametrize("share, runs", [(1, 2), (0.5, 4), (0.34, 4), (0.1, 20), (0.7, 2)])
def test_a_share_of_a_gpu_is_of_one(share, runs):
    assert Settings(gpu_share=share).at_a_time({"gpus": 2, "slots": 2}) == runs
    assert Settings(gpu_share=share, slots=3).at_a_time({"gpus": 2, "slots": 2}) == 3
    assert Settings(gpu_share=share).at_a_time({"gpus": 0, "slots": 5}) == 5
