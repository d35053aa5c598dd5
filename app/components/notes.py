"""Notes and tags beside runs and experiments."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app import figures
from kdcore.notes import MOST_NOTE, MOST_TAGS


def note_shown(told: dict) -> None:
    """What somebody wrote of it; nothing where nobody did."""
    if told["tags"]:
        st.markdown(" ".join(f":gray-badge[{figures.markdown(tag)}]" for tag in told["tags"].split()))
    if told["note"]:
        st.text(told["note"])


def note_form(told: dict, key: str, may: bool, save: Callable[[str, str], None]) -> None:
    """Write a note and tags; those who `may` not change them read them."""
    if not may:
        note_shown(told)
        return
    with st.form(f"notes.{key}", border=False):
        note = st.text_area("Note", told["note"], height=90, key=f"note.{key}", help="Whatever you want to remember, "
                            f"in {MOST_NOTE} letters at most; shown as written, and in what leaves as a file.")
        words, button = st.columns([3, 1], vertical_alignment="bottom")
        tags = words.text_input("Tags", told["tags"], key=f"tags.{key}", placeholder="baseline surprising",
                                help=f"Short words, {MOST_TAGS} at most, by which experiments are found again.")
        if button.form_submit_button("Save the note", width="stretch"):
            save(note, tags)
