"""The results that come with the app."""

import torch

from app.uploads import EXAMPLE
from kdcore import data, snapshots
from kdcore.bundle import import_experiment
from kdcore.config import read
from kdcore.store import Store


def test_what_comes_with_the_app_can_still_be_read_and_is_what_its_curves_say(tmp_path):
    store = Store(tmp_path)
    runs = store.runs(import_experiment(store, EXAMPLE))
    assert {run["state"] for run in runs} == {"done"} and len({run["method"] for run in runs}) == 7
    ids = [run["id"] for run in runs]
    recorded = store.summary(ids)
    for run in ids:
        images = data.of_run(read(store.run(run)["config"]), "test")[:500]
        with torch.no_grad():
            said = snapshots.network(store, run, store.snapshot_steps(run)[-1])(images.pixels).argmax(1)
        assert abs(float((said == images.labels).float().mean()) - recorded[run]["last"]) < 0.005
