"""What stands in a page's place while an answer is slow."""

from __future__ import annotations

from contextlib import contextmanager

import streamlit as st


@contextmanager
def waiting(words: str):
    """A line in the page's own place while the block runs; gone as soon as it ends."""
    with st.spinner(words):
        yield
