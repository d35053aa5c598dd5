"""Who may come in, where the server's settings ask for a login."""

import streamlit as st
from streamlit.errors import StreamlitAuthError

from app import engine


def require_login() -> None:
    """Stop the page for whoever is not logged in, with a button to do so; a line with a way out for the others."""
    if engine.settings().people != "login":
        return
    if st.user.get("is_logged_in"):
        st.sidebar.caption(f":material/person: {st.user.get('name') or engine.owner()}")
        st.sidebar.button("Log out", on_click=st.logout)
        return
    st.title("Apprentice")
    st.markdown("See what a student network learns from its teacher. This server asks who you are.")
    if st.button("Log in", type="primary", icon=":material/login:"):
        try:
            st.login()
        except StreamlitAuthError as error:
            st.error(f"This server's login is not set up: {error} Its owner has to name a provider in "
                     ".streamlit/secrets.toml, as Streamlit's documentation of st.login describes.")
    st.stop()
