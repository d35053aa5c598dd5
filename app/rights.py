"""What whoever uses a page may change."""

from __future__ import annotations

from app import engine
from kdcore.settings import DEMONSTRATION


def mine(runs: list[dict]) -> list[dict]:
    """Those of the runs that whoever uses this page may change."""
    if engine.settings().read_only:
        return []
    return runs if engine.settings().people == "one" else [run for run in runs if run["owner"] == engine.owner()]


def deletable(run: dict) -> bool:
    """Whether whoever uses this page may delete a run: theirs alone, and not going."""
    theirs = engine.settings().people == "one" or not engine.store().shared([run["id"]], engine.owner())
    return bool(mine([run])) and theirs and run["state"] != "running"


def owns(experiment: str) -> bool:
    """Whether whoever uses this page may change an experiment."""
    theirs = engine.settings().people != "one" and engine.store().experiment(experiment)["owner"] != engine.owner()
    return not (theirs or engine.settings().read_only)


def deleted() -> list[dict]:
    """What whoever uses this page has deleted and may have back."""
    settings = engine.settings()
    return [] if settings.read_only else engine.store().bin.deleted(
        None if settings.people == "one" else engine.owner())


def may_change() -> None:
    """Raises UserError on a server that is a demonstration."""
    if engine.settings().read_only:
        raise engine.UserError(DEMONSTRATION)
