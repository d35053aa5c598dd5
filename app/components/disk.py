"""What takes how much of the disk, snapshots thinned, and what was deleted and can be had back."""

from __future__ import annotations

import time

import streamlit as st

from app import engine, figures, rights

SNAPSHOTS = 5  # how many of a run are left when they are thinned


def disk() -> None:
    """Experiments by size, with what can be freed."""
    store = engine.store()
    runs = {run["id"]: run for run in engine.visible(store.runs())}
    sizes = store.sizes([*runs])
    experiments = {name: [runs[run["id"]] for run in store.runs(name) if run["id"] in runs]
                   for name in engine.experiments()}
    rows = sorted(({"experiment": name, "runs": len(own), "megabytes": sum(sizes[run["id"]] for run in own) / 1e6}
                   for name, own in experiments.items()), key=lambda row: -row["megabytes"])
    st.markdown(f"**{sum(sizes.values()) / 1e6:.0f} MB** in {len(runs)} runs, of which some may be in several "
                f"experiments; {engine.free_disk() / 1e9:.0f} GB are free.")
    st.dataframe(rows, hide_index=True, column_config={
        "experiment": "Experiment", "runs": st.column_config.NumberColumn("Runs", width=75),
        "megabytes": st.column_config.NumberColumn("Size", format="%.1f MB", width=100)})
    name, thin, delete = st.columns([2.4, 1.2, 1.3], vertical_alignment="bottom")
    chosen = name.selectbox("Experiment", list(filter(rights.owns, experiments)), None,
                            key="disk.experiment", placeholder="of which to free some space")
    with thin.popover("Thin…", icon=":material/compress:", width="stretch", disabled=not chosen):
        st.markdown(f"Keep {SNAPSHOTS} snapshots of each run: the first, the last and some between. The maps of other "
                    "steps are then gone, also in other experiments that list these runs. **This cannot be undone.**")
        if st.button(f"Keep {SNAPSHOTS}", type="primary", key="disk.thin"):
            store.thin([run["id"] for run in rights.mine(experiments[chosen])], SNAPSHOTS)
            st.rerun()
    with delete.popover("Delete…", icon=":material/delete:", width="stretch", disabled=not chosen):
        st.markdown("With those of its runs that no other experiment lists. It can be undone for a day, above.")
        if st.button("Delete", type="primary", key="disk.delete"):
            try:
                store.bin.delete_experiment(chosen)
            except engine.UserError as error:
                st.error(str(error))
            else:
                st.rerun()


def deleted() -> None:
    """What was deleted within a day, with a button to have it back, and one to make room of all."""
    for gone in rights.deleted():
        words, back = st.columns([4, 1], vertical_alignment="center")
        runs = f", {gone['runs']} runs" if gone["runs"] > 1 else ""
        words.markdown(f"{figures.markdown(gone['name'])}{runs}, deleted "
                       f"{time.strftime('%d %B, %H:%M', time.localtime(gone['deleted']))}")
        if back.button("Undo", icon=":material/undo:", key=f"back.{gone['deleted']}", width="stretch"):
            engine.store().bin.undelete(gone["deleted"])
            st.rerun()
    with st.popover("Remove all of it…", icon=":material/delete_forever:"):
        st.markdown("It makes room on the disk at once, and not in a day. **This cannot be undone.**")
        if st.button("Remove", type="primary", key="bin.empty"):
            engine.store().bin.empty(gone["deleted"] for gone in rights.deleted())
            st.rerun()
