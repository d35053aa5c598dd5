"""The Queue page without a browser: order, priorities, pauses, the disk, and what can be had back."""

import pytest
from streamlit.testing.v1 import AppTest

from app import engine
from kdcore.places import replace_file
from tests.test_store import TEACHER, planned


@pytest.fixture
def page(page_of):
    store = engine.store()
    for name in ("one", "two"):
        store.submit_all([planned(f"{name} {seed}", f"{name} {seed}", TEACHER) for seed in (1, 2)], name)
    return page_of("queue")


def line():
    return [(row["name"], row["state"]) for row in engine.queue().line()]


def press(page, label):
    page.run()
    next(button for button in page.button if button.label.startswith(label)).click().run()
    assert not page.exception


def test_the_line_is_shown_in_its_order(page):
    page.run()
    assert not page.exception
    table = page.dataframe[0].value
    assert list(table["name"]) == [name for name, _ in line()] == ["teacher", "one 1", "one 2", "two 1", "two 2"]
    assert any("5 waiting" in element.value for element in page.markdown)


def test_an_experiment_is_put_first_with_what_it_waits_for(page):
    page.run()
    page.selectbox(key="queue.which").set_value("of two")
    press(page, "To the front")
    assert [name for name, _ in line()] == ["teacher", "two 1", "two 2", "one 1", "one 2"]


def test_runs_are_paused_and_go_on(page):
    page.run()
    page.selectbox(key="queue.which").set_value("of two")
    press(page, "Pause")
    assert [name for name, state in line() if state == "paused"] == ["two 1", "two 2"]
    page.selectbox(key="queue.which").set_value("all")
    press(page, "Continue 2")
    assert {state for _, state in line()} == {"queued"}
    press(page, "Stop")
    assert line() == [] and any("Nothing runs" in info.value for info in page.info)


def test_what_is_deleted_is_had_back(page):
    engine.store().bin.delete_experiment("two")
    press(page, "Undo")
    assert "two 2" in dict(line()) and engine.store().bin.deleted() == []


def test_the_disk_says_what_takes_how_much_and_snapshots_are_thinned(page):
    store = engine.store()
    run = store.queue.claim(1)
    for step in range(0, 200, 10):
        replace_file(store.snapshot(run["id"], step), bytes(100_000))
    store.finish(run["id"], run["claim"], "done")
    page.run()
    page.toggle(key="disk").set_value(True).run()
    assert not page.exception
    assert "2.0" in str(page.dataframe[1].value) and any("**2 MB** in 5 runs" in text.value for text in page.markdown)
    page.selectbox(key="disk.experiment").set_value("one").run()
    page.button(key="disk.thin").click().run()
    assert store.snapshot_steps(run["id"]) == [0, 50, 100, 140, 190]


def test_a_cluster_that_does_not_answer_is_said_and_the_time_left_is_that_of_one_place(page_of):
    def status():
        from app.components.status import worker_status

        worker_status()

    store = engine.store()
    store.submit_all([{**planned(name, name), "expected": 60.0} for name in ("one", "two")], "both")
    store.queue.greet(1, "The Ray cluster at there cannot be reached.", 0)
    assert AppTest.from_function(status).run().sidebar.warning[0].value == "The Ray cluster at there cannot be reached."
    page = page_of("queue").run()
    assert not page.exception
    assert any("2 waiting · about 2 min left" in element.value for element in page.markdown)


def test_a_worker_is_kept_awake_whoever_looks(monkeypatch):
    tries = iter([engine.UserError("not now"), None])

    def wake():
        if fault := next(tries):
            raise fault

    class Over(Exception):
        """It has seen enough."""

    sleeps = iter([None, None, Over])
    monkeypatch.setattr(engine, "wake_worker", wake)
    monkeypatch.setattr(engine.time, "sleep", lambda seconds: (over := next(sleeps)) and (_ for _ in ()).throw(over))
    with pytest.raises(Over):
        engine._keep_awake()
    assert next(tries, "both were made") == "both were made"


def test_a_choice_stays_when_names_change_and_is_none_when_it_is_gone():
    def page():
        import streamlit as st

        from app.components.manage import steady_choice

        st.session_state["told"] = steady_choice("Which", st.session_state["named"], "which")

    test = AppTest.from_function(page)
    test.session_state["named"] = {"all": "All", 1: "one", 2: "two"}
    test.run().selectbox("which").set_value(2).run()
    assert test.session_state["told"] == 2
    test.session_state["named"] = {"all": "All", 1: "one", 2: "renamed"}
    assert test.run().session_state["told"] == 2
    test.session_state["named"] = {"all": "All", 1: "one"}
    assert test.run().session_state["told"] is None
    assert test.run().session_state["told"] is None
