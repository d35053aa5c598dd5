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
    """In the sidebar, the switch to a presentation and the making of links; hides what the page's link says."""
    hidden = [key for key in st.query_params.get("hide", "").split(",") if re.fullmatch(r"[\w-]+", key)]
    large = st.sidebar.toggle("Presentation", key="large", bind="query-params", help="Larger letters, lines and marks, "
                              "to be read from the back row.")
    with st.sidebar.popover("Link for a class", icon=":material/link:"):
        st.markdown("This link opens this page as it is now, without the controls that you choose to hide. Other pages "
                    "have all of theirs.")
        _LINK(key="class link", data={"hidden": hidden})
    rules = [f".st-key-{key} {{ display: none; }}" for key in hidden if key != MENU]
    if MENU in hidden:
        rules.append("[data-testid=stSidebar], [data-testid=stExpandSidebarButton] { display: none; }")
    if large:
        rules.append(f"html {{ font-size: {LARGE}; }}")
    st.html(f"<style>{' '.join(rules)}</style>")
