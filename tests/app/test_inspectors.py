"""Who answers the pages: nobody waits for another one's long question, and half a gigabyte is not held for nothing."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from app import inspectors
from app.inspectors import Inspectors

SECONDS = 60  # more than anything takes that does not hang


class Link:
    """In place of a process: "wait" takes until it is told to go on."""

    made: list["Link"]

    def __init__(self, folder):
        self.go_on, self.asked, self.closed = threading.Event(), [], False
        Link.made.append(self)

    def connect(self):
        pass

    def ask(self, question, **arguments):
        self.asked.append(question)
        assert question not in ("wait", "estimate") or self.go_on.wait(SECONDS)
        return question

    def close(self):
        self.closed = True


@pytest.fixture
def pool():
    with ThreadPoolExecutor(8) as pool:
        yield pool
        for link in Link.made:
            link.go_on.set()


@pytest.fixture
def asked(monkeypatch, tmp_path):
    Link.made = []
    monkeypatch.setattr(inspectors, "InspectorLink", Link)
    monkeypatch.setattr(inspectors, "PATIENCE", 0.05)
    return Inspectors(tmp_path)


def until(true):
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < SECONDS
        time.sleep(0.01)


def test_one_process_is_enough_for_one_after_the_other(asked):
    assert [asked.ask("image") for _ in range(5)] == ["image"] * 5
    assert len(Link.made) == 1


def test_a_quick_question_does_not_wait_for_a_long_one(asked, pool):
    long = pool.submit(asked.ask, "wait")
    until(lambda: Link.made[0].asked)
    assert pool.submit(asked.ask, "image").result(timeout=SECONDS) == "image"
    assert not long.done() and [link.asked for link in Link.made] == [["wait"], ["image"]]
    Link.made[0].go_on.set()
    assert long.result(timeout=SECONDS) == "wait"
    asked.ask("image")
    assert len(Link.made) == 2 and Link.made[0].asked == ["wait", "image"], "the first has most at hand"


def test_what_is_known_to_take_long_never_holds_all_processes(asked, pool):
    long = [pool.submit(asked.ask, "estimate") for _ in range(3)]
    until(lambda: Link.made[0].asked)
    for _ in range(3):
        assert pool.submit(asked.ask, "image").result(timeout=SECONDS) == "image"
    assert sum(link.asked.count("estimate") for link in Link.made) == 1 and len(Link.made) == 2
    for link in Link.made:
        link.go_on.set()
    assert [one.result(timeout=SECONDS) for one in long] == ["estimate"] * 3


def test_there_are_never_more_than_two(asked, pool):
    for _ in range(6):
        pool.submit(asked.ask, "wait")
    until(lambda: len(Link.made) == 2 and all(link.asked for link in Link.made))
    time.sleep(0.2)
    assert len(Link.made) == 2


def test_the_second_one_ends_when_nobody_needs_it(asked, pool, monkeypatch):
    monkeypatch.setattr(inspectors, "IDLE", 0.1)
    first = pool.submit(asked.ask, "wait")
    until(lambda: Link.made[0].asked)
    pool.submit(asked.ask, "image").result(timeout=SECONDS)
    until(lambda: Link.made[1].closed)
    assert pool.submit(asked.ask, "image").result(timeout=SECONDS) == "image" and len(Link.made) == 3
    Link.made[0].go_on.set()
    assert first.result(timeout=SECONDS) == "wait" and not Link.made[0].closed


def test_an_error_sets_the_process_free(asked, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(Link, "ask", fail)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                asked.ask("estimate")
    assert asked.ask("image") == "image" and len(Link.made) == 1


def test_a_quick_question_is_answered_by_real_processes_while_a_long_one_runs(tmp_path):
    """An estimate of several kinds of run, each of which is tried for a second."""
    asked = Inspectors(tmp_path)
    asked._begin()
    until(lambda: len(asked._links) == 2)
    for link in asked._links:
        link.ask("present")
    run = {"data": {"name": "digits"}, "network": {"name": "conv_student", "initial": "he"}, "batch_size": 1000}
    content = {"run": run, "methods": [], "seeds": [0], "vary": {"network.width": [1 + i / 10 for i in range(8)]}}
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(asked.ask, "estimate", content=content)
        time.sleep(0.2)
        assert asked.ask("present")["digits"] == 1.0
        assert not long.done() and len(long.result()["each"]) == 8
    for link in asked._links:
        link.close()
