"""Widgets of different pages that share a key share its value."""

import ast
from collections import defaultdict

from kdcore.worker import ROOT

SHARED = {"followed", "log", "metric", "smooth", "under"}  # the same choice wherever it is made


def test_a_key_belongs_to_one_place_or_to_the_same_kind_of_widget_everywhere():
    found = defaultdict(set)
    for path in [*(ROOT / "pages").glob("*.py"), *(ROOT / "app").rglob("*.py")]:
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
                for given in call.keywords:
                    if given.arg == "key" and isinstance(given.value, ast.Constant):
                        found[given.value.value].add((path.name, call.func.attr))
    several = {key: places for key, places in found.items() if len({place for place, _ in places}) > 1}
    assert set(several) == SHARED
    assert all(len({widget for _, widget in places}) == 1 for places in several.values()), several
