"""The Train page without a browser: what its form hands to the engine, and what it says where that is not possible."""

import json

import pytest

from app import engine, navigation, own_methods
from app.components import composer
from kdcore import catalogue, search
from kdcore.config import parse, read
from kdcore.experiment import Experiment
from kdcore.knowledge import TERMS
from kdcore.methods import METHODS

OWN = {"name": "custom", "title": "My own", "sentence": "", "stages": [
    {"name": "first", "share": 0.25, "objective": {"soft": {"weight": 1.0, "term": {"kind": "soft_targets"}}}},
    {"name": "task", "share": 0.75, "objective": {"labels": {"weight": 1.0, "term": {"kind": "cross_entropy"}}}}]}


BOXES = {"labels", "teaching", "teacher.weights", "student.weights", "optimiser", "unsuited", "compose", "vary",
         "search", "minimises", *(f"method.{name}" for name in METHODS)}


@pytest.fixture
def page(page_of, monkeypatch, questions):
    one = {"seconds": 5.0, "bytes": 500_000, "trainings": 1, "teacher": {"seconds": 7.0, "bytes": 600_000}}
    monkeypatch.setitem(questions, "estimate", lambda content: {
        "slots": 1, "each": [one] * len(parse(Experiment, content).runs()), "tried": 3, "kinds": 3})
    made = page_of("train")
    made.query_params["data"] = "digits"
    made.session_state["opened"] = BOXES
    return made


def words(page):
    return " ".join(element.value for kind in ("markdown", "error", "warning", "info") for element in page.get(kind))


def said(page):
    return [caption.value for caption in page.caption]


def starts(page):
    return any(button.label == "Start" for button in page.button)


def test_the_form_is_drawn_with_what_it_costs(page):
    page.run()
    assert not page.exception and not page.error
    assert ("**6 runs**: about **37 s** on this machine (1 at a time), and 4 MB of disk. Their teacher is trained "
            "first.") in words(page)
    assert starts(page)


def test_what_is_never_opened_is_trained_as_if_it_were(page_of, page, monkeypatch):
    """What a box would ask for has the same values before it is opened."""
    monkeypatch.setattr(navigation, "go_to", lambda *where: None)
    closed = page_of("train")
    closed.query_params["data"] = "digits"
    for one in (page, closed):
        one.session_state["methods"] = ["hint", "flow_then_labels"]
        one.run()
        assert not one.exception and not one.error
    drawn = [len([*one.number_input, *one.selectbox, *one.text_input, *one.toggle]) for one in (page, closed)]
    assert drawn[1] < drawn[0] / 2
    for one in (page, closed):
        next(button for button in one.button if button.label == "Start").click().run()
    first, second = ([json.loads(run["config"]) for run in engine.store().runs(name)]
                     for name in engine.store().experiments())
    assert first == second


def test_what_was_chosen_in_a_box_stays_when_it_is_closed(page_of, page):
    page = page_of("train")
    page.query_params["data"] = "digits"
    page.session_state["box.labels"] = True
    page.run()
    page.number_input("data.digits.validation").set_value(0.25).run()
    page.session_state["box.labels"] = False
    page.run()
    assert not page.exception and page.number_input("data.digits.validation").value == 0.25


def test_a_composed_method_comes_with_its_link(page):
    page.query_params[composer.LINK] = composer.encode(OWN)
    page.run()
    assert not page.exception and not page.error and not page.warning
    assert "**My own**" in words(page)
    assert any(r"\begin{aligned}" in formula.value for formula in page.get("latex"))
    assert composer.decode(page.query_params[composer.LINK])["stages"][0]["share"] == 0.25


def test_start_queues_the_composed_method_beside_the_baseline(page, monkeypatch):
    went = []
    monkeypatch.setattr(navigation, "go_to", lambda *where: went.append(where))
    page.query_params[composer.LINK] = composer.encode(OWN)
    page.run()
    page.button[-1].click().run()
    assert not page.exception and [where for where, _ in went] == ["runs"]
    runs = engine.store().runs(went[0][1])
    assert {run["title"] for run in runs if run["role"] == "student"} == {"Labels only", "Full Jacobian", "My own"}
    assert sorted(run["seed"] for run in runs if run["title"] == "My own") == [1, 2, 3]


def test_a_damaged_link_is_a_warning_and_the_page_goes_on(page):
    page.query_params[composer.LINK] = "damaged"
    page.run()
    assert not page.exception and "cannot be read; ask its sender for its file" in page.warning[0].value
    assert starts(page)


def test_shares_that_do_not_add_up_are_a_sentence(page):
    page.query_params[composer.LINK] = composer.encode(OWN)
    page.run()
    share = next(field for field in page.number_input if field.key.endswith(".0.share"))
    share.set_value(0.5).run()
    assert not page.exception and "must add up to 1" in page.error[0].value
    assert next(button for button in page.button if button.label == "Save").disabled


def test_what_was_composed_can_be_put_away_even_where_it_is_not_possible(page):
    page.query_params[composer.LINK] = composer.encode(OWN)
    page.run()
    next(field for field in page.number_input if field.key.endswith(".0.share")).set_value(0.5).run()
    next(button for button in page.button if button.label == "Put away").click().run()
    assert not page.exception and not page.error and composer.LINK not in page.query_params


def test_a_start_that_is_not_said_yet_is_asked_for(page):
    page.run()
    page.selectbox("student.start.kind").set_value("file").run()
    assert "Give the path of a state_dict" in words(page) and not starts(page)
    page.selectbox("student.start.kind").set_value("run").run()
    assert "No run of FC student at width 0.2 is done yet" in words(page) and not starts(page)


def test_only_runs_of_the_same_network_are_offered_to_start_from(page):
    pair = {"teacher": {"data": {"name": "digits"}, "network": {"name": "fc_teacher"}, "steps": 1},
            "data": {"name": "digits"}, "steps": 1, "name": "a run"}
    for network in ({"name": "fc_student", "width": 0.2}, {"name": "fc_student"}, {"name": "conv_student"}):
        engine.store().submit(read({**pair, "network": network}).planned(), "before")
    while claimed := engine.store().queue.claim(9):
        engine.store().finish(claimed["id"], claimed["claim"], "done")
    page.run()
    page.selectbox("student.start.kind").set_value("run").run()
    assert page.selectbox("student.start.run").options == ["2 · a run · before"]


def test_a_saved_method_with_named_taps_is_trained_as_it_is(page, monkeypatch):
    monkeypatch.setattr(navigation, "go_to", lambda *where: None)
    hint = {"weight": 1.0, "final": 0.0, "term": {"kind": "hint", "groups": [["group2", "group1"]]}}
    mine = catalogue.described({**OWN, "stages": [{**OWN["stages"][0], "share": 1.0, "objective": {"hint": hint}}]})
    own_methods.save(mine["method"])
    page.run()
    page.multiselect("methods").set_value(list(own_methods.saved())).run()
    page.button[-1].click().run()
    assert {run["title"] for run in engine.store().runs() if run["role"] == "student"} == {"Labels only", "My own"}


def test_a_method_of_ones_own_does_not_take_a_papers_title(page):
    page.query_params[composer.LINK] = composer.encode({**OWN, "title": "Attention maps"})
    page.run()
    next(button for button in page.button if button.label == "Save").click().run()
    assert not own_methods.saved()
    assert [error.value for error in page.error] == [
        "Attention maps is a method of the papers; call yours something else."]


def test_a_changed_setting_is_what_is_trained_and_what_its_formula_says(page, monkeypatch):
    monkeypatch.setattr(navigation, "go_to", lambda *where: None)
    page.run()
    page.multiselect("methods").set_value(["hint"]).run()
    page.selectbox("method.hint.0.hint.form").set_value("sum").run()
    page.number_input("method.hint.0.hint.weight").set_value(0.5).run()
    assert not any(r"\frac{1}{CHW}" in formula.value for formula in page.get("latex"))
    page.button[-1].click().run()
    assert not page.exception
    configs = [json.loads(run["config"]) for run in engine.store().runs() if run["title"] == "FitNet hints (changed)"]
    objectives = [config["method"]["stages"][0]["objective"]["hint"] for config in configs]
    assert [(each["weight"], each["term"]["form"]) for each in objectives] == [(0.5, "sum")] * 3


def test_a_saved_method_with_a_long_title_can_be_changed(page):
    own_methods.save({**METHODS["soft_targets"].model_dump(mode="json"), "title": "t" * 80})
    page.session_state["opened"] = {f"method.{name}" for name in own_methods.saved()}
    page.run()
    page.multiselect("methods").set_value(list(own_methods.saved())).run()
    next(field for field in page.number_input if field.label == "Weight").set_value(0.5).run()
    assert not page.exception and not page.error and starts(page)


def test_beneath_an_impossible_number_stands_what_is_possible(page):
    page.run()
    page.number_input("images.digits.1297.False").set_value(2000).run()
    assert ":red[:material/error: It must be at least 1 and at most 1,297.]" in [one.value for one in page.caption]
    page.number_input("images.digits.1297.False").set_value(20).run()
    assert not any("It must be" in one.value for one in page.caption) and starts(page)


def test_too_many_labels_are_a_sentence_below_a_whole_form(page):
    page.run()
    page.number_input("data.digits.labelled_per_class").set_value(5).run()
    page.number_input("images.digits.1297.False").set_value(10).run()
    assert not page.exception and [error.value for error in page.error] == [
        r"Of class 0, Digits has 1 to train on; 5 labelled per class were asked for\. "
        r"Ask for fewer, or take more images\."]
    assert not starts(page) and page.multiselect("methods").value


@pytest.mark.parametrize("kind", sorted(TERMS))
def test_each_term_has_a_card_with_all_its_settings(page, kind):
    own = {**OWN, "stages": [{"objective": {"it": {"weight": 1.0, "term": {"kind": kind}}}}]}
    page.query_params[composer.LINK] = composer.encode(own)
    page.run()
    assert not page.exception
    drawn = {element.label for kind in ("selectbox", "number_input", "toggle", "text_input", "multiselect")
             for element in page.get(kind)}
    titles = [schema["title"].capitalize() for schema in engine.catalogue()["terms"][kind]["fields"].values()]
    assert {title.lower() for title in titles} <= {label.lower() for label in drawn}


def test_layers_are_named_where_a_chosen_method_matches_them(page):
    page.run()
    assert not any("Where layers are matched" in caption.value for caption in page.caption)
    page.multiselect("methods").set_value(["hint"]).run()
    assert any("the teacher's with the student's: group3 with group1." in words for words in said(page))


def test_sizes_are_named_where_they_differ(page):
    page.run()
    page.selectbox("teacher.network").set_value("wrn_10_1").run()
    page.selectbox("student.network").set_value("vgg4").run()
    page.multiselect("methods").set_value(["hint"]).run()
    assert any("group1 with group1; group2 with group2; group3 with group3." in words for words in said(page))
    page.selectbox("student.network").set_value("residual8").run()
    page.number_input("student.resize").set_value(16).run()
    assert any("group1 (8×8) with group1 (16×16)" in words and "are averaged to the smaller" in words
               for words in said(page))


def widget(page, kind, ending):
    """The widget of the draft as it is now, by the end of its key."""
    key = f"draft.{page.session_state['draft.version']}.{ending}"
    return next(element for element in page.get(kind) if element.key == key)


def test_a_method_is_composed_from_an_empty_stage(page, monkeypatch):
    """A term, a pair of taps, a weight that moves, a second stage with an optimiser of its own: all are trained."""
    monkeypatch.setattr(navigation, "go_to", lambda *where: None)
    page.run()
    page.button("draft.begin").click().run()
    widget(page, "text_input", "title").set_value("Mine").run()
    widget(page, "multiselect", "0.terms").set_value(["cross_entropy", "hint"]).run()
    widget(page, "selectbox", "0.hint.by").set_value("schedule").run()
    widget(page, "number_input", "0.hint.weight").set_value(4.0).run()
    widget(page, "number_input", "0.hint.final").set_value(1.0).run()
    widget(page, "selectbox", "0.hint.groups").set_value("pairs of taps").run()
    widget(page, "multiselect", "0.hint.groups.pairs").set_value([("group2", "group1")]).run()
    widget(page, "button", "add").click().run()
    widget(page, "multiselect", "1.terms").set_value(["cross_entropy"]).run()
    widget(page, "toggle", "1.own").set_value(True).run()
    assert not page.exception and not page.error
    page.button[-1].click().run()
    (config, *others) = [json.loads(run["config"]) for run in engine.store().runs() if run["title"] == "Mine"]
    first, second = config["method"]["stages"]
    assert len(others) == 2 and (first["share"], second["share"]) == (0.5, 0.5)
    hint = first["objective"]["hint"]
    assert (hint["weight"], hint["final"], hint["term"]["groups"]) == (4, 1, [["group2", "group1"]])
    assert list(second["objective"]) == ["cross_entropy"] and second["optimiser"]["kind"] == "adam"


def test_a_saved_method_is_deleted_though_it_is_chosen(page):
    own_methods.save(catalogue.described(OWN)["method"])
    page.run()
    saved, = own_methods.saved()
    page.multiselect("methods").set_value([saved]).run()
    page.selectbox("draft.from").set_value(saved).run()
    page.button("draft.delete").click().run()
    assert not own_methods.saved() and not page.exception and starts(page)


def test_a_method_that_is_saved_and_chosen_while_it_is_composed_is_trained_once(page):
    own_methods.save(catalogue.described(OWN)["method"])
    page.query_params[composer.LINK] = composer.encode(OWN)
    page.run()
    page.multiselect("methods").set_value(list(own_methods.saved())).run()
    assert not page.exception and not page.error and starts(page)
    widget(page, "text_input", "sentence").set_value("Another.").run()
    assert [error.value for error in page.error] == [
        r"Two methods of an experiment have the same title, My own; give one another, or leave it out\."]


def test_nothing_is_trained_while_what_is_composed_is_not_possible(page):
    page.query_params[composer.LINK] = composer.encode(OWN)
    page.run()
    page.text_input("name").set_value("Kept").run()
    widget(page, "number_input", "0.share").set_value(0.5).run()
    assert page.text_input("name").value == "Kept"
    assert not starts(page) and ["add up to 1, and these make 1" in page.error[0].value,
                                 "Mend it, or put it away" in page.error[1].value] == [True, True]


def test_what_only_sgd_has_is_asked_for_sgd(page):
    page.run()
    labels = [field.label for field in page.number_input]
    page.selectbox("optimiser.digits.Adam, as suggested.kind").set_value("sgd").run()
    more = [field.label for field in page.number_input]
    assert not page.exception and (labels.count("Momentum"), more.count("Momentum")) == (0, 1)


def test_a_network_without_published_weights_says_so(page):
    page.run()
    for name, says in (("vgg9", True), ("mobilenet", True), ("resnet18", False)):
        page.selectbox("student.network").set_value(name).run()
        found = [words for words in said(page) if words.startswith("No weights are published for")]
        assert len(found) == 1 + says  # the teacher's has none either
        assert ("published weights" in page.selectbox("student.start.kind").options) != says


def test_a_grid_is_set_up_and_what_is_there_is_not_trained_twice(page, monkeypatch):
    monkeypatch.setattr(navigation, "go_to", lambda *where: None)
    page.run()
    page.multiselect(key="vary").set_value(["data.per_class", "method.full_jacobian"]).run()
    page.text_input(key="vary.data.per_class").input("1, 5").run()
    page.text_input(key="vary.method.full_jacobian").input("0.1; 1; 10").run()
    assert not page.exception and "**24 runs**: about **2 min**" in words(page)
    next(button for button in page.button if button.label == "Start").click().run()
    runs = [json.loads(run["config"]) for run in engine.store().runs() if run["role"] == "student"]
    assert len(runs) == 24 and {run["data"]["per_class"] for run in runs} == {1, 5}
    page.run()
    assert "**24 runs**, all of them there already: about" in words(page)
    page.toggle(key="again").set_value(True).run()
    assert "**24 runs**: about" in words(page)


def test_values_that_are_not_possible_are_a_sentence(page):
    page.run()
    page.multiselect(key="vary").set_value(["steps"]).run()
    assert any("Give at least one value of Budget: steps" in caption for caption in said(page)) and starts(page)
    page.text_input(key="vary.steps").input("100, soon").run()
    assert 'steps = "soon" is not possible' in words(page) and not starts(page)


def test_a_search_is_set_up_and_started(page, monkeypatch, questions):
    monkeypatch.setattr(navigation, "go_to", lambda *where: None)
    monkeypatch.setitem(questions, "start_search", lambda content, **named: search.start(
        engine.store(), parse(search.Search, content), **named))
    page.run()
    page.selectbox(key="search.path").set_value("0.method.full_jacobian").run()
    assert "none are; set the validation share" in words(page) and not starts(page)
    page.number_input(key="data.digits.validation").set_value(0.5).run()
    page.number_input(key="images.digits.1297.False").set_value(100).run()
    page.number_input(key="search.trials").set_value(4).run()
    assert not page.exception and "**15 runs**: about" in words(page), "three seeds of labels only and four values"
    next(button for button in page.button if button.label == "Start").click().run()
    assert not page.exception and engine.store().experiments() == ["Search: Full Jacobian"]
    assert engine.store().experiment("Search: Full Jacobian")["content"]["search"]["trials"] == 4
