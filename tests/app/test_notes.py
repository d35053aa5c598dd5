"""Notes and tags on Runs, without a browser."""

import pytest

from app import engine
from app.components import live
from kdcore.config import read

WRITTEN = "one line\n<b>*another*</b> $x$"


@pytest.fixture
def page(page_of):
    for name, per_class in (("one", 1), ("two", 2), ("three", 3)):
        engine.store().submit_all([read({"data": {"name": "digits", "per_class": per_class}, "seed": seed, "network": {
            "name": "fc_student", "width": 0.05}}).planned() for seed in (1, 2)], name)

    def opened(name="runs", **parameters):
        made = page_of(name)
        for parameter, value in parameters.items():
            made.query_params[parameter] = value
        return made.run()

    return opened


def write(made, key, note, tags):
    made.text_area(key=f"note.{key}").set_value(note)
    made.text_input(key=f"tags.{key}").set_value(tags)
    next(button for button in made.button if button.label == "Save the note").click().run()
    assert not made.exception


def test_without_notes_nothing_speaks_of_them(page, monkeypatch):
    shown = []
    monkeypatch.setattr(live.st, "dataframe", lambda rows, column_order, **_: shown.append(column_order))
    made = page()
    assert not made.exception
    assert all(box.label != "Tag" for box in made.selectbox) and not {"tags", "note"} & set(shown[-1])
    engine.store().annotate(engine.store().runs("two")[0]["id"], "", "odd")
    page(experiment="two")
    assert "tags" in shown[-1] and "note" not in shown[-1]


def test_an_experiment_gets_a_note_that_is_shown_as_written(page):
    made = page(experiment="one")
    write(made, "one", WRITTEN, "paper, odd")
    assert engine.store().experiment("one")["note"] == WRITTEN and WRITTEN in [text.value for text in made.text]
    assert ":gray-badge[paper] :gray-badge[odd]" in [words.value for words in made.markdown]


def test_a_run_gets_a_note_and_a_limit_is_a_sentence(page):
    made = page(experiment="one")
    run = engine.store().runs("one")[0]["id"]
    made.selectbox(key="managed.one").set_value(run).run()
    write(made, str(run), WRITTEN, "odd")
    assert (engine.store().run(run)["note"], engine.store().run(run)["tags"]) == (WRITTEN, "odd")
    assert list(made.dataframe[0].value["note"]).count(WRITTEN) == 1
    write(made, str(run), WRITTEN, "x" * 31)
    assert "A tag may have 30 letters" in made.error[0].value and engine.store().run(run)["tags"] == "odd"


def test_experiments_are_found_by_a_tag_of_theirs_or_of_their_runs(page):
    store = engine.store()
    store.annotate_experiment("one", "", "paper")
    store.annotate(store.runs("two")[0]["id"], "", "odd")
    made = page()
    assert made.selectbox("tag").options == ["odd", "paper"] and made.selectbox("experiment").options == [
        "three", "two", "one"]
    made.selectbox("tag").set_value("paper").run()
    assert not made.exception and made.selectbox("experiment").options == ["one"]
    made = page(tag="odd", experiment="two")
    assert made.selectbox("experiment").value == "two" and made.selectbox("experiment").options == ["two"]
    assert not made.info or "link" not in made.info[0].value
    made = page(tag="nothing", experiment="one")
    assert not made.exception and made.selectbox("experiment").value == "one"


@pytest.mark.parametrize("settings", ['people = "session"', "read_only = true"])
def test_who_may_not_change_it_reads_it(page, settings, tmp_path, monkeypatch):
    engine.store().annotate_experiment("one", WRITTEN, "odd")
    monkeypatch.setenv("KD_SETTINGS", str(tmp_path / "settings.toml"))
    (tmp_path / "settings.toml").write_text(settings)
    monkeypatch.setattr(engine, "owner", lambda: "bob")
    made = page(experiment="one")
    assert not made.exception and not made.text_area and WRITTEN in [text.value for text in made.text]
