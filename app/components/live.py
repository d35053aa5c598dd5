"""Live curves of runs: one fragment that polls the store while something is still to come.

What is drawn is the same for everybody who looks at the same runs: a class on one server costs hardly more than one.
"""

from __future__ import annotations

import time

import pyarrow
import streamlit as st

from app import durations, engine, figures, results
from app.components.chart import chart_of
from kdcore.store import ENDED

TOLD = ("tags", "note")
POLL_SECONDS = 0.5
SHARED_SECONDS = 0.4  # for so long what one browser was shown is news to the others


def live_curves(ids: list[int], metric: str, key: str, *, title: str | None = None, logarithmic: bool = False,
                table: bool = False, among: list[int] | None = None) -> None:
    """Curves of a metric, updated twice a second until all runs have ended; then the page is drawn once more.

    Where the runs are some `among` others, all of those are waited for, and their progress is shown.
    """
    asked = {"store": str(engine.store().folder), "ids": ids, "awaited": ids if among is None else among,
             "metric": metric, "title": title or metric, "logarithmic": logarithmic}
    began = _news(**asked)
    fresh = [began]  # what a page says when it is drawn is never an older news

    @st.fragment(run_every=None if began["over"] else POLL_SECONDS)
    def draw() -> None:
        news = fresh.pop() if fresh else _shared_news(**asked)
        _progress_line(news["progress"])
        if news["figure"]:
            chart_of(news["figure"], key, f"{title or metric} over training steps, one line a run")
            if news["notes"]:
                st.caption(" ".join(news["notes"]))
        else:
            with st.container(height=400, border=True, vertical_alignment="center", horizontal_alignment="center"):
                st.caption(news["coming"])
        if table:
            _results_table(news["table"], news["done"])
        if not began["over"] and (news["over"] or news["metrics"] > began["metrics"]):
            st.rerun()  # the page around this fragment has something new to say

    draw()


def _news(store: str, ids: list[int], awaited: list[int], metric: str, title: str, logarithmic: bool) -> dict:
    """All that an update shows, as data that is quickly handed on; `store` tells the news of one from another's."""
    everyone = engine.store().runs(ids=awaited)[::-1]  # in the order in which they run
    runs = [run for run in everyone if run["id"] in ids]
    teachers = engine.store().runs(ids=list({run["teacher"] for run in runs if run["teacher"]}))
    learning = [run for run in teachers if run["state"] == "running"]
    lines = [*results.lines(learning, metric), *results.lines(results.students(runs) or runs, metric)]
    percent = metric == "accuracy"
    figure = figures.curves(lines, title=title, percent=percent, logarithmic=logarithmic,
                            level=results.teacher_level(runs) if percent and not learning else None)
    coming = "The first point is on its way"
    if any(run["state"] not in ENDED for run in teachers):
        coming += ": the teacher trains first, then its students"
    waited = [run for run in _needed(everyone) if run["state"] not in ENDED]
    return {"figure": figure.to_json() if lines else None, "notes": _notes(runs, metric),
            "coming": f"No run has recorded {metric}." if _ended(runs) else f"{coming}.",
            "progress": _progress([*waited, *everyone]), "table": _table(runs),
            "done": all(run["state"] == "done" for run in runs), "over": _ended(everyone),
            "metrics": len(engine.store().metric_names(ids))}


_shared_news = st.cache_data(_news, ttl=SHARED_SECONDS, max_entries=100, show_spinner=False)


def _table(runs: list[dict]) -> pyarrow.Table:
    rows = results.table(runs)
    percent = [{name: row[name] and 100 * row[name] for name in ("last", "best")} for row in rows]
    told = [{name: run[name] for name in TOLD} for run in runs]
    return pyarrow.Table.from_pylist([row | shares | words for row, shares, words in zip(rows, percent, told)])


def _notes(runs: list[dict], metric: str) -> list[str]:
    notes = ["A colour for each method and setting, a kind of line for each seed."] if len(
        {run["seed"] for run in runs}) > 1 else []
    ensembles = [run["id"] for run in runs if run["role"] == "ensemble" and run["state"] == "done"]
    if ensembles and not engine.store().curves(ensembles, metric):
        notes.append("An ensemble has no line here: of its students, only the answers are averaged.")
    early = sum(run["state"] == "done" and 0 < run["step"] < run["steps"] for run in runs)
    if early:
        notes.append(f"{early} ended before their last step: they had stopped improving.")
    return notes


def _needed(runs: list[dict]) -> list[dict]:
    """The teachers of runs, and the students of those that are ensembles."""
    ids = [run["id"] for run in runs]
    return engine.store().runs(ids=[run for run in engine.queue().with_needed(ids) if run not in ids])


def _ended(runs: list[dict]) -> bool:
    return all(run["state"] in ENDED for run in runs)


def _progress(runs: list[dict]) -> tuple[float | None, str]:
    """How much of all runs is done, and what is running, what waits and what ended how, in words."""
    counts = {state: sum(run["state"] == state for run in runs)
              for state in ("running", "queued", "paused", *ENDED)}
    if counts["running"] + counts["queued"] == 0:
        paused = f":material/pause_circle: {counts['paused']} paused; **Queue** has them go on."
        return None, paused if counts["paused"] else ""
    share = sum(1 if run["state"] in ENDED else run["step"] / max(run["steps"], 1) for run in runs) / len(runs)
    running = ", ".join(figures.markdown(run["name"]) for run in runs if run["state"] == "running")
    words = [f"{counts[state]} {word}" for state, word in (("queued", "waiting"), ("done", "done"),
             ("failed", "failed"), ("stopped", "stopped"), ("paused", "paused")) if counts[state]]
    return share, " · ".join([f"Running: {running}" if running else "Waiting for a free place", *words,
                              *durations.time_left(runs, time.time())])


def _progress_line(progress: tuple[float | None, str]) -> None:
    share, words = progress
    if share is not None:
        st.progress(share, text=words)
    elif words:
        st.caption(words)


def _results_table(rows: pyarrow.Table, done: bool) -> None:
    """Best and last accuracy, gain over the baseline of the same seed, time; state while it still changes.

    Tags and notes where there are any.
    """
    number, told = st.column_config.NumberColumn, [name for name in TOLD if any(rows[name].to_pylist())]
    st.dataframe(rows, hide_index=True, placeholder="–", column_order=(
        "name", *(() if done else ("state", "progress")), "last", "best", "gain", "seconds", *told), column_config={
        "name": "Run", "tags": st.column_config.TextColumn("Tags", width=90),
        "note": st.column_config.TextColumn("Note", width=180), "state": st.column_config.TextColumn("State", width=80),
        "progress": st.column_config.ProgressColumn("Progress", format="%d %%", min_value=0, max_value=100, width=115),
        "last": number("Last", format="%.1f %%", width=75, help="Accuracy on the test images at the last step."),
        "best": number("Best", format="%.1f %%", width=75, help="The highest accuracy on the test images."),
        "gain": number("Gain", format="%+.1f", width=75, help="Points of the last accuracy over that of labels alone, "
                       "same seed; an ensemble's over as many networks on labels alone."),
        "seconds": number("Time", format="%.1f s", width=75, help="Spent in training steps.")})
