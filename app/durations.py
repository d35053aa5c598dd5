"""How long things take, in words."""

from __future__ import annotations

from app import engine
from kdcore.store import ENDED


def time_left(runs: list[dict], now: float) -> list[str]:
    """In words, how long runs that go or wait still take together; none where nobody knows."""
    going = [run for run in runs if run["state"] in ("running", "queued")]
    seconds = left(going, now)
    return [f"about {duration(seconds / min(engine.slots(), len(going)))} left"] if seconds else []


def left(runs: list[dict], now: float) -> float | None:
    """Seconds of computing that runs which go or wait still need; None where it was not estimated for one of them.

    A run that has not paused goes on as fast as it did, another one as was expected.
    """
    total = 0.0
    for run in runs:
        done = run["step"] / max(run["steps"], 1)
        if run["state"] == "running" and run["claim"] == 1 and done > 0.02:
            total += (now - run["started"]) * (1 - done) / done
        elif run["state"] not in ENDED:
            if run["expected"] is None:
                return None
            total += run["expected"] * (1 - done)
    return total


def duration(seconds: float) -> str:
    """Seconds in words: "40 s", "3 min", "2.5 h"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
