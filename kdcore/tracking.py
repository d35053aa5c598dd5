"""Runs as TensorBoard event files and in MLflow, beside the store, where a server's settings ask for it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kdcore import grid, settings
from kdcore.errors import UserError
from kdcore.places import replace_file
from kdcore.store import Store


@contextmanager
def tracked(store: Store, row: dict, after: int) -> Iterator[Trackers]:
    """Yields what is told the run's measurements; those behind the step `after` will be told again.

    Raises UserError where a package that the settings need is missing.
    """
    chosen, trackers = settings.read(), Trackers()
    try:
        if chosen.tensorboard:
            trackers.ask(_TensorBoard, store.folder / "tensorboard" / f"{row['id']}", after)
        if chosen.mlflow:
            trackers.ask(_MLflow, chosen.mlflow, store.folder / "mlflow" / f"{row['id']}" / "told.json", row)
    except ImportError as error:
        raise UserError(f"The settings ask for tracking, and {error.name} is not installed: pip install -r "
                        "requirements-tracking.txt, or leave the setting out.") from error
    try:
        yield trackers
    finally:
        trackers.tell("end", trackers.state)


class Trackers:
    """Those that a run reports to; set `state` to the one that it ends in. A fault of theirs is no fault of the run.

    `faults` are sentences on those that could not be asked from the beginning.
    """

    def __init__(self):
        self._asked: list = []
        self.faults: list[str] = []
        self.state = "failed"

    def ask(self, kind: type, *arguments) -> None:
        """Have one of a kind told the news. Raises ImportError where its package is missing."""
        try:
            self._asked.append(kind(*arguments))
        except ImportError:
            raise
        except Exception as error:  # as in `tell`
            self.faults.append(_fault(kind, error))

    def tell(self, what: str, *news) -> list[str]:
        """Tell each; returns why some of them cannot be told any more, in sentences."""
        faults = []
        for tracker in list(self._asked):
            try:
                getattr(tracker, what)(*news)
            except Exception as error:  # a server that is gone, a full disk, and what else other people's code meets
                self._asked.remove(tracker)
                faults.append(_fault(tracker, error))
        return faults


def _fault(tracker, error: Exception) -> str:
    return f"{tracker.title} is not told any more: {type(error).__name__}: {str(error)[:200]}."


class _TensorBoard:
    title = "TensorBoard"

    def __init__(self, folder: Path, after: int):
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(folder), purge_step=after + 1)  # later points of a killed process are void

    def log(self, step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name.replace(".", "/"), value, step)
        self.writer.flush()

    def end(self, state: str) -> None:
        self.writer.close()


class _MLflow:
    """Keeps which MLflow run this is and how far it was told: a continued run measures the same once more."""

    title = "MLflow"
    _ENDS = {"done": "FINISHED", "failed": "FAILED", "stopped": "KILLED"}

    def __init__(self, address: str, memory: Path, row: dict):
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # else a server that is away costs minutes
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        from mlflow import MlflowClient

        self.client, self.memory = MlflowClient(tracking_uri=address), memory
        if memory.exists():
            self.known = json.loads(memory.read_text())
            return
        name = row["experiment"] or "Apprentice"
        experiment = self.client.get_experiment_by_name(name)
        run = self.client.create_run(experiment.experiment_id if experiment else self.client.create_experiment(name),
                                     run_name=row["name"], tags={"apprentice.run": str(row["id"])})
        self.known = {"run": run.info.run_id, "step": -1}
        for path, value in [("method", row["title"]), *grid.fields(json.loads(row["config"]))]:
            if not f".{path}".startswith((".method.", ".teacher.method")):
                self.client.log_param(self.known["run"], path, str(value)[:500])

    def log(self, step: int, values: dict[str, float]) -> None:
        if step > self.known["step"]:
            for name, value in values.items():
                self.client.log_metric(self.known["run"], name, value, step=step)
            self.known["step"] = step
            replace_file(self.memory, json.dumps(self.known).encode())

    def end(self, state: str) -> None:
        if state in self._ENDS:
            self.client.set_terminated(self.known["run"], self._ENDS[state])
