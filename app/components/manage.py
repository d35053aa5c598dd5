"""Pause, stop, start again, rename, annotate and delete runs."""

from __future__ import annotations

import time
from functools import partial

import streamlit as st

from app import engine, planning, rights
from app.components.exchange import downloads
from app.components.notes import note_form

GOING = ("running", "queued", "paused")


EVERY = "every run"


def manage(runs: list[dict], experiment: str) -> None:
    """Controls for an experiment and for one run of it, and what happened to that."""
    with st.expander("Pause, stop, go on, rename, delete; notes, downloads, settings, events", icon=":material/tune:",
                     key="manage"):
        named = {EVERY: f"All {len(runs)} runs of {experiment}, teachers too",
                 **{run["id"]: f"{run['name']} ({run['id']})" for run in sorted(runs, key=lambda run: run["id"])}}
        chosen = steady_choice("Which", named, f"managed.{experiment}")
        if chosen is None:
            st.caption("Choose the runs that this is about.")
            return
        rows = runs if chosen == EVERY else [row for row in runs if row["id"] == chosen]
        may = rights.mine(rows) == rows
        with st.container(horizontal=True):
            # whoever lists a run may have it go on, whoever stopped it
            line_buttons(rights.mine(rows), f"managed.{chosen}", rows if rights.owns(experiment) else None)
            if st.button("Delete…", icon=":material/delete:", disabled=not (
                    rights.owns(experiment) if chosen == EVERY else rights.deletable(rows[0]))):
                _confirm(experiment, None if chosen == EVERY else rows[0], len(runs))
        downloads(experiment, None if chosen == EVERY else rows[0])
        if chosen == EVERY:
            note_form(engine.store().experiment(experiment), experiment, rights.owns(experiment),
                      partial(_do, engine.store().annotate_experiment, experiment))
        else:
            _one(rows[0], may)


@st.dialog("Delete?")
def _confirm(experiment: str, row: dict | None, count: int) -> None:
    if row is None:
        st.text(f"The experiment {experiment}, with those of its {count} runs that no other experiment lists.")
    else:
        st.text(f"The run {row['name']}, with its curves and maps, wherever it is listed.")
    st.write("For a day it can be had back, on **Queue**.")
    if st.button("Delete", type="primary", icon=":material/delete:"):
        bin = engine.store().bin
        if row is None:
            st.session_state["just deleted"] = experiment
        _do(*((bin.delete_experiment, experiment) if row is None else (bin.delete, row["id"])))


def _one(row: dict, may: bool) -> None:
    name, rename = st.columns([3, 1], vertical_alignment="bottom")
    new = name.text_input("Name", row["name"], max_chars=120, key=f"name.{row['id']}")
    if rename.button("Rename", width="stretch", disabled=not may or new == row["name"]):
        _do(engine.store().rename, row["id"], new)
    note_form(row, str(row["id"]), may, partial(_do, engine.store().annotate, row["id"]))
    with st.popover("Its settings", icon=":material/data_object:"):
        st.json(row["config"], expanded=2)
    for event in engine.store().events(row["id"]):
        st.text(f"{time.strftime('%H:%M:%S', time.localtime(event['at']))}  step {event['step']}: {event['text']}")
    if row["message"]:
        st.text(row["message"])


def steady_choice(label: str, named: dict, key: str):
    """A choice by name that stays what it was when names change, and is none any more when it is gone."""
    before = st.session_state.get(f"{key}.chosen", next(iter(named)))
    index = list(named).index(before) if before in named else None
    chosen = st.selectbox(label, list(named), index, format_func=named.get, key=key, placeholder="Choose again")
    st.session_state[f"{key}.chosen"] = chosen
    return chosen


def line_buttons(rows: list[dict], key: str, ending: list[dict] | None = None) -> None:
    """Pause, continue and stop the rows that this concerns; `ending` are those that may go on, where they are more."""
    for label, icon, states, act, help_ in (
            ("Pause", ":material/pause:", ("running", "queued"), engine.queue().pause,
             "Until they are told to go on, from where they were."),
            ("Continue", ":material/play_arrow:", ("paused", "failed", "stopped"), planning.restart,
             "What paused, was stopped or failed goes on from where it was, or from its last resume point."),
            ("Stop", ":material/stop:", GOING, engine.queue().stop, "A run keeps what it has recorded.")):
        among = ending if ending is not None and act is planning.restart else rows
        concerned = [row["id"] for row in among if (row["wish"] or row["state"]) in states]  # as it will be in a moment
        some = f" {len(concerned)}" if len(concerned) > 1 or 0 < len(concerned) < len(among) else ""
        if st.button(f"{label}{some}", icon=icon, disabled=not concerned, help=help_, key=f"{key}.{label}"):
            _do(act, concerned)


def _do(action, *arguments) -> None:
    try:
        action(*arguments)
    except engine.UserError as error:
        st.error(str(error))
    else:
        st.rerun()
