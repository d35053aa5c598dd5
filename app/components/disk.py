"""What takes how much of the disk, snapshots thinned, and what was deleted and can be had back."""

from __future__ import annotations

import time

import streamlit as st

from app import engine, figures

SNAPSHOTS = 5  # how many of a run are left when they are thinned


def disk() -> None:
    """Experiments by size, with what can be freed."""
    store = engine.store()
    runs = engine.visible(store.runs())
    sizes = store.sizes([run["id"] for run in runs])
    experiments: dict[str, list[dict]] = {}
    for run in runs:
        experiments.setdefault(run["experiment"], []).append(run)
    rows = sorted(({"experiment": name or "without one", "runs": len(own),
                    "megabytes": sum(sizes[run["id"]] for run in own) / 1e6} for name, own in experiments.items()),
                  key=lambda row: -row["megabytes"])
    st.markdown(f"**{sum(sizes.values()) / 1e6:.0f} MB** in {len(runs)} runs; {engine.free_disk() / 1e9:.0f} GB are "
                "free.")
    st.dataframe(rows, hide_index=True, column_config={
        "experiment": "Experiment", "runs": st.column_config.NumberColumn("Runs", width=75),
        "megabytes": st.column_config.NumberColumn("Size", format="%.1f MB", width=100)})
    name, thin, delete = st.columns([3, 1.4, 1], vertical_alignment="bottom")
    chosen = name.selectbox("Experiment", [name for name, own in experiments.items() if name and
                                           engine.mine(own) == own], key="disk.experiment")
    if thin.button(f"Keep {SNAPSHOTS} snapshots of each run", icon=":material/compress:", width="stretch",
                   disabled=not chosen, help="The first, the last and those between; the maps of other steps are gone. "
                   "This cannot be undone."):
        store.thin([run["id"] for run in experiments[chosen]], SNAPSHOTS)
        st.rerun()
    if delete.button("Delete", icon=":material/delete:", width="stretch", disabled=not chosen,
                     help="Can be undone for a day, below."):
        try:
            store.delete_experiment(chosen)
        except engine.UserError as error:
            st.error(str(error))
        else:
            st.rerun()


def deleted() -> None:
    """What was deleted within a day, with a button to have it back."""
    for gone in engine.store().deleted():
        words, back = st.columns([4, 1], vertical_alignment="center")
        runs = f", {gone['runs']} runs" if gone["runs"] > 1 else ""
        words.markdown(f"{figures.markdown(gone['name'])}{runs}, deleted at "
                       f"{time.strftime('%H:%M', time.localtime(gone['deleted']))}")
        if back.button("Undo", icon=":material/undo:", key=f"back.{gone['deleted']}", width="stretch"):
            engine.store().undelete(gone["deleted"])
            st.rerun()
