"""What many tests start from."""

import os
from collections import OrderedDict
from functools import cache
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from kdcore import models
from kdcore.data.sources import SOURCES
from kdcore.knowledge import Pair, Side
from kdcore.models import Architecture, NetworkConfig, tapped
from kdcore.places import data_folder

torch.set_num_threads(1)  # threads only slow down tensors this small

LONGEST = ("tests/test_cluster.py", "browser/test_app.py", "browser/test_pictures.py", "test_survival.py",
           "test_train.py", "test_worker.py", "browser/test_login.py", "test_methods.py", "test_benchmarks.py",
           "app/test_train_page.py", "test_terms.py", "test_start.py", "test_cli.py", "test_inspector_link.py",
           "test_compare_page.py", "test_settings.py", "test_bundle.py")  # begun first, so that all end together
CLASSES = 3
WIDTHS = {"fc_student": 0.012, "fc_teacher": 0.02, "conv_student": 0.4, "conv_teacher": 0.2}


def pytest_collection_modifyitems(items):
    places = {item.path: next((i for i, name in enumerate(LONGEST) if item.path.as_posix().endswith(name)),
                              len(LONGEST)) for item in items}
    items.sort(key=lambda item: places[item.path])


class Couple(NamedTuple):
    """A float64 teacher and student, and a batch for both."""

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


class Sections(nn.Sequential):
    """Two sections of two convolutions each, average pooling after a section, and a linear layer.

    A `last` kernel of 2 instead of 3 makes the maps smaller inside a section.
    """

    def __init__(self, channels: int, widths: tuple[int, int], last: int = 3, norm: bool = False,
                 inplace: bool = False, classes: int = CLASSES):
        layers, taps = OrderedDict(), {}
        for k, width in enumerate(widths, start=1):
            for part, kernel in (("first", 3), ("last", last)):
                layers[f"conv{k}{part}"] = nn.Conv2d(channels, width, kernel, padding=(kernel - 1) // 2)
                if norm:
                    layers[f"norm{k}{part}"] = nn.BatchNorm2d(width)
                taps[f"group{k}.pre"] = next(reversed(layers))
                layers[f"relu{k}{part}"] = nn.ReLU(inplace)
                channels = width
            taps |= {f"group{k}": f"relu{k}last", f"group{k}.first": f"relu{k}first"}
            layers[f"pool{k}"] = nn.AvgPool2d(2) if k == 1 else nn.AdaptiveAvgPool2d(1)
        super().__init__(layers | {"flatten": nn.Flatten(), "dropout": nn.Dropout(0.0),
                                   "output": nn.Linear(channels, classes)})
        self.taps = {**taps, "embedding": "flatten", "logits": "output"}


def shaken(module: nn.Module, seed: int) -> nn.Module:
    """In float64 and evaluation mode, with random weights and batch-norm statistics, ReLUs mixed on and off."""
    generator = torch.Generator().manual_seed(seed)
    module.double().eval()
    for name, value in module.state_dict().items():
        if name.endswith("running_var") or (name.endswith("weight") and value.dim() == 1):
            nn.init.uniform_(value, 0.5, 1.5, generator=generator)
        elif value.is_floating_point():
            bound = (6 / value[0].numel()) ** 0.5 if value.dim() > 1 else 0.3
            nn.init.uniform_(value, -bound, bound, generator=generator)
    return module


def sections(teacher: dict, student: dict, shape: tuple[int, int, int] = (2, 6, 7), count: int = 3) -> Couple:
    """Two networks of two sections; `teacher` and `student` are the settings of Sections."""
    images = torch.rand(count, *shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    return Couple(shaken(Sections(shape[0], **teacher), 11), shaken(Sections(shape[0], **student), 9), images,
                  torch.arange(count) % CLASSES)


COUPLES = {
    **{f"{family}-{'x'.join(map(str, shape))}": (couple, family, shape)
       for family in ("fc", "conv") for shape in ((1, 6, 6), (2, 6, 7))},
    "wider": (sections, {"widths": (5, 4)}, {"widths": (2, 3)}),
    "equal": (sections, {"widths": (3, 4)}, {"widths": (3, 4)}),
    "sizes": (sections, {"widths": (3, 4)}, {"widths": (2, 4), "last": 2}),
    "normed": (sections, {"widths": (3, 3), "norm": True}, {"widths": (2, 2), "norm": True}),
}


def made(name: str) -> Couple:
    """A couple of fresh networks, by name."""
    build, *settings = COUPLES[name]
    return build(*settings)


def side(network: nn.Module, images: Tensor) -> Side:
    """What a real module looks at, tells apart and shows inside."""
    @cache
    def measure() -> dict[str, tuple[int, ...]]:
        with torch.no_grad():
            taps = tapped(network, tuple(network.taps))(images[:1])
        return {name: tuple(value.shape[1:]) for name, value in taps.items()}

    with torch.no_grad():
        classes = network(images[:1]).shape[1]
    return Side(tuple(images.shape[1:]), tuple(map(str, range(classes))), measure)


def paired(teacher: nn.Module, student: nn.Module, images: Tensor, labels: Tensor | None = None) -> Pair:
    """The two modules side by side."""
    return Pair(side(student, images), side(teacher, images))


class Given:
    """Stands in for a step's draws: signs of our choice, a row of C for each projection, and one image's noise."""

    def __init__(self, *rows: tuple[float, ...], noise: Tensor | None = None):
        self.rows, self.noise = torch.tensor(rows), noise

    def signs(self, *shape: int) -> Tensor:
        return self.rows.expand(shape)

    def normal(self, *shape: int) -> Tensor:
        return self.noise.view(-1, *shape[1:]).expand(shape)


@pytest.fixture(params=[name for name in COUPLES if name.startswith(("fc", "conv"))])
def pair(request) -> Couple:
    """Fully connected and convolutional, grey and square, coloured and not square."""
    return made(request.param)


@pytest.fixture
def normed(monkeypatch):
    """Architectures of two sections with batch norm, by name."""
    for name, widths in (("test_teacher", (5, 6)), ("test_student", (3, 4))):
        monkeypatch.setitem(models.ARCHITECTURES, name, Architecture(
            "Test", "A test.", "None 2000", lambda shape, classes, width, widths=widths: Sections(
                shape[0], widths, norm=True, classes=classes)))


@pytest.fixture(autouse=True)
def store_folder(tmp_path, monkeypatch):
    """Every test has a store of its own."""
    monkeypatch.setenv("KD_STORE", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture(autouse=True, scope="session")
def cache_folder(tmp_path_factory):
    """Decoded images are kept for the session alone, by all of its workers."""
    place = tmp_path_factory.getbasetemp()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KD_CACHE", str((place.parent if "PYTEST_XDIST_WORKER" in os.environ else place) / "cache"))
        yield


@pytest.fixture
def real_data():
    """Skip, by name, where the papers' images are missing."""
    if not SOURCES["mnist"].present():
        pytest.skip("MNIST is not on this machine (KD_DATA)")


@pytest.fixture
def jpeg_zip():
    """The path of a real zip file of class folders; skips where it is missing."""
    path = data_folder() / "cifar10-jpeg.zip"
    if not path.exists():
        pytest.skip("cifar10-jpeg.zip is not on this machine (KD_DATA)")
    return path
