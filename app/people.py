"""Who uses a page."""

from __future__ import annotations

import hashlib

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from kdcore.settings import read

COOKIE = "_streamlit_xsrf"  # Streamlit's own: a browser has one before it has a session, and only servers of this host
SHORTEST = 16  # bytes of it: what is shorter was made by hand


def owner() -> str:
    """Who uses this page, as the settings tell people apart; empty where they do not."""
    match read().people:
        case "login":
            verified = st.user.get("email_verified") in (True, "true")  # else it may be somebody else's
            number = f"number {st.user.get('sub')} of {st.user.get('iss')}"
            return str(st.user.get("email")).lower() if verified else number
        case "session":
            return f"visitor {hashlib.sha256(_browser()).hexdigest()[:16]}"
    return ""


def _browser() -> bytes:
    """What a browser keeps over reloads until it is closed; the session's number, a secret too, where it has none."""
    try:
        _, mask, token, _ = st.context.cookies[COOKIE].split("|")  # the token is masked anew at each reload
        key = bytes.fromhex(mask)
        found = bytes(byte ^ key[i % len(key)] for i, byte in enumerate(bytes.fromhex(token)))
        if len(found) < SHORTEST:
            raise ValueError(found)
        return found
    except (KeyError, ValueError, ZeroDivisionError):
        return get_script_run_ctx().session_id.encode()
