"""A store of 500 runs with 10 000 points each: what pages ask of it stays under half a second."""

import time

import pytest

from kdcore.store import Store
from tests.test_store import planned

RUNS, POINTS = 500, 10_000
METRICS = ("accuracy", "loss", "seconds")
SECONDS = 0.5


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("large"))
    for first in range(0, RUNS, 50):
        runs = [planned(f"run {number}", str(number), seed=number % 5) for number in range(first, first + 50)]
        store.submit_all(runs, f"experiment {first // 50}")
    ids = [row["id"] for row in store.runs()][::-1]
    with store.transaction() as db:
        for name in METRICS:
            db.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?)", (
                (run, name, step, 1 - 1 / (1 + step + run)) for run in ids for step in range(POINTS)))
        db.execute("UPDATE runs SET state = 'done'")
    return store, ids


def timed(act):
    began = time.perf_counter()
    found = act()
    return found, time.perf_counter() - began


ASKED = {
    "listing": lambda store, ids: store.runs(),
    "experiments": lambda store, ids: store.experiments(),
    "an experiment": lambda store, ids: store.runs("experiment 3"),
    "the curves of ten": lambda store, ids: store.curves(ids[40:50], "accuracy", most=300),
    "what was recorded by all": lambda store, ids: store.metric_names(ids),
    "the results of an experiment": lambda store, ids: store.summary(ids[:50]),
    "whose turn it is": lambda store, ids: store.queue.claim(2),
    "finding a configuration": lambda store, ids: store.find("250"),
}


@pytest.mark.heavy
@pytest.mark.parametrize("question", ASKED)
def test_what_pages_ask_is_answered_at_once(large, question):
    store, ids = large
    _, seconds = timed(lambda: ASKED[question](store, ids))
    print(f"{question}: {1000 * seconds:.0f} ms")
    assert seconds < SECONDS
