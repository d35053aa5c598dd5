"""The worker: claims queued runs and executes each in a fresh process.

A fresh process is forked from a server that has imported torch but never computed with it, so that it starts in
milliseconds, and a crash, an out-of-memory error or a poisoned device ends that one run alone.
"""

from __future__ import annotations

import fcntl
import math
import multiprocessing
import multiprocessing.dummy
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import traceback
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

from kdcore import settings
from kdcore.cluster import Cluster
from kdcore.database import VERSION
from kdcore.errors import NodeLost, StaleClaim, UserError
from kdcore.store import Store

POLL_SECONDS = 0.1
HEARTBEAT_SECONDS = 1.0
IDLE_SECONDS = 1800.0
SEARCH_SECONDS = 60.0
PURGE_SECONDS = 900.0
LOST_DEVICE = 3  # exit code of a run's process
_ENDING = threading.Event()  # this process was told to end
ROOT = Path(__file__).resolve().parent.parent


def work(store: Store, idle_seconds: float = IDLE_SECONDS) -> None:
    """Execute queued runs until there has been none for `idle_seconds`; returns at once if another worker is there."""
    with _alone(store) as alone:
        if alone:
            _Worker(store, idle_seconds).work()


def ensure(store: Store) -> None:
    """Start a worker for the store, detached from this process, unless there is one."""
    with _alone(store) as alone:
        if not alone:
            return
    with (store.folder / "worker.log").open("ab") as log:
        subprocess.Popen([sys.executable, "-m", "kdcore", "worker", "--store", str(store.folder)], stdout=log,
                         stderr=log, stdin=subprocess.DEVNULL, start_new_session=True, cwd=ROOT)


def execute(store: Store, claimed: dict, cluster: Cluster | None = None) -> str:
    """Execute a claimed run in this process, or train it on a cluster, and return its final state.

    It continues from the run's resume point where there is one; what was recorded after that point is withdrawn.
    Raises UserError with what the run's message says where it fails, StaleClaim where another process has taken over.
    """
    run, claim = claimed["id"], claimed["claim"]
    try:
        state = _train(store, claimed, cluster)
        if state == "queued":
            store.release(run, claim, "The worker was told to end; the run goes on from here.", died=False)
        else:
            store.finish(run, claim, state)
    except StaleClaim:
        raise
    except Exception as error:
        with suppress(sqlite3.OperationalError):  # the disk is so full that not even this can be said: it goes on later
            if _passes(error):
                store.release(run, claim, f"{_reason(error)} It goes on from its last resume point.")
            else:
                store.finish(run, claim, "failed", _reason(error))
        raise UserError(_reason(error)) from error
    if state == "done":
        store.resume_point(run).unlink(missing_ok=True)
    return state


def _train(store: Store, claimed: dict, cluster: Cluster | None) -> str:
    """Train and record; returns the state that the run ends in: "done", what it was asked for, or else "queued"."""
    from kdcore import ensemble, snapshots, tracking, train

    run, claim = claimed["id"], claimed["claim"]
    if claimed["role"] == "ensemble":
        with _heartbeat(store, run, claim) as wish:
            for measurement in ensemble.measure(store, run):
                store.append(run, claim, measurement.step, measurement.values)
                if wish.state:
                    return wish.state
        return "done"
    teacher = snapshots.network(store, claimed["teacher"]) if claimed["teacher"] else None
    resume = _resume_state(store, run)
    store.withdraw(run, claim, after=resume["step"] if resume else -1)
    resume = resume or _shared_state(store, claimed)
    begun = resume["step"] if resume else -1
    with _heartbeat(store, run, claim) as wish, tracking.tracked(store, claimed, after=begun) as trackers:
        for fault in trackers.faults:
            store.note(run, claim, max(begun, 0), fault)
        records = (cluster or train).train(claimed["config"], teacher=teacher, resume=resume)
        for record in records:
            _keep(store, run, claim, record)
            if isinstance(record, train.Measurement):
                for fault in trackers.tell("log", record.step, record.values):
                    store.note(run, claim, record.step, fault)
            if wish.state and isinstance(record, train.Progress):
                _keep(store, run, claim, records.send("a resume point, please"))
                trackers.state = wish.state
                break
        else:
            trackers.state = "done"
        return trackers.state


def _keep(store: Store, run: int, claim: int, record) -> None:
    from kdcore import snapshots, train

    match record:
        case train.Measurement(step, values):
            store.append(run, claim, step, values)
        case train.Snapshot(step, state, connectors):
            store.heartbeat(run, claim)  # refused where another process has taken over, whose files these are
            snapshots.save(store.snapshot(run, step), {"network": state, "connectors": connectors})
        case train.ResumePoint(_, state):
            store.heartbeat(run, claim)
            snapshots.save(store.resume_point(run), state)
            store.saved(run, claim)
        case train.Notice(step, text):
            store.note(run, claim, step, text)
        case train.Progress(step):
            store.progress(run, claim, step)


def _resume_state(store: Store, run: int) -> dict | None:
    from kdcore import snapshots

    try:
        return snapshots.load(store.resume_point(run))
    except UserError:
        return None  # missing or damaged: the run starts anew


def _shared_state(store: Store, claimed: dict) -> dict | None:
    """What a student of an ensemble goes on from: the stages that another one has learnt for both."""
    from kdcore import snapshots, train
    from kdcore.config import read

    step = read(claimed["config"]).shared_end()
    for first in store.parts(claimed["id"]):
        with suppress(UserError):  # damaged, or an older version of the project kept none: it learns them itself
            network = snapshots.load(store.snapshot(first, step))["network"]
            store.adopt(claimed["id"], claimed["claim"], first, step)
            seconds = dict(zip(*store.curves([first], "seconds")[first]))[step]
            return train.entering(step, seconds, network)
    return None


@contextmanager
def _heartbeat(store: Store, run: int, claim: int):
    """Give a sign of life every second; yields what knows the `state` that the run is asked to end in."""
    wish, over = SimpleNamespace(state=""), threading.Event()

    def beat():
        while not over.wait(HEARTBEAT_SECONDS):
            try:
                wish.state = store.heartbeat(run, claim) or "queued" * _ENDING.is_set()
            except StaleClaim:
                wish.state = "stopped"  # the run is another process's, and what is written next is refused
            except sqlite3.OperationalError:
                continue  # the disk is full or the store busy: the next beat may succeed

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield wish
    finally:
        over.set()
        thread.join()


def _reason(error: Exception) -> str:
    if isinstance(error, UserError):
        return str(error)
    name = type(error).__name__
    if isinstance(error, NodeLost):
        return str(error)
    if _is_locked(error):
        return "The store was locked by somebody else for half a minute."
    if _is_device_lost(error):
        return f"The device stopped answering ({str(error).splitlines()[0][:200]})."
    if isinstance(error, MemoryError) or "OutOfMemory" in name or re.search(
            "out of memory|allocate memory", str(error), re.IGNORECASE):
        return "The memory was not enough; lower the batch size, the width of the networks, or match projections."
    if "deterministic" in str(error):
        return ("This run needs an operation that has no deterministic form on this device; leave the setting "
                "deterministic out of settings.toml, then start it again.")
    if "disk" in str(error).lower() or "No space left" in str(error):
        return "The disk is full; what was recorded before is kept. Make room, then start the run again."
    return f"An unexpected error ended the run ({name}: {str(error)[:300]}); the worker's log has the details."


def _passes(error: Exception) -> bool:
    """Whether the run may do better another time, elsewhere or later, as it is."""
    return isinstance(error, NodeLost) or _is_device_lost(error) or _is_locked(error)


def _is_device_lost(error: Exception) -> bool:
    """Whether a GPU has gone or must be started anew, and not just run out of memory."""
    words = str(error)
    return bool(re.match(r"(CUDA|HIP|MPS) error", words)) and "out of memory" not in words.lower()


def _is_locked(error: Exception) -> bool:
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)


class _Worker:
    def __init__(self, store: Store, idle_seconds: float):
        self.store, self.idle_seconds = store, idle_seconds
        method = "forkserver" if sys.platform == "linux" else "spawn"
        self.processes = multiprocessing.get_context(method)
        if method == "forkserver":
            # torch's optimisers import its compiler, two seconds, when the first is made: once here, not in each run
            self.processes.set_forkserver_preload(["kdcore.train", "kdcore.snapshots", "torch._dynamo"])
        self.settings: settings.Settings | None = None
        self.seen: settings.Settings | None = None  # at the last turn: a file that is being written may read as empty
        self.cluster: Cluster | None = None
        self.asking, self.asked = ThreadPoolExecutor(1), None  # the cluster, and the answer that is yet to come
        self.running: dict[int, tuple[multiprocessing.Process, dict]] = {}
        self.device = _nowhere("The worker is starting.")
        self.searched: dict[str, tuple[int, float]] = {}  # how many runs had ended when it was last advanced, and when

    def work(self) -> None:
        _ENDING.clear()
        signal.signal(signal.SIGTERM, _end)
        busy, purged = time.monotonic(), -math.inf
        while not _ENDING.is_set() and time.monotonic() - busy < self.idle_seconds:
            try:
                if time.monotonic() - purged > PURGE_SECONDS:
                    purged = time.monotonic()
                    self.store.bin.purge()
                self._turn()
            except sqlite3.Error as error:
                print(f"The store cannot be used just now: {error}.", file=sys.stderr)
                time.sleep(HEARTBEAT_SECONDS)
            if self.running or not self.device["slots"]:  # a cluster that is away comes back
                busy = time.monotonic()
        for process, _ in self.running.values():  # each keeps where it is; of a cluster's, a thread here has heard it
            if isinstance(process, multiprocessing.process.BaseProcess):
                process.terminate()
            else:
                process.join()
        self._leave_cluster()  # before Python ends, during which Ray may abort the process
        self.store.queue.part(os.getpid())

    def _turn(self) -> None:
        self._follow_settings()
        self.store.queue.greet(os.getpid(), self.device["title"], self.device["slots"])
        self._search()
        for run in [run for run, (process, _) in self.running.items() if not process.is_alive()]:
            self._reap(run)
        turned = time.monotonic()
        while time.monotonic() - turned < HEARTBEAT_SECONDS and all(p.is_alive() for p, _ in self.running.values()):
            going = {row["id"]: row for row in self.store.queue.alive()}  # those of a worker that is gone too
            free = self.device["cores"] - sum(row["threads"] for row in going.values())
            free = math.inf if not going else free  # a run with more threads than cores runs alone
            room = len({*going, *self.running}) < self.device["slots"]
            claimed = self.store.queue.claim(free, mine=self.running, without=self._full()) if room else None
            if claimed:
                ours = {run: of_run["gpu"] for run, (_, of_run) in self.running.items()}
                self._start(claimed, [*({run: row["gpu"] for run, row in going.items()} | ours).values()])
            elif not _ENDING.is_set():
                time.sleep(POLL_SECONDS)

    def _follow_settings(self) -> None:
        """Read the settings again, and describe the device anew where they or it may have changed."""
        try:
            chosen = settings.read()
        except UserError as error:
            self.device = _nowhere(str(error))
            return
        if self.settings and chosen not in (self.settings, self.seen):
            self.seen = chosen
            return
        before, self.settings, self.seen = self.settings, chosen, chosen
        if before and (before.ray, before.gpu_share) != (chosen.ray, chosen.gpu_share):
            self._leave_cluster()
        if before != chosen or self.settings.ray or not self.device["slots"]:
            self.device = self._describe_device()

    def _full(self) -> str:
        """Ensembles, which are measured here, where a cluster trains and no core of this machine is free for one."""
        measured = sum(of_run["role"] == "ensemble" for _, of_run in self.running.values())
        return "ensemble" if self.cluster and measured >= (os.cpu_count() or 1) else ""

    def _search(self) -> None:
        """Let a process with torch queue the next runs of searches in which a run has ended since the last time."""
        for name, ended in self.store.searches().items() if self.device["slots"] else ():
            before, since = self.searched.get(name, (None, 0.0))
            if before != ended or time.monotonic() - since > SEARCH_SECONDS:  # it may not have come to its end
                self.searched[name] = ended, time.monotonic()
                self.processes.Process(target=_advance, args=(str(self.store.folder), name, self.device["slots"]),
                                       daemon=True).start()

    def _describe_device(self) -> dict:
        """What runs compute on, with as many slots as the settings say; none while a cluster does not answer."""
        if self.settings.ray:
            return self._describe_cluster()
        ours, theirs = self.processes.Pipe()
        self.processes.Process(target=_describe_device, args=(theirs,), daemon=True).start()
        theirs.close()  # so that a process that dies before it answers is an error here, not a wait without end
        try:
            described = ours.recv()
        except EOFError:
            return _nowhere("The device does not answer: it ends whatever asks what it is.")
        return {**described, "slots": self.settings.at_a_time(described)}

    def _describe_cluster(self) -> dict:
        self.asked = self.asked or self.asking.submit(_ask_cluster, self.cluster, self.settings.ray,
                                                      self.settings.gpu_share)
        try:
            self.cluster, described = self.asked.result(HEARTBEAT_SECONDS)
            self.asked = None
        except TimeoutError:
            return _nowhere(f"The Ray cluster at {self.settings.ray} has not answered yet.")
        except (UserError, NodeLost) as error:
            self.asked = self.cluster = None
            return _nowhere(str(error))
        cores = math.inf if self.settings.slots else described["cores"]  # a cluster may grow when more is asked of it
        return {**described, "slots": self.settings.at_a_time(described), "cores": cores}

    def _leave_cluster(self) -> None:
        """Give up the connection, and the one that is being made."""
        if self.asked:
            self.asked.add_done_callback(_close)
        if self.cluster:
            self.cluster.close()
        self.asked = self.cluster = None

    def _start(self, claimed: dict, taken: list[int | None]) -> None:
        gpu = min(range(max(self.device["gpus"], 1)), key=taken.count)
        where = f"cuda:{gpu}" if self.device["device"] == "cuda" else None
        # an ensemble is measured where its students are kept; of a run on a node, a thread here keeps the records
        cluster = self.cluster if claimed["role"] != "ensemble" else None
        kind = multiprocessing.dummy if cluster else self.processes
        process = kind.Process(target=_execute, args=(str(self.store.folder), claimed, where, cluster))
        process.start()
        self.running[claimed["id"]] = process, {**claimed, "gpu": gpu}
        self.store.queue.put_on(claimed["id"], gpu)

    def _reap(self, run: int) -> None:
        process, claimed = self.running[run]
        code = process.exitcode
        died = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        with suppress(StaleClaim):  # mostly it has said itself how it ended
            self.store.release(run, claimed["claim"], f"The run's process ended unexpectedly ({died}); it continues "
                               "from its last resume point.")
        if code == LOST_DEVICE:
            self.device = self._describe_device()
        del self.running[run]


def _end(*_: object) -> None:
    """What a signal to end leads to: a run of this process keeps where it is, and goes back into the queue."""
    _ENDING.set()


def _nowhere(why: str) -> dict:
    """The device where no run can be trained now, with the reason as its title."""
    return {"title": why, "slots": 0, "gpus": 0, "cores": 0, "device": ""}


def _ask_cluster(cluster: Cluster | None, address: str, gpu_share: float) -> tuple[Cluster, dict]:
    """What the cluster is, with a new connection where there is none; may take minutes."""
    cluster = cluster or Cluster(address, gpu_share)
    try:
        return cluster, cluster.describe()
    except NodeLost:
        cluster.close()
        raise


def _close(asked: Future) -> None:
    with suppress(Exception):  # it may have failed
        asked.result()[0].close()


def _describe_device(pipe) -> None:
    from kdcore.device import describe

    pipe.send(describe())


def _advance(folder: str, name: str, slots: int) -> None:
    from kdcore import search

    os.environ["KD_STORE"] = folder
    try:
        search.advance(Store(folder), name, slots)
    except UserError as error:
        print(f"The search {name!r} cannot go on: {error}", file=sys.stderr)


def _execute(folder: str, claimed: dict, where: str | None, cluster: Cluster | None) -> None:
    if cluster is None:  # and so a process of its own
        signal.signal(signal.SIGTERM, _end)
    os.environ["KD_STORE"] = folder  # where a network that starts from a run finds it
    if where:
        os.environ.setdefault("KD_DEVICE", where)  # what "auto" means to this process
    try:
        execute(Store(folder), claimed, cluster)
    except UserError as error:
        traceback.print_exc()  # the store has the sentence, the worker's log the details
        if error.__cause__ is not None and _passes(error.__cause__):
            sys.exit(LOST_DEVICE)


@contextmanager
def _alone(store: Store):
    """Yields whether this is the store's only worker on this machine."""
    with (store.folder / f"worker-{VERSION}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
