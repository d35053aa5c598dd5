"""What is to be trained: planned, what it will cost, and started."""

from __future__ import annotations

from app import engine, rights
from app.durations import duration
from kdcore import worker


def plan(experiment: dict) -> dict:
    """The experiment as plain data for the store. Raises UserError where one of its runs cannot be trained."""
    planned = engine.ask("plan", content=experiment)
    reasons = (engine.store().obstacle(run, engine.owner()) for run in planned["runs"])
    if reason := next(filter(None, reasons), "") or _hidden_start(planned) or _refusal(planned):
        raise engine.UserError(reason)
    return planned


def _refusal(planned: dict, again: bool = False) -> str:
    return engine.settings().refusal(planned["runs"], engine.store(), engine.owner(), again)


def _hidden_start(planned: dict) -> str:
    """Why runs cannot start from what another one learnt, where nobody here may see that one; empty where they can."""
    starts = (run["config"]["network"].get("start") for run in planned["runs"] + [
        run["teacher"] for run in planned["runs"] if run["teacher"]])
    needed = {start["run"] for start in starts if start and start["kind"] == "run"}
    hidden = needed - {run["id"] for run in engine.visible(engine.store().runs(ids=[*needed]))}
    return f"There is no run {min(hidden)} to start from; choose one of yours." if hidden else ""


def cost(experiment: dict, planned: dict, again: bool = False) -> dict:
    """What an experiment will cost on this machine.

    {"runs" all in all, "found" those of them that are there already, unless they are to be trained `again`, "seconds",
    "bytes", "slots" at a time "where", "teacher" a sentence, "tried" of how many "kinds" of run}.
    """
    run = experiment["run"]
    if set(_teachers(planned["runs"]).values()) == {"done"}:  # what they started from may be gone
        run = {**run, "teacher": {**run["teacher"], "network": {**run["teacher"]["network"], "start": None}}}
    return cost_of(planned["runs"], engine.answer("estimate", content={**experiment, "run": run, "name": ""}), again)


def _find(hash: str) -> dict | None:
    return engine.store().find(hash, engine.owner())


def _teachers(runs: list[dict]) -> dict[str, str | None]:
    """The state of each planned run's teacher, by its hash; None where it is not there."""
    return {hash: (_find(hash) or {"state": None})["state"]
            for hash in dict.fromkeys(run["teacher"]["hash"] for run in runs if run["teacher"])}


def cost_of(runs: list[dict], found: dict, again: bool = False) -> dict:
    """The same of planned runs, of which the engine has `found` what each takes."""
    teachers, states = {}, _teachers(runs)
    fresh = [(one, run) for one, run in zip(found["each"], runs) if again or not _find(run["hash"])]
    for one, run in fresh:
        run["expected"] = one["seconds"] if not run["parts"] else 0.0
        for part in run["parts"]:
            part["expected"] = one["seconds"] / len(run["parts"])
        if run["teacher"] and states[run["teacher"]["hash"]] != "done":
            teachers[run["teacher"]["hash"]] = one["teacher"]
            run["teacher"]["expected"] = one["teacher"]["seconds"]
    at_a_time, where = found["slots"], "this machine"
    if engine.settings().ray:
        at_a_time, where = engine.slots(), "the cluster, if its nodes are as fast as this machine"
    students = [one for one, _ in fresh]
    return {"runs": sum(one["trainings"] for one in found["each"]), "found": 0 if again else sum(
                one["trainings"] for one, run in zip(found["each"], runs) if _find(run["hash"])),
            "seconds": sum(_shared_out([one["seconds"] for one in wave], at_a_time)
                           for wave in (teachers.values(), students)),
            "bytes": sum(one["bytes"] for one in (*teachers.values(), *students)),
            "teacher": _of_teachers([*states.values()]),
            "slots": at_a_time, "where": where, "tried": found["tried"], "kinds": found["kinds"]}


def _shared_out(seconds: list[float], slots: int) -> float:
    """How long runs take of which so many go at a time."""
    return max(sum(seconds) / slots, *seconds) if seconds else 0.0


def _of_teachers(states: list[str | None]) -> str:
    whose, are = ("Their teacher", "is") if len(states) == 1 else (f"Their {len(states)} teachers", "are")
    if not states:
        return ""
    if None in states:
        return f"{whose} {are} trained first."
    return f"{whose} {are} already trained." if set(states) == {"done"} else f"{whose} {are} being trained already."


def fill(runs: list[dict], name: str) -> str:
    """Queue planned runs under a name, see `Store.add`, and return it. Raises UserError as `may_fill` does."""
    may_fill(runs)
    name = engine.store().add(runs, name, engine.owner())
    worker.ensure(engine.store())
    return name


def may_fill(runs: list[dict]) -> None:
    """Raises UserError where the server's settings, or what the runs start from, are against training them."""
    rights.may_change()
    if reason := _hidden_start({"runs": runs}) or _refusal({"runs": runs}):
        raise engine.UserError(reason)


def submit(planned: dict, again: bool = False) -> str:
    """Queue a planned experiment and return its name, made unique; a worker is started where there is none.

    Runs that are there already are not trained twice, unless `again`. Raises UserError where the server's settings are
    against it.
    """
    if reason := _refusal(planned, again):
        raise engine.UserError(reason)
    with engine.store().transaction():  # two sessions may choose one name
        name = engine.store().free_name(planned["name"])
        engine.store().submit_all(planned["runs"], name, engine.owner(), content=planned["content"], again=again)
    worker.ensure(engine.store())
    return name


def search(wanted: dict, run: dict, seeds: list[int], name: str) -> str:
    """Start a search for a weight and return its name; `wanted` is what the form asks for."""
    rights.may_change()
    named = engine.ask("start_search", content={**wanted, "run": run, "seeds": seeds}, owner=engine.owner(), name=name)
    worker.ensure(engine.store())
    return named


def restart(runs: list[int]) -> None:
    """Start runs that failed, were stopped or paused once more. Raises UserError where the settings are against it."""
    rights.may_change()
    if reason := engine.settings().refusal_again(engine.store().runs(ids=runs), engine.store(), engine.owner()):
        raise engine.UserError(reason)
    engine.store().queue.restart(runs)
    worker.ensure(engine.store())


def in_words(cost: dict) -> str:
    """What an experiment costs, see `cost`."""
    there = f", {'all' if cost['found'] == cost['runs'] else cost['found']} of them there already" * bool(cost["found"])
    tried = (f" Of {cost['kinds']} kinds of run {cost['tried']} were tried, and the mean of these stands for the "
             "others.") * (cost["tried"] < cost["kinds"])
    return (f"**{cost['runs']} run{'s' * (cost['runs'] > 1)}**{there}: about **{duration(cost['seconds'])}** on "
            f"{cost['where']} ({cost['slots']} at a time), and {cost['bytes'] / 1e6:.0f} MB of disk. "
            f"{cost['teacher']}{tried}")
