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
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from benchmarks.runs import status
from benchmarks.speed.cases import CASES, Work
from kdcore import device

WAYS = ("plain", "ours")
SECONDS = 3.0
ROUNDS = 3


def compare(name: str, seconds: float = SECONDS, memory: bool = False) -> dict:
    """{"plain", "ours": median seconds, "ratio": median of the rounds' ratios, "low", "high": their quartiles,
    "rounds", "megabytes": {way: peak memory} where `memory` is asked for, "effort": {way: what `Effort` counts},
    "rates": the device's}.

    Each round does the work both ways; there are ROUNDS of them and as many more as `seconds` hold, or two of what is
    whole, which has several processes and of which neither memory nor effort is counted.
    """
    case, where = CASES[name], device.pick()
    with device.threads(device.cores()):
        works = {way: getattr(case, way)() for way in WAYS}
        effort = {} if case.whole else {way: _effort(work) for way, work in works.items()}
        times = {way: [] for way in WAYS}
        while len(times["ours"]) < (2 if case.whole else ROUNDS) or (
                not case.whole and sum(map(sum, times.values())) < seconds):
            turn = WAYS if len(times["ours"]) % 2 else WAYS[::-1]  # neither is always the first
            for way in turn:
                times[way].append(device.seconds(works[way], where))
        measured = rates(where)
    ratios = [ours / plain for plain, ours in zip(*times.values())]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return {**{way: statistics.median(taken) for way, taken in times.items()}, "ratio": middle, "low": low,
            "high": high, "rounds": len(ratios), "effort": effort, "rates": measured,
            "megabytes": {way: _in_own_process(name, way) for way in WAYS} if memory and not case.whole else {}}


def rates(where: torch.device) -> dict[str, float]:
    """What the device reaches now: {"operations" of a large float32 product, "bytes" of a large copy} a second."""
    side = 2048 if where.type == "cpu" else 8192
    matrix, big = torch.rand(side, side, device=where), torch.rand(2**26, device=where)
    copy = torch.empty_like(big)  # read and written: twice its bytes
    return {"operations": 2 * side**3 / _least(lambda: matrix @ matrix, where),
            "bytes": 2 * big.nbytes / _least(lambda: copy.copy_(big), where)}


def _least(work: Work, where: torch.device) -> float:
    work()
    return min(device.seconds(work, where) for _ in range(ROUNDS))


def _effort(work: Work) -> dict[str, int]:
    """What one piece of work asks of the device; as it is the first time, it is not timed."""
    with Effort() as counted:
        work()
    return {"operations": counted.operations, "bytes": counted.bytes}


class Effort(TorchDispatchMode):
    """Counts, inside the block, the multiplications and additions of products and convolutions, as torch's own counter
    does, which cannot look into derivatives with respect to the images; and the bytes that every call reads and writes.
    """

    operations = bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        value = function(*args, **(kwargs or {}))
        if count := flop_registry.get(function._overloadpacket):
            self.operations += count(*args, **(kwargs or {}), out_val=value)
        if not function.is_view:
            held = tree_leaves((args, kwargs, value))
            self.bytes += sum(min(one.nbytes, one.untyped_storage().nbytes())  # what is expanded is read from there
                              for one in held if isinstance(one, torch.Tensor))
        return value


def peak(name: str, way: str) -> float:
    """MB that one process of the work takes at most, here and now, above what was there before it was built."""
    where = device.pick()
    with device.threads(device.cores()):
        before, earlier = status("VmRSS"), _largest_child()
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
        work = getattr(CASES[name], way)()
        work()
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
