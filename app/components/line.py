"""The queue as a table that lives, and the controls that change its order."""

from __future__ import annotations

import time

import streamlit as st

from app import durations, engine
from app.components.manage import line_buttons, steady_choice

POLL_SECONDS = 1.0


def line_table() -> None:
    """What goes and what waits, in order, updated every second; the page is drawn anew when a run joins or leaves."""
    known = _states(engine.visible(engine.queue().line()))

    @st.fragment(run_every=POLL_SECONDS)
    def draw() -> None:
        runs, now = engine.visible(engine.queue().line()), time.time()
        counts = {state: sum(run["state"] == state for run in runs) for state in ("running", "queued", "paused")}
        words = [f"{counts[state]} {word}" for state, word in (("running", "running"), ("queued", "waiting"),
                                                              ("paused", "paused")) if counts[state]]
        st.markdown(f"**{' · '.join([*words, *durations.time_left(runs, now)])}**")
        me = engine.owner()
        rows = [{"name": run["name"], "experiment": run["experiment"], "state": _ENDING.get(run["wish"], run["state"]),
                 "progress": 100 * run["step"] / max(run["steps"], 1), "priority": engine.PRIORITIES[run["priority"]],
                 "left": _words(durations.left([run], now)), "owner": "you" if run["owner"] == me else run["owner"]}
                for run in runs]
        owners = {row["owner"] for row in rows} - {"", "you"}
        st.dataframe(rows, hide_index=True, placeholder="", column_order=(
            "name", "state", "progress", "left", "priority", "experiment", *(("owner",) if owners else ())),
            column_config={
                "name": "Run", "experiment": "Experiment", "state": st.column_config.TextColumn("State", width=80),
                "progress": st.column_config.ProgressColumn("Progress", format="%d %%", min_value=0, max_value=100,
                                                            width=115),
                "left": st.column_config.TextColumn("Left", width=75, help="Of computing, once it has a place."),
                "priority": st.column_config.TextColumn("Priority", width=80), "owner": "Whose"})
        if _states(runs) != known:
            st.rerun()

    draw()


_ENDING = {"paused": "pausing", "stopped": "stopping"}


def _states(runs: list[dict]) -> list[tuple]:
    """What the controls beside the table depend on."""
    return [(run["id"], run["state"], run["wish"]) for run in runs]


def _words(seconds: float | None) -> str:
    return "" if seconds is None else durations.duration(seconds)


def line_controls(runs: list[dict]) -> None:
    """Pause, continue, stop, put first or last, and prioritise all runs, those of an experiment, or one."""
    experiments = list(dict.fromkeys(run["experiment"] for run in runs if run["experiment"]))
    groups = {"all": ("Everything here", runs)}
    groups |= {f"of {name}": (f"Experiment {name}", [run for run in runs if run["experiment"] == name])
               for name in experiments}
    groups |= {f"run {run['id']}": (f"{run['name']} ({run['id']})", [run]) for run in runs}
    chosen = steady_choice("Which", {key: name for key, (name, _) in groups.items()}, "queue.which")
    _, rows = groups.get(chosen, ("", []))
    ids = [run["id"] for run in rows]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        line_buttons(rows, "queue")
        for label, icon, first in (("To the front", ":material/vertical_align_top:", True),
                                   ("To the end", ":material/vertical_align_bottom:", False)):
            if st.button(label, icon=icon, disabled=len(rows) in (0, len(runs)), key=f"queue.{first}",
                         help="Among the runs of the same priority."):
                engine.queue().move(ids, first)
                st.rerun()
        now, key = {run["priority"] for run in rows}, f"priority.{chosen}"
        st.segmented_control("Priority", list(engine.PRIORITIES), format_func=engine.PRIORITIES.get, key=key,
                             default=now.pop() if len(now) == 1 else None, on_change=_prioritise, args=(ids, key),
                             help="A higher one is taken first; nobody's runs keep others' waiting.")


def _prioritise(runs: list[int], key: str) -> None:
    """When the control is used, and not whenever it is drawn: another page may have changed it meanwhile."""
    if (priority := st.session_state[key]) is not None:
        engine.queue().prioritise(runs, priority)
