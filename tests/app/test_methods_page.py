"""The Methods page without a browser: what it finds."""

import pytest

from app import own_methods
from app.components import scrolled
from kdcore import catalogue
from kdcore.methods import METHODS

MINE = {"title": "A *method* of mine", "paper": "Heo et al. 2019", "stages": [
    {"objective": {"labels": {"weight": 1, "term": {"kind": "cross_entropy"}}}}]}


@pytest.fixture
def page(page_of, monkeypatch):
    """As somebody has it who scrolls to its end."""
    monkeypatch.setattr(scrolled, "scrolled_to", lambda key: True)
    return page_of("methods")


def titles(page):
    return [text.value.splitlines()[0].removeprefix("#### ") for text in page.markdown if text.value.startswith("####")]


def test_every_method_without_a_variant_is_there(page):
    page.run()
    assert not page.exception and len(titles(page)) == sum(not method.ablation for method in METHODS.values())


def test_a_few_are_drawn_until_somebody_scrolls(page_of):
    page = page_of("methods").run()
    assert not page.exception and 3 < len(titles(page)) < 10
    page.text_input("search").set_value("eq. 10").run()
    assert not page.exception and titles(page)


def test_what_was_saved_is_there_under_its_own_heading(page):
    own_methods.save(catalogue.described(MINE)["method"])
    page.run()
    assert titles(page)[0] == r"A \*method\* of mine" and len(titles(page)) > 1
    assert page.caption[1].value.startswith("Your own, saved on Train")
    page.button_group("paper").set_value("Your own").run()
    assert len(titles(page)) == 1


def test_a_number_that_is_searched_for_is_a_whole_one(page):
    page.run()
    page.text_input("search").set_value("eq. 1").run()
    first = titles(page)
    page.text_input("search").set_value("eq. 10").run()
    assert first and titles(page) and not set(first) & set(titles(page))


def test_words_that_nothing_says(page):
    page.run()
    page.text_input("search").set_value("no such words").run()
    assert not titles(page) and "No method says this" in page.caption[0].value
