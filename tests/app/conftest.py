"""Pages without a browser, with their engine in this process and no worker."""

import json

import pytest
from streamlit.testing.v1 import AppTest

from app import engine
from kdcore import worker
from kdcore.inspector import _questions
from kdcore.store import Store
from kdcore.worker import ROOT

SECONDS = 60


@pytest.fixture(scope="module")
def questions(tmp_path_factory):
    return _questions(Store(tmp_path_factory.mktemp("inspector")))


@pytest.fixture(scope="module")
def catalogue(questions):
    """As the browser side has it, which changes nothing in it."""
    return json.loads(json.dumps(questions["catalogue"]()))


@pytest.fixture
def page_of(monkeypatch, tmp_path, questions, catalogue):
    """Make a page by its name."""
    store = Store(tmp_path / "store")

    def ask(question, **arguments):
        return questions[question](**arguments)

    for name, stand_in in (("ask", ask), ("answer", ask), ("store", lambda: store),
                           ("catalogue", lambda: catalogue)):
        monkeypatch.setattr(engine, name, stand_in)
    monkeypatch.setattr(worker, "ensure", lambda store: None)
    return lambda name: AppTest.from_file(str(ROOT / "pages" / f"{name}.py"), default_timeout=SECONDS)
