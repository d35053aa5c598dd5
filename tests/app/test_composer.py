"""Methods of one's own: saved beside the runs, passed on as a link, checked by the engine."""

import base64
import json
import zlib

import pytest
from streamlit.testing.v1 import AppTest

from app import engine, own_methods
from app.components import composer
from app.components.forms import plain
from kdcore import catalogue
from kdcore.errors import UserError
from kdcore.methods import METHODS
from kdcore.store import Store

OWN = {"title": "My own", "sentence": "Maße → Köpfe.", "members": 2, "stages": [
    {"name": "first", "share": 0.25, "objective": {
        "hint": {"weight": 1.0, "final": 0.5, "term": {"kind": "hint", "groups": [["group2", "group1"]]}}}},
    {"name": "task", "share": 0.75, "dropout": 0.1, "optimiser": {"kind": "sgd", "falls": [0.5]},
     "objective": {"labels": {"share": 0.5, "term": {"kind": "cross_entropy"}}}}]}


@pytest.fixture(autouse=True)
def direct(monkeypatch, tmp_path):
    """The engine's answers, without a process in between; a store of its own."""
    store = Store(tmp_path / "store")
    monkeypatch.setattr(engine, "answer", lambda question, **arguments: getattr(catalogue, question)(**arguments))
    monkeypatch.setattr(engine, "store", lambda: store)
    return store


def whole(method):
    return catalogue.described(method)["method"]


@pytest.mark.parametrize("method", [OWN, *(METHODS[name].model_dump(mode="json") for name in (
    "labels_only", "flow_then_labels", "boundary_then_soft_targets", "hint_ensemble_all"))],
    ids=lambda method: method["title"])
def test_a_link_holds_the_whole_method(method):
    link = composer.encode(whole(method))
    assert composer.decode(link) == whole(method)
    assert len(link) < 2000 and not set(link) - set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=")


def packed(content):
    return base64.urlsafe_b64encode(zlib.compress(content)).decode()


DAMAGED = {
    "nothing": "", "no base64": "é", "cut off": composer.encode(OWN)[:40], "a letter less": composer.encode(OWN)[1:],
    "not packed": base64.urlsafe_b64encode(b"text").decode(), "not JSON": packed(b"{"), "not text": packed(b"\xff\xfe"),
    "a list": packed(b"[]"), "no stages": packed(b'{"stages": []}'), "deep": packed(b"[" * 50_000),
    "an unknown term": packed(json.dumps(OWN).replace("hint", "hunt").encode()),
    "a bomb": packed(b'{"title": "' + b"x" * 10**8 + b'"}')}


@pytest.mark.parametrize("fault", DAMAGED)
def test_a_damaged_link_is_a_sentence(fault):
    with pytest.raises(UserError) as error:
        composer.decode(DAMAGED[fault])
    assert str(error.value) == "The method of this link cannot be read; ask its sender for its file."


def test_a_saved_method_is_found_under_its_title(direct):
    assert own_methods.saved() == {}
    own_methods.save(whole(OWN))
    assert [plain(method) for method in own_methods.saved().values()] == [whole(OWN)]
    own_methods.save(whole({**OWN, "sentence": "Another."}))
    assert [method["sentence"] for method in own_methods.saved().values()] == ["Another."]


@pytest.mark.parametrize("title", ["../../etc/passwd", "a/b\\c", "  ", "…", "<b>bold</b>", "x" * 80, "."])
def test_any_title_names_a_file_among_the_methods(title, direct):
    own_methods.save(whole({**OWN, "title": title}))
    assert [method["title"] for method in own_methods.saved().values()] == [title]
    assert all(path.parent == direct.folder / "methods" for path in direct.folder.rglob("*.json"))
    own_methods.forget("another")
    assert len(own_methods.saved()) == 1
    own_methods.forget(title)
    assert not own_methods.saved()


def test_titles_that_differ_are_different_methods():
    for title in ("Größe", "Grösse", "a b", "A B!", "a_b", "日本", "中国"):
        own_methods.save(whole({**OWN, "title": title}))
    assert {method["title"] for method in own_methods.saved().values()} == {
        "Größe", "Grösse", "a b", "A B!", "a_b", "日本", "中国"}


def test_files_that_are_no_methods_are_passed_over(direct):
    own_methods.save(whole(OWN))
    for name, content in (("a", "{"), ("b", "[]"), ("c", '{"stages": [], "of": "another version"}'), ("d", "5")):
        (direct.folder / "methods" / f"{name}.json").write_text(content)
    (direct.folder / "methods" / "e.json").write_bytes(b"\xff\xfe\x00")
    assert [plain(method) for method in own_methods.saved().values()] == [whole(OWN)]


def test_a_method_that_is_not_possible_says_why():
    with pytest.raises(UserError, match="must add up to 1"):
        engine.described({**OWN, "stages": OWN["stages"][:1]})


def test_two_terms_of_one_kind_both_stay():
    """As a file may have them: the first and the last group's hint, each with a weight of its own."""
    def page():
        import streamlit as st

        from app.components.composer import _stage_form
        from kdcore.catalogue import catalogue

        st.session_state["made"] = _stage_form(st.session_state["stage"], 0, catalogue(), {}, "key")

    objective = {name: {"weight": weight, "term": {"kind": "hint", "groups": name}}
                 for name, weight in (("first", 0.5), ("last", 2.0))}
    stage, = whole({"title": "Two hints", "stages": [{"objective": objective}]})["stages"]
    test = AppTest.from_function(page)
    test.session_state["stage"] = stage
    assert test.run(timeout=30).session_state["made"]["objective"] == stage["objective"]


def test_a_term_can_be_taken_twice():
    def page():
        import streamlit as st

        from app.components.composer import _stage_form
        from kdcore.catalogue import catalogue

        st.session_state["made"] = _stage_form(st.session_state["stage"], 0, catalogue(), {}, "key")

    stage, = whole({"title": "One hint", "stages": [{"objective": {
        "hint": {"weight": 0.5, "term": {"kind": "hint", "groups": "first"}}}}]})["stages"]
    test = AppTest.from_function(page)
    test.session_state["stage"] = stage
    terms = test.run(timeout=30).multiselect("key.terms")
    terms.set_value(["hint", "hint_2"]).run()
    test.selectbox("key.hint_2.groups").set_value("last").run()
    made = test.session_state["made"]["objective"]
    assert {name: weighted["term"]["groups"] for name, weighted in made.items()} == {"hint": "first", "hint_2": "last"}
    test.multiselect("key.terms").set_value(["hint_2"]).run()
    assert list(test.session_state["made"]["objective"]) == ["hint_2"] and not test.exception


def test_a_term_may_have_the_name_of_another_kind():
    """As a file may name them."""
    def page():
        import streamlit as st

        from app.components.composer import _stage_form
        from kdcore.catalogue import catalogue

        st.session_state["made"] = _stage_form(st.session_state["stage"], 0, catalogue(), {}, "key")

    stage, = whole({"title": "Misnamed", "stages": [{"objective": {
        "hint": {"weight": 1.0, "term": {"kind": "soft_targets"}},
        "hint_2": {"weight": 1.0, "term": {"kind": "cross_entropy"}}}}]})["stages"]
    test = AppTest.from_function(page)
    test.session_state["stage"] = stage
    assert test.run(timeout=30).session_state["made"]["objective"] == stage["objective"] and not test.exception
    test.multiselect("key.terms").set_value(["hint", "hint_2", "hint_2_2"]).run()
    assert test.session_state["made"]["objective"]["hint_2_2"]["term"]["kind"] == "hint" and not test.exception


def test_stages_without_a_share_get_equal_ones(direct):
    def page():
        from app.components.composer import composer
        from kdcore.catalogue import catalogue

        composer(catalogue(), {})

    test = AppTest.from_function(page)
    test.session_state["opened"] = {"compose"}
    test.run(timeout=30)
    test.selectbox("draft.from").set_value("flow_then_labels")
    test.button("draft.begin").click().run()
    test.number_input("draft.1.0.share").set_value(0.0).run()
    test.button("draft.1.remove").click().run()
    assert not test.exception and test.number_input("draft.2.0.share").value == 1.0


def test_an_ensemble_that_loses_a_stage_shares_fewer(direct):
    def page():
        import streamlit as st

        from app.components.composer import composer
        from kdcore.catalogue import catalogue

        st.session_state["made"] = composer(catalogue(), {})

    test = AppTest.from_function(page)
    test.session_state["opened"] = {"compose"}
    test.run(timeout=60)
    test.selectbox("draft.from").set_value("flow_ensemble")
    test.button("draft.begin").click().run(timeout=60)
    made, = test.session_state["made"]
    assert (made["members"], made["shared_stages"], len(made["stages"])) == (3, 1, 2)
    key = f"draft.{test.session_state['draft.version']}"
    test.number_input(f"{key}.members").set_value(5).run(timeout=60)
    test.button(f"{key}.remove").click().run(timeout=60)
    made, = test.session_state["made"]
    assert (made["members"], made["shared_stages"], len(made["stages"])) == (5, 0, 1) and not test.exception


def test_a_composed_method_is_never_taken_for_one_of_the_papers(monkeypatch):
    monkeypatch.setattr(composer.st, "session_state", {"draft.version": 0})
    composer._take(whole(METHODS["labels_only"].model_dump(mode="json")))
    assert composer.st.session_state["draft"]["name"] == "custom"
