"""Peak memory of a training step with terms that are differentiated twice: python -m benchmarks.memory.

Each case is a process of its own, and its figure the highest resident size of the step above that of the process with
the networks built. Writes benchmarks/results/memory.json and .md.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import torch

from benchmarks.runs import status, write
from kdcore.models import ARCHITECTURES

CLASSES = 10
SMALL, LARGE = (50, 32), (8, 224)  # images a batch, their side
TERMS = ("cross_entropy", "cost_gradient", "jacobian_match", "attention_jacobian", "full_jacobian")
NOTE = """Peak memory in MB (seconds) of one step on one CPU thread, 10 classes, the network in training mode.

Double backpropagation takes what the cost gradient takes, the Jacobian's norm and the summed Jacobian what the Jacobian
of one class takes, the slopes of the probabilities what the full Jacobian takes. A dash: the network has no such
knowledge.
"""


def size(network: str) -> tuple[int, int]:
    """(images a batch, their side) that the network is made for."""
    return LARGE if ARCHITECTURES[network].smallest == 32 else SMALL


def step(network: str, kind: str) -> dict[str, float] | None:
    """{"megabytes", "seconds"} of one step of a network that learns from another like it, here and now.

    None where the term does not suit it.
    """
    import time

    from kdcore.data import Images
    from kdcore.knowledge import TERMS as KINDS
    from kdcore.knowledge import Pair, Side
    from kdcore.models import NetworkConfig, build, shapes
    from kdcore.response import Response
    from kdcore.teaching import answer

    torch.set_num_threads(1)
    images, side = size(network)
    config, shape = NetworkConfig(name=network), (3, side, side)
    student, teacher = (build(config, shape, CLASSES, seed) for seed in (1, 2))
    batch = Images(torch.rand(images, *shape), torch.arange(images) % CLASSES)
    like = Side(shape, tuple(map(str, range(CLASSES))), lambda: shapes(config, shape, CLASSES))
    term, pair = KINDS[kind](), Pair(like, like)
    if term.unsuited(pair):
        return None
    bound = term.bind(pair)
    taught = answer(term, teacher.eval(), batch[:2], bound)
    taught = {name: value.repeat(images // 2, *[1] * (value.dim() - 1)) for name, value in taught.items()}
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before, began = status("VmRSS"), time.perf_counter()
    response = Response(student.train(), batch.pixels, batch.labels, taps=bound.student_taps,
                        differentiable=term.differentiates_input)
    term.loss(response, taught, bound).backward()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in student.parameters())
    return {"megabytes": (status("VmHWM") - before) / 1024, "seconds": time.perf_counter() - began}


def main() -> None:
    """Measure every case and write the table."""
    found = {network: {kind: json.loads(subprocess.run([sys.executable, "-m", "benchmarks.memory", network, kind],
                                                       capture_output=True, text=True, check=True).stdout)
                       for kind in TERMS} for network in ARCHITECTURES}
    write("memory", {"cases": found}, markdown(found))


def markdown(found: dict[str, dict[str, dict | None]]) -> str:
    """A line for each network."""
    lines = [NOTE, f"| network | images | {' | '.join(TERMS)} |", "|---|---|" + "---|" * len(TERMS)]
    for network, cases in found.items():
        images, side = size(network)
        cells = [f"{case['megabytes']:.0f} ({case['seconds']:.1f})" if case else "–" for case in cases.values()]
        lines.append(f"| {network} | {images} of 3×{side}×{side} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(step(*sys.argv[1:])))
    else:
        main()
