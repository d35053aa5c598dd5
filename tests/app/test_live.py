"""Live curves without a browser: one news for everybody who looks, and never an old one for a page that is drawn."""

import json
import time

from app import engine
from app.components import live
from kdcore.config import read


def asked(ids):
    return {"store": str(engine.store().folder), "ids": ids, "awaited": ids, "metric": "accuracy", "title": "accuracy",
            "logarithmic": False}


def test_an_update_is_made_once_for_all_and_a_page_is_drawn_anew(page_of, monkeypatch):
    store = engine.store()
    run = store.submit(read({"name": "first name", "data": {"name": "digits"},
                             "network": {"name": "fc_student"}}).planned())
    row = store.queue.claim(1)
    for step in range(3):
        store.append(run, row["claim"], step, {"accuracy": step / 4})
    made = []
    real = live.results.table
    monkeypatch.setattr(live.results, "table", lambda runs: made.append(1) or real(runs))
    many = [live._shared_news(**asked([run])) for _ in range(30)]
    assert len(made) == 1 and all(one["figure"] == many[0]["figure"] for one in many)
    assert json.loads(many[0]["figure"])["data"][0]["meta"] == "first name"
    store.rename(run, "second name")
    assert json.loads(live._news(**asked([run]))["figure"])["data"][0]["meta"] == "second name"
    time.sleep(live.SHARED_SECONDS + 0.1)
    assert json.loads(live._shared_news(**asked([run]))["figure"])["data"][0]["meta"] == "second name"
    assert not many[0]["over"] and many[0]["metrics"] == 1 and many[0]["table"].num_rows == 1
    store.finish(run, row["claim"], "done")
    assert live._news(**asked([run]))["over"] and live._news(**asked([run]))["progress"] == (None, "")
