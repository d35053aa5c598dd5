"""How alike two maps are: each measure against scipy, or counted one by one."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cosine as scipy_distance
from scipy.stats import spearmanr

from kdcore.similarity import cosine, rank_correlation, share_inside, top_overlap


def couple(shape=(5, 3, 4, 6), ties=False):
    generator = torch.Generator().manual_seed(3)
    one, other = torch.randn(2, *shape, generator=generator)
    other = other + 0.7 * one
    return (one.round(), other.round()) if ties else (one, other)


@pytest.mark.parametrize("ties", [False, True])
def test_measures_are_scipys_image_by_image(ties):
    one, other = couple(ties=ties)
    for i in range(len(one)):
        pair = one[i].flatten().numpy(), other[i].flatten().numpy()
        assert float(cosine(one, other)[i]) == pytest.approx(1 - scipy_distance(*pair), abs=1e-6)
        assert float(rank_correlation(one, other)[i]) == pytest.approx(spearmanr(*pair).statistic, abs=1e-9)


@pytest.mark.parametrize(("share", "count"), [(0.001, 1), (0.1, 7), (0.5, 36), (1.0, 72)])
def test_the_strongest_entries_are_counted(share, count):
    one, other = couple()
    for i, found in enumerate(top_overlap(one, other, share)):
        strongest = [set(np.argsort(-each[i].abs().flatten().numpy())[:count]) for each in (one, other)]
        assert float(found) == pytest.approx(len(strongest[0] & strongest[1]) / count)


def test_the_share_inside_is_summed_over_pixels():
    maps, _ = couple()
    mask = torch.rand(5, 4, 6, generator=torch.Generator().manual_seed(1)) > 0.6
    for i, found in enumerate(share_inside(maps, mask)):
        inside = sum(float(maps[i, c, y, x].abs()) for c, y, x in np.ndindex(3, 4, 6) if mask[i, y, x])
        assert float(found) == pytest.approx(inside / float(maps[i].abs().sum()))
    assert torch.allclose(share_inside(torch.full((5, 2, 3, 4, 6), -2.0), mask), mask.double().flatten(1).mean(1))


def test_what_each_measure_does_not_see():
    one, _ = couple()
    assert torch.allclose(cosine(one, 3 * one), torch.ones(5).double())
    assert torch.allclose(cosine(one, -one), -torch.ones(5).double())
    assert torch.allclose(rank_correlation(one, one.exp()), torch.ones(5).double())
    assert (top_overlap(one, -one, 0.2) == 1).all()


def test_a_map_of_nothing_is_like_nothing():
    one, nothing = couple()[0], torch.zeros(5, 3, 4, 6)
    assert cosine(one, nothing).isnan().all() and rank_correlation(one, nothing + 1).isnan().all()
    assert top_overlap(one, nothing, 0.1).isnan().all() and top_overlap(nothing, one, 0.1).isnan().all()
    one[1:] = 0
    assert top_overlap(one, one, 0.1).isnan().tolist() == [False, True, True, True, True]
    assert share_inside(nothing, torch.ones(5, 4, 6, dtype=torch.bool)).isnan().all()
