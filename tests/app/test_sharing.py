"""One server for several people: who sees, starts and changes what, as its settings say."""

import re
from types import SimpleNamespace

import pytest

from app import downloads, engine, own_methods, people, planning, rights, uploads
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
    assert not page.exception and "changes nothing" in page.info[0].value and buttons(page) == set()
    for change in (lambda: planning.submit({"runs": [], "name": "", "content": {}}), lambda: planning.restart([1]),
                   lambda: own_methods.save({"title": "A"}), lambda: own_methods.forget("A"),
                   lambda: downloads.start("mnist"), lambda: uploads.import_experiment(b""),
                   lambda: planning.search({}, {}, [], "")):
        with pytest.raises(UserError, match="starts and changes nothing"):
            change()
    assert not rights.owns("of ada") and not rights.deleted() and not rights.mine(engine.store().runs())


def test_what_belongs_to_somebody_is_changed_by_them_alone(server):
    """Also where they found each other's runs: an experiment is whose it is, a shared run nobody's to delete."""
    engine.store().submit_all([planned("bob's", "bob")], "of ada too", owner="ada")
    for who, other in (("ada", "bob"), ("bob", "ada")):
        server("queue", 'people = "session"', who)
        assert rights.owns(f"of {who}") and not rights.owns(f"of {other}")
        (mine,) = rights.mine(engine.store().runs())
        assert mine["name"] == f"{who}'s" and rights.deletable(mine) == (who == "ada"), "bob's is ada's too"
    engine.store().bin.delete_experiment("of bob")
    assert len(rights.deleted()) == 1 and engine.store().runs("of ada too")
    server("queue", 'people = "session"', "ada")
    assert rights.deleted() == []


def test_methods_and_starts_are_ones_own(server):
    server("train", 'people = "session"\nsees = "own"', "ada")
    own_methods.save({"title": "Hers"})
    assert list(own_methods._folder().glob("*.json"))
    mine = {**planned("new", "new"), "config": {"network": {"start": {"kind": "run", "run": 1}}}}
    assert planning._hidden_start({"runs": [mine]}) == ""
    server("train", 'people = "session"\nsees = "own"', "bob")
    assert not list(own_methods._folder().glob("*.json"))
    assert planning._hidden_start({"runs": [mine]}) == "There is no run 1 to start from; choose one of yours."


def test_a_browser_is_known_by_a_secret_that_it_keeps(server, monkeypatch):
    """Over reloads, which mask it anew, and never by what could be used in its place."""
    server("train", 'people = "session"')
    seen, masked = [], (("00000000", "00112233"), ("0000ff00", "0011dd33"), ("00000000", "00112234"))
    for cookie in (f"2|{mask}|{token * 4}|1" for mask, token in masked):
        monkeypatch.setattr(people.st, "context", SimpleNamespace(cookies={people.COOKIE: cookie}))
        seen.append(people.owner())
    assert seen[0] == seen[1] != seen[2] and re.fullmatch("visitor [0-9a-f]{16}", seen[0])
    assert "00112233" not in seen[0]
    monkeypatch.setattr(people, "get_script_run_ctx", lambda: SimpleNamespace(session_id="a number"))
    for cookies in ({}, {people.COOKIE: "2|00||1"}, {people.COOKIE: "2|00|00|1"}):
        monkeypatch.setattr(people.st, "context", SimpleNamespace(cookies=cookies))
        seen.append(people.owner())
    assert len(set(seen)) == 3 and "a number" not in seen[-1], "without one it is the session"


@pytest.mark.parametrize("user, known", [
    ({"email": "Ada@Example.org", "email_verified": True, "sub": "7"}, "ada@example.org"),
    ({"email": "ada@example.org", "email_verified": False, "sub": "7", "iss": "here"}, "number 7 of here"),
    ({"sub": "ada@example.org", "iss": "here"}, "number ada@example.org of here")])
def test_people_are_known_by_what_their_provider_vouches_for(server, monkeypatch, user, known):
    server("train", 'people = "login"')
    monkeypatch.setattr(people.st, "user", user)
    assert people.owner() == known


def test_what_is_started_is_its_owners(server, monkeypatch):
    server("train", 'people = "login"')
    run = planned("new", "new")
    name = planning.submit({"runs": [run], "name": "mine", "content": {}})
    assert engine.store().experiment(name)["owner"] == engine.store().runs(name)[0]["owner"] == "ada"


class Stopped(Exception):
    """The page ends here."""


def test_a_stranger_is_asked_to_log_in(server, monkeypatch):
    said = []
    monkeypatch.setattr(login.st, "stop", lambda: (_ for _ in ()).throw(Stopped))
    monkeypatch.setattr(login.st, "button", lambda label, **_: said.append(label))
    for whom, user, ends in (("one", {}, False), ("login", {}, True), ("login", {"is_logged_in": True}, False)):
        server("start", f'people = "{whom}"')
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
