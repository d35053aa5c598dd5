"""The gallery: those that differ most, first, by the very distance that a loss would take."""

import pytest
import torch

from kdcore import inspect
from kdcore.config import read
from kdcore.errors import UserError
from tests.test_inspect_layers import TEACHER, trained  # noqa: F401


def gallery(trained, by, **changes):  # noqa: F811
    store, teacher, alone, _ = trained
    return inspect.differing(store, (teacher, None), (alone, None), by=by, **{"among": 70, "count": 9, **changes})


def test_answers_that_differ_most_come_first(trained):  # noqa: F811
    store, teacher, alone, _ = trained
    found = gallery(trained, "answers")
    distances = [one["distance"] for one in found]
    assert distances == sorted(distances, reverse=True) and 0 <= distances[-1] <= distances[0] <= 1 and len(found) == 9
    everything = gallery(trained, "answers", count=500)
    chosen = torch.randperm(500, generator=torch.Generator().manual_seed(0))[:70].tolist()
    assert sorted(one["index"] for one in everything) == sorted(chosen), "a fixed random choice"
    assert len(everything) == 70 and [one["index"] for one in everything[:9]] == [one["index"] for one in found]
    for one in found[:3]:
        image = inspect.image(store, alone, one["index"])
        assert (one["pixels"] == image["pixels"]).all() and one["label"] == image["classes"][image["label"]]
        ours, theirs = (inspect.maps(store, [(run, None)], "summed_jacobian", one["index"])[0]["probabilities"]
                        for run in (teacher, alone))
        assert one["distance"] == pytest.approx(abs(ours - theirs).sum() / 2, rel=1e-4)
        assert [share for _, share in one["answers"]] == pytest.approx([ours.max(), theirs.max()], rel=1e-5)


def test_maps_are_apart_by_the_terms_own_distance(trained):  # noqa: F811
    store, teacher, alone, _ = trained
    for one in gallery(trained, "full_jacobian", count=3):
        told = inspect.maps(store, [(alone, None)], "full_jacobian", one["index"], teacher=(teacher, None))[0]
        assert one["distance"] == pytest.approx(told["distance"], rel=1e-4)


def test_networks_of_other_classes_are_a_sentence(trained, tmp_path):  # noqa: F811
    from kdcore import worker

    store, teacher, *_ = trained
    other = store.submit(read({**TEACHER, "data": {"name": "shapes", "images": 20}, "steps": 0}).planned())
    worker.execute(store, store.queue.claim(99, other))
    with pytest.raises(UserError, match="tell other classes apart, or look at other images"):
        inspect.differing(store, (teacher, None), (other, None))
