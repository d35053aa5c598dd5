"""Train one run here and now, with a progress bar, while the store keeps it like any other."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress

from tqdm import tqdm

from kdcore import search, worker
from kdcore.config import parse, read
from kdcore.errors import UserError
from kdcore.store import Store
from kdcore.worker import execute


def train_in_foreground(content: str | dict, store: Store) -> dict:
    """Train a run, and its teacher first, unless the store has them; returns the run's results.

    {"run", "name", "state", "found" done already, "steps", "test_accuracy", "best_test_accuracy", "seconds"} and the
    last value of every metric. An interrupted run waits in the store, and the same call goes on with it. Raises
    UserError where the configuration is not possible or the run fails.
    """
    planned = read(content).planned()
    run = store.ensure(planned, planned["config"]["name"])
    row = store.run(run)
    found = row["state"] == "done"
    if row["state"] == "paused":
        store.queue.restart([run])
    for needed in (row["teacher"], *store.parts(run), run):
        if needed:
            _finish(store, needed)
    last = {name: store.curves([run], name)[run][1][-1] for name in store.metric_names([run])}
    accuracy = store.summary([run]).get(run, {"last": None, "best": None, "seconds": None})
    return {"run": run, "name": row["name"], "state": "done", "found": found, "steps": row["steps"],
            "test_accuracy": accuracy["last"], "best_test_accuracy": accuracy["best"], "seconds": accuracy["seconds"],
            "metrics": last}


def search_in_foreground(content: str | dict, store: Store) -> dict:
    """Search, with the store's worker, until all values are tried; the same call goes on with what it began.

    {"experiment", "tried": {value: mean accuracy on held-out images}, "best" value}. Raises UserError where the search
    is not possible, or no run of it came to an end.
    """
    wanted = parse(search.Search, content)
    name = wanted.name or f"Search: {wanted.method.title}"
    if name not in store.experiments():
        name = search.start(store, wanted, name=name)
    elif store.experiment(name)["content"].get("search") != wanted.model_dump(mode="json"):
        raise UserError(f"There is another experiment {name!r} in this store; give the search a name of its own.")
    with tqdm(total=wanted.trials, desc=name, unit="value") as bar:
        while not store.experiment(name)["content"].get("finished"):
            if "stopped" in {row["state"] for row in store.runs(name)}:
                raise UserError(f"{name!r} was stopped; continue its runs on Queue, and the same call goes on with it.")
            worker.ensure(store)
            time.sleep(0.5)
            bar.update(sum(score is not None for score in search.outcomes(store, name).values()) - bar.n)
    tried = {value: score for value, score in search.outcomes(store, name).items() if score == score}
    if not tried:
        raise UserError(f"No run of {name!r} came to an end; the store's runs say why.")
    return {"experiment": name, "tried": tried, "best": max(tried, key=tried.get)}


def _finish(store: Store, run: int) -> None:
    """Execute the run, or follow the process that does."""
    row = store.run(run)
    with _progress_bar(store, row):
        while row["state"] in ("queued", "running"):
            if claimed := store.queue.claim(row["threads"], run):
                try:
                    with suppress(UserError):  # the run says itself how it ended
                        execute(store, claimed)
                except KeyboardInterrupt:
                    store.release(run, claimed["claim"], "Interrupted; it continues from its last resume point.",
                                  died=False)
                    raise
            else:
                time.sleep(0.2)
            row = store.run(run)
    if row["state"] != "done":
        raise UserError(f"{row['name']} {row['state']}: {row['message']}")


@contextmanager
def _progress_bar(store: Store, row: dict):
    if row["state"] == "done":
        yield
        return
    over = threading.Event()
    with tqdm(total=row["steps"], desc=row["name"], unit="step") as bar:
        def follow():
            ended = False
            while not ended:
                ended = over.wait(0.2)
                accuracies = store.curves([row["id"]], "accuracy").get(row["id"])
                if accuracies:
                    bar.set_postfix(accuracy=f"{accuracies[1][-1]:.3f}", refresh=False)
                bar.update(store.run(row["id"])["step"] - bar.n)

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
