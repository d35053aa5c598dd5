"""What leaves the app as a file, and experiments that come from elsewhere."""

from __future__ import annotations

import re
from functools import partial

import streamlit as st

from app import engine, figures, uploads
from kdcore import frames


def downloads(experiment: str, run: dict | None) -> None:
    """Tables of an experiment and the whole of it, or of one run and its network; each is made when it is asked for."""
    store, key = engine.store(), f"download.{experiment}.{run and run['id']}"
    name = re.sub(r"[^\w-]+", "-", experiment).strip("-")[:50] if run is None else f"run-{run['id']}"
    ids = [row["id"] for row in store.runs(experiment)[::-1]] if run is None else [run["id"]]
    offered = [
        ("Settings and results", f"{name}-settings.csv",
         lambda: frames.runs(experiment, store).loc[ids].to_csv().encode()),
        ("Curves (CSV)", f"{name}-curves.csv", lambda: frames.recorded(store, ids).to_csv(index=False).encode()),
        ("Curves (Parquet)", f"{name}-curves.parquet", lambda: frames.recorded(store, ids).to_parquet())]
    if run is None:
        offered.append(("Everything (zip)", f"{name}.zip",
                        partial(engine.ask, "export_experiment", what=experiment)))
    elif store.snapshot_steps(run["id"]):
        offered.append(("Its network", f"{name}.zip",
                        partial(engine.ask, "export_student", what=run["id"])))
    with st.container(horizontal=True):
        for label, file, make in offered:
            st.download_button(label, make, file, icon=":material/download:", on_click="ignore", key=f"{key}.{file}",
                               help=_HELP.get(label))


_HELP = {"Everything (zip)": "Settings, curves and all snapshots, without a pickle: to be kept, or imported elsewhere.",
         "Its network": "As safetensors, as a state_dict, and as a program that five lines load with torch alone."}


def example_button() -> str | None:
    """Import real results that come with the app, so that every page has something to show; returns their name."""
    if st.button("Look at real results", icon=":material/dataset:", help="Seven kinds of student of one teacher, three "
                 "seeds each, trained on handwritten digits with this app. Nothing is trained, nothing downloaded.",
                 disabled=engine.settings().read_only):
        with st.spinner("Reading what comes with the app…"):
            return uploads.import_example()
    return None


def import_form() -> None:
    """Read an experiment that was exported elsewhere; it is then the one that the page shows."""
    if engine.settings().read_only:
        return
    with st.expander("Import an experiment", icon=":material/upload:"):
        st.file_uploader("The zip file that another Apprentice exported", type="zip", key="import", on_change=_import,
                         max_upload_size=engine.settings().most_upload_megabytes)
        if error := st.session_state.pop("import.error", None):
            st.error(figures.markdown(error))
        if name := st.session_state.pop("import.name", None):
            st.toast(f"Imported as {figures.markdown(name)}; this page shows it now.")


def _import() -> None:
    if file := st.session_state["import"]:
        try:
            name = uploads.import_experiment(file.getvalue())
            st.session_state["experiment"] = st.session_state["import.name"] = name
        except engine.UserError as error:
            st.session_state["import.error"] = str(error)
