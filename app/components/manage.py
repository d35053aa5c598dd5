"""Stop, rename and delete runs."""

from __future__ import annotations

import time

import streamlit as st

from app import engine


def manage(runs: list[dict]) -> None:
    """Controls for one run of an experiment, and what happened to it."""
    with st.expander("Rename, stop, start again, delete; settings, events", icon=":material/tune:", key="manage"):
        named = {run["id"]: run["name"] for run in sorted(runs, key=lambda run: run["id"])}
        run = st.selectbox("Run", list(named), format_func=named.get, key="managed")
        _stop_all(runs)
        name, rename, stop, again, delete = st.columns([3, 1, 1, 1, 1], vertical_alignment="bottom")
        row = next(row for row in runs if row["id"] == run)
        new = name.text_input("Name", row["name"], max_chars=120, key=f"name.{run}")
        if rename.button("Rename", width="stretch", disabled=new == row["name"]):
            _do(engine.store().rename, run, new)
        if stop.button("Stop", width="stretch", disabled=row["state"] not in ("running", "queued"),
                       help="The run keeps what it has recorded."):
            _do(engine.store().stop, run)
        if again.button("Again", width="stretch", disabled=row["state"] not in ("failed", "stopped"),
                        help="Start it once more; it continues from its last resume point where there is one."):
            _do(engine.restart, run)
        if delete.button("Delete", width="stretch", disabled=row["state"] == "running"):
            _confirm(row)
        with st.popover("Its settings", icon=":material/data_object:"):
            st.json(row["config"], expanded=2)
        for event in engine.store().events(run):
            st.text(f"{time.strftime('%H:%M:%S', time.localtime(event['at']))}  step {event['step']}: {event['text']}")
        if row["message"]:
            st.text(row["message"])


@st.dialog("Delete this run?")
def _confirm(row: dict) -> None:
    st.text(row["name"])
    st.write("Its curves and maps are deleted with it. This cannot be undone.")
    if st.button("Delete it", type="primary"):
        _do(engine.store().delete, row["id"])


def _stop_all(runs: list[dict]) -> None:
    going = [run for run in runs if run["state"] in ("running", "queued")]
    if going and st.button(f"Stop all {len(going)} that run or wait"):
        for run in going:
            engine.store().stop(run["id"])
        st.rerun()


def _do(action, *arguments) -> None:
    try:
        action(*arguments)
    except engine.UserError as error:
        st.error(str(error))
    else:
        st.rerun()
