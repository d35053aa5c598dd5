"""Live curves of runs: one fragment that polls the store while something is still to come."""

from __future__ import annotations

import time

import streamlit as st

from app import engine, figures, results
from app.components.chart import chart

POLL_SECONDS = 0.5


def live_curves(ids: list[int], metric: str, key: str, *, title: str | None = None, logarithmic: bool = False,
                table: bool = False, among: list[int] | None = None) -> None:
    """Curves of a metric, updated twice a second until all runs have ended; then the page is drawn once more.

    Where the runs are some `among` others, all of those are waited for, and their progress is shown.
    """
    awaited = ids if among is None else among
    ended, known = _all_ended(awaited), len(engine.store().metric_names(ids))

    @st.fragment(run_every=None if ended else POLL_SECONDS)
    def draw() -> None:
        everyone = engine.store().runs(ids=awaited)[::-1]  # in the order in which they run
        runs = [run for run in everyone if run["id"] in ids]
        teachers = engine.store().runs(ids=list({run["teacher"] for run in runs if run["teacher"]}))
        progress_line([*(run for run in _needed(everyone) if run["state"] not in results.ENDED), *everyone])
        percent = metric == "accuracy"
        learning = [run for run in teachers if run["state"] == "running"]
        lines = [*results.lines(learning, metric), *results.lines(results.students(runs) or runs, metric)]
        teacher = results.teacher_accuracy(runs) if percent and not learning else None
        if lines:
            chart(figures.curves(lines, title=title or metric, percent=percent, logarithmic=logarithmic,
                                 level=(f"teacher {results.per_cent(teacher)}", teacher) if teacher else None),
                  key=key, description=f"{title or metric} over training steps, one line a run")
            notes = ["A colour for each method and setting, a kind of line for each seed."] if len(
                {run["seed"] for run in runs}) > 1 else []
            ensembles = [run["id"] for run in runs if run["role"] == "ensemble" and run["state"] == "done"]
            if ensembles and not engine.store().curves(ensembles, metric):
                notes.append("An ensemble has no line here: of its students, only the answers are averaged.")
            early = sum(run["state"] == "done" and 0 < run["step"] < run["steps"] for run in runs)
            if early:
                notes.append(f"{early} ended before their last step: they had stopped improving.")
            if notes:
                st.caption(" ".join(notes))
        else:
            with st.container(height=400, border=True, vertical_alignment="center", horizontal_alignment="center"):
                coming = "The first point is on its way"
                if any(run["state"] not in results.ENDED for run in teachers):
                    coming += ": the teacher trains first, then its students"
                st.caption(f"No run has recorded {metric}." if _all_ended(ids) else f"{coming}.")
        if table:
            results_table(runs)
        if not ended and (_all_ended(awaited) or len(engine.store().metric_names(ids)) > known):
            st.rerun()  # the page around this fragment has something new to say

    draw()


def _needed(runs: list[dict]) -> list[dict]:
    """The teachers of runs, and the students of those that are ensembles."""
    ids = [run["id"] for run in runs]
    return engine.store().runs(ids=[run for run in engine.queue().with_needed(ids) if run not in ids])


def _all_ended(ids: list[int]) -> bool:
    return all(run["state"] in results.ENDED for run in engine.store().runs(ids=ids))


def progress_line(runs: list[dict]) -> None:
    """One bar over all runs, and what is running, what waits and what ended how, in words."""
    counts = {state: sum(run["state"] == state for run in runs)
              for state in ("running", "queued", "paused", *results.ENDED)}
    if counts["running"] + counts["queued"] == 0:
        if counts["paused"]:
            st.caption(f":material/pause_circle: {counts['paused']} paused; **Queue** has them go on.")
        return
    share = sum(1 if run["state"] in results.ENDED else run["step"] / max(run["steps"], 1) for run in runs) / len(runs)
    running = ", ".join(figures.markdown(run["name"]) for run in runs if run["state"] == "running")
    words = [f"{counts[state]} {word}" for state, word in (("queued", "waiting"), ("done", "done"),
             ("failed", "failed"), ("stopped", "stopped"), ("paused", "paused")) if counts[state]]
    st.progress(share, text=" · ".join([f"Running: {running}" if running else "Waiting for a free place", *words,
                                        *results.time_left(runs, time.time())]))


def results_table(runs: list[dict]) -> None:
    """Best and last accuracy, gain over the baseline of the same seed, time; state while it still changes."""
    number, ended = st.column_config.NumberColumn, all(run["state"] == "done" for run in runs)
    rows = results.table(runs)
    percent = [{name: row[name] and 100 * row[name] for name in ("last", "best")} for row in rows]
    st.dataframe([row | shares for row, shares in zip(rows, percent)], hide_index=True, placeholder="–", column_order=(
        "name", *(() if ended else ("state", "progress")), "last", "best", "gain", "seconds"), column_config={
        "name": "Run", "state": st.column_config.TextColumn("State", width=80),
        "progress": st.column_config.ProgressColumn("Progress", format="%d %%", min_value=0, max_value=100, width=115),
        "last": number("Last", format="%.1f %%", width=75, help="Accuracy on the test images at the last step."),
        "best": number("Best", format="%.1f %%", width=75, help="The highest accuracy on the test images."),
        "gain": number("Gain", format="%+.1f", width=75, help="Points of the last accuracy over that of labels alone, "
                       "same seed; an ensemble's over as many networks on labels alone."),
        "seconds": number("Time", format="%.1f s", width=75, help="Spent in training steps.")})
