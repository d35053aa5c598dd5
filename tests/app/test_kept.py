"""Answers that are kept while they have room."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.kept import Kept


def test_a_question_is_asked_once_and_everybody_gets_a_copy():
    kept, asked = Kept(10_000), []

    def ask():
        asked.append(1)
        return {"values": [1, 2]}

    kept.get(("maps", {"run": 1}), ask)["values"].append(3)
    assert kept.get(("maps", {"run": 1}), ask) == {"values": [1, 2]} and len(asked) == 1
    kept.get(("maps", {"run": 2}), ask)
    assert len(asked) == 2


def test_who_asks_the_same_at_the_same_time_waits_for_the_answer():
    """A class that opens one link; who asks something else does not wait."""
    kept, asked = Kept(10_000), []

    def ask():
        asked.append(1)
        time.sleep(0.3)
        return len(asked)

    with ThreadPoolExecutor(9) as pool:
        same = [pool.submit(kept.get, "the same", ask) for _ in range(8)]
        time.sleep(0.05)
        assert pool.submit(kept.get, "another", lambda: "at once").result(timeout=0.2) == "at once"
        assert [one.result() for one in same] == [1] * 8 and len(asked) == 1


def test_what_was_asked_for_longest_ago_goes_first():
    kept, asked = Kept(2_500), []

    def large(name):
        return lambda: asked.append(name) or bytes(1_000)

    for name in ("a", "b", "a", "c", "a", "b"):
        kept.get(name, large(name))
    assert asked == ["a", "b", "c", "b"]
    assert kept.get("whole", lambda: bytes(9_000)) == bytes(9_000)


def test_an_error_is_not_kept():
    kept = Kept(1_000)
    with pytest.raises(ZeroDivisionError):
        kept.get("x", lambda: 1 / 0)
    assert kept.get("x", lambda: 2) == 2
