"""One server for several people: who sees, starts and changes what, as its settings say."""

import pytest

from app import engine
from app.components import login
from kdcore.errors import UserError
from tests.test_store import planned


@pytest.fixture
def server(page_of, tmp_path, monkeypatch):
    """Pages of a server, by name, with settings as a file; Ada has an experiment that waits, and so has Bob."""
    monkeypatch.setenv("KD_SETTINGS", str(tmp_path / "settings.toml"))

    def page(name, settings, owner="ada"):
        (tmp_path / "settings.toml").write_text(settings)
        monkeypatch.setattr(engine, "owner", lambda: owner)
        return page_of(name)

    for who in ("ada", "bob"):
        engine.store().submit_all([planned(f"{who}'s", who)], f"of {who}", owner=who)
    return page


def shown(page):
    page.run()
    assert not page.exception
    return list(page.dataframe[0].value["name"]) if page.dataframe else []


def buttons(page):
    return {button.label for button in page.button if not button.disabled}


def test_everybody_sees_everything_and_changes_their_own(server):
    page = server("queue", 'people = "session"')
    assert shown(page) == ["ada's", "bob's"]
    assert page.selectbox(key="queue.which").options == ["Everything here", "Experiment of ada", "ada's (1)"]
    next(button for button in page.button if button.label == "Pause").click().run()
    assert {row["name"]: row["state"] for row in engine.store().runs()} == {"ada's": "paused", "bob's": "queued"}


def test_or_only_their_own(server):
    settings = 'people = "session"\nsees = "own"'
    assert shown(server("queue", settings)) == ["ada's"] and shown(server("queue", settings, "bob")) == ["bob's"]
    assert engine.experiments() == ["of bob"]


def test_a_demonstration_changes_nothing(server):
    page = server("queue", "read_only = true")
    assert shown(page) == ["ada's", "bob's"] and buttons(page) == set()
    page = server("start", "read_only = true").run()
    assert not page.exception and buttons(page) == set()
    page = server("train", "read_only = true")
    page.query_params["data"] = "digits"
    page.run()
    assert not page.exception and "starts nothing" in page.error[0].value and "Start" not in buttons(page)
    with pytest.raises(UserError, match="starts nothing"):
        engine.submit({"runs": [], "name": "", "content": {}})


def test_what_is_started_is_its_owners(server, monkeypatch):
    server("train", 'people = "login"')
    run = planned("new", "new", data={"size": None}, network={"resize": None})
    name = engine.submit({"runs": [run], "name": "mine", "content": {}})
    assert engine.store().experiment(name)["owner"] == engine.store().runs(name)[0]["owner"] == "ada"


class Stopped(Exception):
    """The page ends here."""


def test_a_stranger_is_asked_to_log_in(server, monkeypatch):
    said = []
    monkeypatch.setattr(login.st, "stop", lambda: (_ for _ in ()).throw(Stopped))
    monkeypatch.setattr(login.st, "button", lambda label, **_: said.append(label))
    for people, user, ends in (("one", {}, False), ("login", {}, True), ("login", {"is_logged_in": True}, False)):
        server("start", f'people = "{people}"')
        monkeypatch.setattr(login.st, "user", user)
        if ends:
            with pytest.raises(Stopped):
                login.require_login()
        else:
            login.require_login()
    assert said == ["Log in"]


def test_an_unknown_setting_is_a_sentence_on_every_page(server):
    page = server("queue", "colour = 3").run()
    assert "there is no setting 'colour'" in page.exception[0].message
