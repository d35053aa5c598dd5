"""How two ways of doing one piece of work are compared: in turn, in one process; their memory each in its own."""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
from pathlib import Path

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmarks.runs import status
from benchmarks.speed.cases import CASES, Work
from kdcore import device

WAYS = ("plain", "ours")
SECONDS = 6.0
ROUNDS = 5


def compare(name: str, seconds: float = SECONDS) -> dict:
    """{"plain", "ours": median seconds, "ratio": median of the rounds' ratios, "low", "high": their quartiles,
    "rounds", "megabytes": {way: peak memory}, "operations": {way: multiplications and additions}}.

    Each round does the work both ways; there are ROUNDS of them and as many more as `seconds` hold, or two of what is
    long.
    """
    case, where = CASES[name], device.pick()
    with device.threads(device.cores()):
        works = {way: getattr(case, way)() for way in WAYS}
        operations = {way: 0 if case.whole else _operations(work) for way, work in works.items()}
        times = {way: [] for way in WAYS}
        while len(times["ours"]) < (2 if case.whole else ROUNDS) or (
                not case.whole and sum(map(sum, times.values())) < seconds):
            turn = WAYS if len(times["ours"]) % 2 else WAYS[::-1]  # neither is always the first
            for way in turn:
                times[way].append(device.seconds(works[way], where))
    ratios = [ours / plain for plain, ours in zip(*times.values())]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return {**{way: statistics.median(taken) for way, taken in times.items()}, "ratio": middle, "low": low,
            "high": high, "rounds": len(ratios), "operations": operations,
            "megabytes": {way: _in_own_process(name, way) for way in WAYS}}


def _operations(work: Work) -> int:
    """Multiplications and additions of the work; as it is the first time, it is not timed."""
    with _Counting() as counting:
        work()
    return counting.total


class _Counting(TorchDispatchMode):
    """Counts as torch's own counter does, which cannot look into derivatives with respect to the images."""

    total = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        value = function(*args, **(kwargs or {}))
        if count := flop_registry.get(function._overloadpacket):
            self.total += count(*args, **(kwargs or {}), out_val=value)
        return value


def peak(name: str, way: str) -> float:
    """MB that one process of the work takes at most, here and now, above what was there before it was built."""
    where = device.pick()
    with device.threads(device.cores()):
        before, earlier = status("VmRSS"), _largest_child()
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
        work = getattr(CASES[name], way)()
        work()
        if not CASES[name].whole:
            work()
    if where.type == "cuda":
        return torch.cuda.max_memory_allocated(where) / 2**20
    highest = status("VmHWM")
    del work  # a loader's processes end with it, and only what has ended is counted
    children = _largest_child()
    return (max(highest, children if children > earlier else 0) - before) / 1024


def _largest_child() -> int:
    """KB of the largest process that this one has started and seen end; like ours, with its libraries."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss


def _in_own_process(name: str, way: str) -> float:
    command = [sys.executable, "-m", "benchmarks.speed.measure", name, way]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(ended.stdout.splitlines()[-1])


if __name__ == "__main__":
    print(json.dumps(peak(*sys.argv[1:])))
