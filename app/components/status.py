"""The sidebar's line on the worker and its device."""

import streamlit as st

from app import engine
from kdcore.settings import DEMONSTRATION


def worker_status() -> None:
    """Say on which device runs compute; a worker that is gone while runs wait for it is started again."""
    if engine.settings().read_only:
        st.sidebar.info(DEMONSTRATION, icon=":material/visibility:")
        return
    workers = engine.store().queue.workers()
    if workers and not workers[0]["slots"]:
        st.sidebar.warning(workers[0]["device"], icon=":material/cloud_off:")
    elif workers:
        st.sidebar.caption(f":material/memory: Runs compute on **{workers[0]['device']}**, "
                           f"{workers[0]['slots']} at a time.")
    elif engine.wake_worker():
        st.sidebar.caption(":material/hourglass_empty: The worker is starting…")
    else:
        st.sidebar.caption(":material/bedtime: The worker sleeps until there is something to train.")
