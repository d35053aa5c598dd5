"""Links for a class: what they hide stays hidden on the pages that follow."""

import pytest
from streamlit.testing.v1 import AppTest


def page():
    from app.components.classroom import classroom

    classroom()


@pytest.fixture
def made():
    found = AppTest.from_function(page)
    found.query_params["hide"] = "students,<b>"
    return found.run()


def hides(made, key):
    return any(f".st-key-{key} {{" in rules.proto.body for rules in made.get("html"))


def hidden(made):
    return made.query_params.get("hide")


def test_what_a_link_hides_is_hidden_on_the_next_page_too(made):
    assert not made.exception and hides(made, "students") and not hides(made, "<b>")
    del made.query_params["hide"]  # as the menu's links do
    made.run()
    assert not made.exception and hides(made, "students") and "students" in str(hidden(made))


def test_all_can_be_shown_again(made):
    button, = (one for one in made.button if one.label == "Show all controls here")
    assert not button.disabled
    button.click().run()
    assert not made.exception and not hides(made, "students") and not hidden(made)
    assert next(one for one in made.button if one.label == button.label).disabled


def test_another_link_hides_what_it_says_alone(made):
    made.query_params["hide"] = "image"
    made.run()
    assert hides(made, "image") and not hides(made, "students")
