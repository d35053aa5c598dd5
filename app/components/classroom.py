"""For a class: larger letters and lines, and links that open with some controls hidden."""

from __future__ import annotations

import re
from pathlib import Path

import streamlit as st

LARGE = "22px"  # a rem, of which all sizes are multiples; 16 pixels otherwise
MENU = "menu"
_LINK = st.components.v2.component(
    "apprentice_link", isolate_styles=False, js=(Path(__file__).parent / "classroom.js").read_text(),
    html="<div class='apprentice-controls' role='group' aria-label='Controls to hide'></div>"
         "<input readonly aria-label='The link'><button>Copy the link</button>",
    css=(Path(__file__).parent / "classroom.css").read_text())


def classroom() -> None:
    """In the sidebar, the switch to a presentation and the making of links; hides what the link says, on all pages."""
    hidden = _hidden()
    large = st.sidebar.toggle("Presentation", key="large", bind="query-params", help="Larger letters, lines and marks, "
                              "to be read from the back row.")
    with st.sidebar.popover("Link for a class", icon=":material/link:"):
        st.markdown("This link opens this page as it is now, without the controls that you choose to hide. What other "
                    "pages have of them is hidden there too, for whoever came by the link.")
        _LINK(key="class link", data={"hidden": hidden})
        st.button("Show all controls here", icon=":material/visibility:", on_click=_show_all, disabled=not hidden,
                  help="What a link has hidden, also on the other pages." if hidden else "Nothing is hidden here.")
    rules = [f".st-key-{key} {{ display: none; }}" for key in hidden if key != MENU]
    if MENU in hidden:
        rules.append("[data-testid=stSidebar], [data-testid=stExpandSidebarButton] { display: none; }")
    if large:
        rules.append(f"html {{ font-size: {LARGE}; }}")
    st.html(f"<style>{' '.join(rules)}</style>")


def _hidden() -> list[str]:
    """The keys that the link hides, or the link by which one came to the page before."""
    told = st.query_params.get("hide", st.session_state.get("hidden", ""))
    st.session_state["hidden"] = told
    if told and "hide" not in st.query_params:  # the menu's links do not have it
        st.query_params["hide"] = told
    return [key for key in told.split(",") if re.fullmatch(r"[\w-]+", key)]


def _show_all() -> None:
    st.session_state["hidden"] = ""
    st.query_params.pop("hide", None)
