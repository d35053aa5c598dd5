"""Page configuration and navigation, nothing else."""

import sys
from pathlib import Path

import streamlit as st

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))  # `streamlit run app/main.py` sees only this folder

from app import engine  # noqa: E402
from app.components.absent import or_say_why  # noqa: E402
from app.components.classroom import classroom  # noqa: E402
from app.components.login import require_login  # noqa: E402
from app.components.status import worker_status  # noqa: E402
from app.navigation import arrive, sections  # noqa: E402

st.set_page_config(page_title="Apprentice", page_icon=str(ROOT / "app" / "icon.png"), layout="wide")
st.html(ROOT / "app" / "style.css")
with or_say_why():
    engine.start()
    page = st.navigation(sections(), expanded=True)
    require_login()
    worker_status()
    classroom()
    arrive(page)
    page.run()
