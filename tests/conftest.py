"""What many tests start from."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from kdcore import models
from kdcore.data.sources import SOURCES
from kdcore.models import NetworkConfig

torch.set_num_threads(1)  # threads only slow down tensors this small

CLASSES = 3
WIDTHS = {"fc_student": 0.012, "fc_teacher": 0.02, "conv_student": 0.4, "conv_teacher": 0.2}


class Couple(NamedTuple):
    """A float64 teacher and student of one family, and a batch for both."""

    teacher: nn.Module
    student: nn.Module
    images: Tensor
    labels: Tensor


def small(name: str, shape: tuple[int, int, int], seed: int) -> nn.Module:
    """A small float64 network whose random biases leave each hidden layer's ReLUs mixed, some on and some off."""
    network = models.build(NetworkConfig(name=name, width=WIDTHS[name], initial="he"), shape, CLASSES, seed).double()
    generator = torch.Generator().manual_seed(seed)
    for key, parameter in network.named_parameters():
        if key.endswith("bias"):
            nn.init.uniform_(parameter, -0.3, 0.3, generator=generator)
    return network.eval()


def couple(family: str, shape: tuple[int, int, int], count: int = 4) -> Couple:
    """A teacher and a student of the family "fc" or "conv", and `count` images in [0, 1]."""
    images = torch.rand(count, *shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    return Couple(small(f"{family}_teacher", shape, 1), small(f"{family}_student", shape, 2), images,
                  torch.arange(count) % CLASSES)


@pytest.fixture(params=[(family, shape) for family in ("fc", "conv") for shape in ((1, 6, 6), (2, 6, 7))],
                ids=lambda case: f"{case[0]}-{'x'.join(map(str, case[1]))}")
def pair(request) -> Couple:
    """Fully connected and convolutional, grey and square, coloured and not square."""
    return couple(*request.param)


@pytest.fixture(autouse=True)
def store_folder(tmp_path, monkeypatch):
    """Every test has a store of its own."""
    monkeypatch.setenv("KD_STORE", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture(autouse=True, scope="session")
def cache_folder(tmp_path_factory):
    """Decoded images are kept for the session alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KD_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def real_data():
    """Skip, by name, where the papers' images are missing."""
    if not SOURCES["mnist"].present():
        pytest.skip("MNIST is not on this machine (KD_DATA)")
