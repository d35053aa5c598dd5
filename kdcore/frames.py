"""Runs and what they recorded as pandas data frames, for notebooks, CSV and Parquet. No torch."""

from __future__ import annotations

import json

import pandas

from kdcore import grid
from kdcore.errors import UserError
from kdcore.store import Store


def runs(experiment: str | None = None, store: Store | None = None) -> pandas.DataFrame:
    """A row for each run, oldest first, with its settings by path, such as "data.per_class".

    Beside them "method", "seed", "state", "role", "tags" and "note" as they were written, "teacher" (the number of its
    run), "accuracy" on the test images at the end, "best_accuracy" and "seconds" of training. The index is the run's
    number. All runs of $KD_STORE, or those of an experiment.
    """
    store = store or Store()
    rows = _rows(store, experiment)
    found = store.summary([row["id"] for row in rows])
    nothing = {"last": None, "best": None, "seconds": None}
    table = [{"run": row["id"], "name": row["name"], "method": row["title"], "seed": row["seed"], "role": row["role"],
              "state": row["state"], "tags": row["tags"], "note": row["note"], "teacher": row["teacher"],
              "accuracy": (end := found.get(row["id"], nothing))["last"], "best_accuracy": end["best"],
              "seconds": end["seconds"], **_settings(json.loads(row["config"]))} for row in rows]
    return pandas.DataFrame(table or {"run": []}).set_index("run")


def metrics(experiment: str | None = None, store: Store | None = None) -> pandas.DataFrame:
    """All that was recorded, a row for each measurement: "run", "step", and a column for each metric."""
    store = store or Store()
    return recorded(store, [row["id"] for row in _rows(store, experiment)])


def recorded(store: Store, ids: list[int]) -> pandas.DataFrame:
    """`metrics` of runs by their numbers."""
    long = pandas.DataFrame(store.metrics(ids), columns=["run", "step", "name", "value"])
    wide = long.pivot(index=["run", "step"], columns="name", values="value")
    return wide.rename_axis(columns=None).reset_index()


def _rows(store: Store, experiment: str | None) -> list[dict]:
    if experiment is not None and experiment not in store.experiments():
        raise UserError(f"There is no experiment {experiment!r} in {store.folder}; there is "
                        f"{', '.join(map(repr, store.experiments()[:5])) or 'none'}.")
    return store.runs(experiment)[::-1]


def _settings(config: dict) -> dict:
    """The fields of a run, of its method and of its teacher."""
    told = {path: value for path, value in grid.fields(config)
            if path not in ("name", "seed", "teacher") and ".method." not in f".{path}"}
    return told | {path: str(value) if isinstance(value, (list, tuple)) else value
                   for path, value in grid.settings_of(config["method"]) if not path.endswith(".kind")}
