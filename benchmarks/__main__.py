"""Every case of speed, the plain way and ours: python -m benchmarks [CASE ...].

Writes benchmarks/results/speed.json, a table speed.md and a picture speed.svg. What was measured before on the same
machine stays in them, unless it is measured again.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.runs import RESULTS, kept, machine, write
from benchmarks.speed import report
from benchmarks.speed.cases import CASES
from benchmarks.speed.measure import ROUNDS, SECONDS, compare
from kdcore.errors import UserError, meant


def main() -> None:
    """Measure the cases that are asked for, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; all when left out")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"for each case, {SECONDS:g} when left out, and "
                        f"{ROUNDS} rounds at least")
    parser.add_argument("--memory", action="store_true", help="measure peak memory too, in processes of their own, "
                        "which takes three times as long; what was measured before stays")
    options = parser.parse_args()
    for name in options.cases:
        if name not in CASES:
            parser.error(f"There is no case {name!r}{meant(name, CASES)}; choose among {', '.join(CASES)}.")
    before = kept("speed")
    found = before["cases"] if before.get("machine") == machine() else {}
    for name in options.cases or CASES:
        try:
            known = found.get(name, {}).get("megabytes", {})
            found[name] = compare(name, options.seconds, options.memory)
            found[name]["megabytes"] = found[name]["megabytes"] or known
        except UserError as reason:  # a set that is not on this machine
            print(f"{name}: left out. {reason}", file=sys.stderr)
            continue
        print(report.line(name, found[name]), flush=True)
        found = {name: found[name] for name in CASES if name in found}
        write("speed", {"cases": found}, report.markdown(found), aloud=False)
        (RESULTS / "speed.svg").write_text(report.picture(found))


if __name__ == "__main__":
    main()
