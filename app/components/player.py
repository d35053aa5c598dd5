"""A slider over training that also moves by itself."""

from __future__ import annotations

import time
from collections.abc import Callable

import streamlit as st

SECONDS = 0.8  # that a snapshot is looked at


def player(steps: list[int], draw: Callable[[int], None], key: str = "step") -> None:
    """Choose one of the steps, the last one at first; `draw(step)` shows it, and again whenever the choice moves."""
    playing = f"{key}.playing"
    st.session_state[f"{key}.moved"] = time.monotonic()  # a page that is drawn anew shows the same step

    @st.fragment(run_every=SECONDS if st.session_state.get(playing) else None)
    def show() -> None:
        if st.session_state.get(playing):
            _advance(steps, key)
        going = bool(st.session_state.get(playing))
        with st.container(horizontal=True, vertical_alignment="bottom"):
            step = st.select_slider("Training step", steps, steps[-1], key=key, bind="query-params", help="Snapshots "
                                    "lie close together early on, where most changes.")
            if st.button("Pause" if going else "Play", icon=f":material/{'pause' if going else 'play_arrow'}:",
                         key=f"{key}.play", disabled=len(steps) < 2, on_click=_toggle, args=(steps, key)):
                st.rerun()  # the fragment's clock starts and stops with the page
        draw(step)

    show()


def _toggle(steps: list[int], key: str) -> None:
    """Play, from the beginning where the end is shown, or pause."""
    st.session_state[f"{key}.playing"] = not st.session_state.get(f"{key}.playing")
    if st.session_state.get(key, steps[-1]) == steps[-1]:
        st.session_state[key] = steps[0]


def _advance(steps: list[int], key: str) -> None:
    """One step on, where the last one was looked at for long enough; at the end it pauses."""
    now = time.monotonic()
    if now - st.session_state[f"{key}.moved"] < SECONDS / 2:
        return
    at = steps.index(st.session_state.get(key, steps[-1]))
    if at == len(steps) - 1:
        st.session_state[f"{key}.playing"] = False
        st.rerun()
    st.session_state[key], st.session_state[f"{key}.moved"] = steps[at + 1], now
