"""Peak memory of a training step with terms that are differentiated twice: python -m benchmarks.memory.

Each case is a process of its own, and its figure the highest resident size of the step above that of the process with
the networks built. Writes benchmarks/results/memory.json and .md.
"""

from __future__ import annotations

import json
import subprocess
import sys

import torch

from benchmarks.runs import write

BATCH, SIDE, CLASSES = 50, 32, 10
NETWORKS = ("residual8", "residual26", "wrn_10_1", "wrn_16_1", "wrn_16_2", "wrn_40_2", "vgg4", "vgg9", "mobilenet",
            "resnet18", "resnet50")
TERMS = ("cross_entropy", "cost_gradient", "jacobian_match", "attention_jacobian", "full_jacobian")


def step(network: str, kind: str) -> dict[str, float]:
    """{"megabytes", "seconds"} of one step of a network that learns from another like it, here and now."""
    import resource
    import time

    from kdcore.data import Images
    from kdcore.knowledge import TERMS as KINDS
    from kdcore.knowledge import Pair, Side
    from kdcore.models import NetworkConfig, build, shapes
    from kdcore.response import Response
    from kdcore.teaching import answer

    torch.set_num_threads(1)
    config, shape = NetworkConfig(name=network), (3, SIDE, SIDE)
    student, teacher = (build(config, shape, CLASSES, seed) for seed in (1, 2))
    batch = Images(torch.rand(BATCH, *shape), torch.arange(BATCH) % CLASSES)
    side = Side(shape, tuple(map(str, range(CLASSES))), lambda: shapes(config, shape, CLASSES))
    term = KINDS[kind]()
    bound = term.bind(Pair(side, side))
    taught = answer(term, teacher.eval(), batch[:2], bound)
    taught = {name: value.repeat(BATCH // 2, *[1] * (value.dim() - 1)) for name, value in taught.items()}
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    response = Response(student.train(), batch.pixels, batch.labels, taps=bound.student_taps,
                        differentiable=term.differentiates_input)
    term.loss(response, taught, bound).backward()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in student.parameters())
    return {"megabytes": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024,
            "seconds": time.perf_counter() - began}


def main() -> None:
    """Measure every case and write the table."""
    found = {network: {kind: json.loads(subprocess.run([sys.executable, "-m", "benchmarks.memory", network, kind],
                                                       capture_output=True, text=True, check=True).stdout)
                       for kind in TERMS} for network in NETWORKS}
    lines = [f"Peak memory in MB (seconds) of one step on one CPU thread: {BATCH} images of 3×{SIDE}×{SIDE}, {CLASSES} "
             "classes, the network in training mode.", "", f"| network | {' | '.join(TERMS)} |",
             "|---|" + "---|" * len(TERMS)]
    lines += [f"| {network} | " + " | ".join(f"{case['megabytes']:.0f} ({case['seconds']:.1f})"
                                             for case in cases.values()) + " |" for network, cases in found.items()]
    write("memory", {"cases": found}, "\n".join(lines) + "\n")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(step(*sys.argv[1:])))
    else:
        main()
