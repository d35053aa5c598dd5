"""Every table at its quick budget, from its rows to its report, on made images and with few steps of each run."""

from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image

from kdcore import models, probe, worker
from kdcore.models import NetworkConfig
from kdcore.models.start import Published
from kdcore.papers import TABLES, plan, reproduce
from kdcore.store import Store

SOON = ("srinivas-fleuret-2", "heo-7", "yim-2")  # what is measured in several ways; the others take minutes together


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three classes of coloured noise."""
    made, draws = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for part, count in (("train", 10), ("test", 4)):
        for name in ("red", "green", "blue"):
            (made / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = draws.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(made / part / name / f"{number}.png")
    return made


@cache
@torch.no_grad()
def untrained(name):
    """Fresh weights in place of published ones, whose batch norm knows such images, as any trained one's does."""
    network = models.bare(NetworkConfig(name=name), (3, 32, 32), 1000).train()
    for _ in range(40):
        network(torch.rand(6, 3, 32, 32))
    return network.state_dict()


@pytest.fixture
def little(monkeypatch):
    """Runs of a few steps on the few images that there are, without what is measured beside them."""
    read = plan.read

    def shrunk(content):
        for run in filter(None, (content, content.get("teacher"))):
            run |= {"steps": 12 if run is content else min(run["steps"], 40), "batch_size": 6, "evaluations": 2,
                    "optimiser": {"learning_rate": 1e-5}}  # noise is not learnt: nothing may grow
            run["data"] = {**run["data"], "images": None, "per_class": None, "size": 32}
            if run["data"].get("labelled_per_class"):
                run["data"]["labelled_per_class"] = 2
            if run["network"]["name"].startswith(("wrn", "residual", "vgg")):
                run["network"]["width"] = 0.25
        return read(content)

    def drain(store):
        while row := store.queue.claim(99):
            worker.execute(store, row)

    monkeypatch.setattr(plan, "read", shrunk)
    monkeypatch.setattr(worker, "ensure", drain)
    monkeypatch.setattr(probe, "TERMS", {name: term for name, term in probe.TERMS.items() if "boundary" in name})
    monkeypatch.setattr(Published, "read", lambda self, published: untrained(published))


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in SOON else pytest.mark.heavy)
                                  for name, table in TABLES.items() if table.data != "mnist"])
def test_a_table_is_filled_from_its_rows_to_its_report(name, folder, little, tmp_path):
    found = reproduce.reproduce(name, "quick", Store(tmp_path / "store"), tmp_path, str(folder))
    for cell, one in zip(TABLES[name].cells, found["cells"], strict=True):
        assert (one["mean"] is None) == bool(one["reason"]), (one["row"], one["column"], one["reason"])
        if one["reason"]:
            assert "there are none for this network" in one["reason"]
            continue
        assert len(one["values"]) == TABLES[name].budgets["quick"].seeds
        if not cell.measure.fall:  # which may rise
            assert 0 <= one["mean"] <= 100
    text = (tmp_path / f"{name}-quick-{folder.name}.md").read_text()
    assert f"{folder.name} in place of" in text and TABLES[name].claim in text
