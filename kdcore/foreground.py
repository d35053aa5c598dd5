"""Train one run here and now, with a progress bar, while the store keeps it like any other."""

from __future__ import annotations

import threading
from contextlib import contextmanager

from tqdm import tqdm

from kdcore.config import read
from kdcore.errors import UserError
from kdcore.store import Store
from kdcore.worker import execute


def train_in_foreground(content: str | dict, store: Store) -> dict:
    """Train a run, and its teacher first where the store has none; returns its results.

    {"run", "name", "state", "steps", "test_accuracy", "best_test_accuracy", "seconds"} and the last value of every
    metric. Raises UserError where the configuration is not possible or the run fails.
    """
    planned = read(content).planned()
    run = store.submit(planned)
    row = store.run(run)
    if row["teacher"]:
        _finish(store, row["teacher"])
    _finish(store, run)
    last = {name: values[-1] for name in store.metric_names([run])
            for _, values in [store.curves([run], name)[run]]}
    accuracy = store.summary([run])[run]
    return {"run": run, "name": row["name"], "state": "done", "steps": row["steps"],
            "test_accuracy": accuracy["last"], "best_test_accuracy": accuracy["best"], "seconds": accuracy["seconds"],
            "metrics": last}


def _finish(store: Store, run: int) -> None:
    row = store.run(run)
    if row["state"] == "done":
        return
    claimed = store.claim(row["threads"], run)
    if claimed is None:
        raise UserError(f"Run {run} ({row['name']}) is being trained by another process; wait for it and call again.")
    with _progress_bar(store, row):
        execute(store, claimed)
    ended = store.run(run)
    if ended["state"] != "done":
        raise UserError(f"{row['name']} {ended['state']}: {ended['message']}")


@contextmanager
def _progress_bar(store: Store, row: dict):
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
