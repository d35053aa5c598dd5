"""The plain way: a step of training as published scripts write it.

Contiguous float32, a DataLoader with torchvision's transforms over images in memory, the teacher run anew each step,
one call of `autograd.grad` a class, FSP matrices by broadcasting, the optimiser's default form. The losses are the
project's, so that both ways minimise the same numbers; a test holds them together.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from kdcore import data, device
from kdcore.config import RunConfig
from kdcore.knowledge import Bound, Term
from kdcore.models import tapped
from kdcore.train import build

Values = dict[str, Tensor]
Loss = Callable[[Values, Values, Bound, Term, Tensor, Tensor, Tensor], Tensor]


class Training:
    """A run's student, and the steps of its method's first stage, written as scripts write them."""

    def __init__(self, config: RunConfig, teacher: nn.Module | None = None):
        if len(config.method.stages) > 1 or any(getattr(weighted.term, "projections", 0)
                                                for weighted in config.method.stages[0].objective.values()):
            raise ValueError(f"The plain way has one stage and no projections, unlike {config.method.title}.")
        self.device = device.pick(config.device)
        self.student = build(config).to(self.device).train()
        self.teacher = teacher and copy.deepcopy(teacher).to(self.device).eval()
        self.terms = [(weighted.weight, weighted.term, weighted.term.bind(config.pair()).to(self.device))
                      for weighted in config.method.stages[0].objective.values()]
        learning = [self.student, *(bound for _, _, bound in self.terms)]
        self.optimiser = _optimiser(config, [parameter for module in learning for parameter in module.parameters()])
        self.batches = endless(loader(config))
        self.ours = reader(self.student, [tap for *_, bound in self.terms for tap in bound.student_taps])
        self.theirs = reader(self.teacher, [tap for *_, bound in self.terms for tap in bound.teacher_taps])

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch."""
        derived = any(term.differentiates_input for _, term, _ in self.terms)
        images = images.clone().requires_grad_(derived)
        taught = {}
        if self.teacher:
            with torch.set_grad_enabled(derived):
                taught = self.theirs(images)
        answer = self.ours(images)
        return sum(weight * LOSSES[term.kind](answer, taught, bound, term, images, labels)
                   for weight, term, bound in self.terms)

    def step(self) -> None:
        """One step on the next batch."""
        images, labels = next(self.batches)
        total = self.loss(images.to(self.device), labels.to(self.device))
        self.optimiser.zero_grad()
        total.backward()
        self.optimiser.step()


def _optimiser(config: RunConfig, parameters: list) -> torch.optim.Optimizer:
    own = config.optimiser
    if own.kind == "adam":
        return torch.optim.Adam(parameters, lr=own.learning_rate)
    return torch.optim.SGD(parameters, lr=own.learning_rate, momentum=own.momentum, nesterov=own.nesterov,
                           weight_decay=own.weight_decay)


def reader(network: nn.Module | None, taps: Iterable[str]) -> Callable[[Tensor], Values]:
    """A network that returns what it holds at these taps beside its logits, as scripts rewrite theirs to do."""
    names = tuple(sorted({*taps} - {"logits"}))
    return tapped(network, (*names, "logits")) if names else lambda images: {"logits": network(images)}


class Pictures(Dataset):
    """Images in memory, (N, H, W, C) or (N, H, W) uint8, as torchvision's CIFAR10 and MNIST hold and hand them out."""

    def __init__(self, pixels: Tensor, labels: Tensor, transform: Callable):
        self.pixels, self.labels, self.transform = pixels.numpy(), labels.tolist(), transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        from PIL import Image

        return self.transform(Image.fromarray(self.pixels[index])), self.labels[index]


def loader(config: RunConfig, workers: int = 0) -> DataLoader:
    """The run's training images, shuffled, cropped and mirrored as the run says."""
    images = data.of_run(config, "train", torch.device("cpu"))
    pixels = (images[torch.arange(len(images))].pixels * 255).round().byte()
    channels, side = pixels.shape[1], pixels.shape[2]
    pixels = pixels[:, 0] if channels == 1 else pixels.permute(0, 2, 3, 1).contiguous()
    varied = {"none": [], "crop": [transforms.RandomCrop(side, 4)], "flip": [transforms.RandomHorizontalFlip()],
              "crop_flip": [transforms.RandomCrop(side, 4), transforms.RandomHorizontalFlip()]}
    transform = transforms.Compose([*varied[config.data.augment], transforms.ToTensor()])
    return DataLoader(Pictures(pixels, images.labels, transform), min(config.batch_size, len(pixels)), shuffle=True,
                      drop_last=True, num_workers=workers)


def endless(batches: DataLoader) -> Iterator[tuple[Tensor, Tensor]]:
    """Epoch after epoch."""
    while True:
        yield from batches


def cross_entropy(ours, theirs, bound, term, images, labels) -> Tensor:
    """Of the labels."""
    return functional.cross_entropy(ours["logits"], labels)


def soft_targets(ours, theirs, bound, term, images, labels) -> Tensor:
    """Hinton et al. 2015."""
    warm = term.temperature
    return warm**2 * functional.kl_div(functional.log_softmax(ours["logits"] / warm, 1),
                                       functional.softmax(theirs["logits"] / warm, 1), reduction="batchmean")


def attention(ours, theirs, bound, term, images, labels) -> Tensor:
    """Srinivas & Fleuret 2018, eq. 9."""
    def unit(features):
        return functional.normalize(features.pow(2).sum(1).flatten(1))

    return sum((unit(theirs[layer.teacher]) - unit(ours[layer.student])).norm(dim=1).mean() for layer in bound.layers)


def flow(ours, theirs, bound, term, images, labels) -> Tensor:
    """Yim et al. 2017, eq. 1 and 2."""
    def matrix(earlier, later):
        if earlier.shape[2] > later.shape[2]:
            earlier = functional.adaptive_max_pool2d(earlier, later.shape[2:])
        earlier, later = earlier.flatten(2).unsqueeze(2), later.flatten(2).unsqueeze(1)
        return (earlier * later).mean(-1)

    mine = [connector(ours[layer.student]) for layer, connector in zip(bound.layers, bound.connectors)]
    wanted = [theirs[layer.teacher] for layer in bound.layers]
    return sum((matrix(*wanted[i : i + 2]) - matrix(*mine[i : i + 2])).pow(2).sum((1, 2)).mean()
               for i in range(0, len(mine), 2))


def boundaries(ours, theirs, bound, term, images, labels) -> Tensor:
    """Heo et al. 2019, eq. 4, as their code writes it."""
    def error(source, target):
        return ((source + term.margin).pow(2) * ((source > -term.margin) & (target <= 0)).float()
                + (source - term.margin).pow(2) * ((source <= term.margin) & (target > 0)).float()).sum() / len(source)

    mine = [connector(ours[layer.student]) for layer, connector in zip(bound.layers, bound.connectors)]
    return sum(error(source, theirs[layer.teacher]) / 2 ** (len(mine) - 1 - i)
               for i, (source, layer) in enumerate(zip(mine, bound.layers)))


def information(ours, theirs, bound, term, images, labels) -> Tensor:
    """Ahn et al. 2018, eq. 4."""
    total = 0
    for layer, connector in zip(bound.layers, bound.connectors):
        target, (mean, scale) = theirs[layer.teacher], connector(ours[layer.student])
        scale = scale[None, :, None, None]
        total = total + ((mean - target).pow(2) / (2 * scale.pow(2)) + torch.log(scale)).mean()
    return total


def full_jacobian(ours, theirs, bound, term, images, labels) -> Tensor:
    """Ehmann & Samek 2018, eq. 3."""
    return (_jacobian(theirs["logits"], images, graph=False)
            - _jacobian(ours["logits"], images, graph=True)).pow(2).mean()


def _jacobian(logits: Tensor, images: Tensor, graph: bool) -> Tensor:
    return torch.stack([torch.autograd.grad(logits[:, label].sum(), images, create_graph=graph, retain_graph=True)[0]
                        for label in range(logits.shape[1])], 1)


def summed_jacobian(ours, theirs, bound, term, images, labels) -> Tensor:
    """Ehmann & Samek 2018, eq. 4, with one call a class."""
    return (_jacobian(theirs["logits"], images, graph=False).sum(1)
            - _jacobian(ours["logits"], images, graph=True).sum(1)).pow(2).mean()


def labelled_class(ours, theirs, bound, term, images, labels) -> Tensor:
    """Srinivas & Fleuret 2018, Prop. 1."""
    return _matched(*(values["logits"].gather(1, labels[:, None]).sum() for values in (ours, theirs)),
                    images).flatten(1).sum(1).mean()


def cost_gradient(ours, theirs, bound, term, images, labels) -> Tensor:
    """Ehmann & Samek 2018, eq. 2."""
    return _matched(*(functional.cross_entropy(values["logits"], labels, reduction="sum")
                      for values in (ours, theirs)), images).mean()


def _matched(mine: Tensor, wanted: Tensor, images: Tensor) -> Tensor:
    return (torch.autograd.grad(wanted, images)[0]
            - torch.autograd.grad(mine, images, create_graph=True)[0]).pow(2)


def attention_jacobian(ours, theirs, bound, term, images, labels) -> Tensor:
    """Srinivas & Fleuret 2018, eq. 10."""
    total = 0
    for layer in bound.layers:
        window = max(1, round(layer.size[0] / 5))
        pooled = [functional.avg_pool2d(features.pow(2).sum(1, keepdim=True), window, 1).flatten(1)
                  for features in (ours[layer.student], theirs[layer.teacher])]
        place = pooled[1].argmax(1, keepdim=True)
        mine, = torch.autograd.grad(pooled[0].gather(1, place).sum(), images, create_graph=True)
        wanted, = torch.autograd.grad(pooled[1].gather(1, place).sum(), images, retain_graph=True)
        total = total + (functional.normalize(wanted.flatten(1))
                         - functional.normalize(mine.flatten(1))).pow(2).sum(1).mean()
    return total


LOSSES: dict[str, Loss] = {
    "cross_entropy": cross_entropy, "soft_targets": soft_targets, "attention_maps": attention, "flow_matrices": flow,
    "activation_boundary": boundaries, "map_information": information, "full_jacobian": full_jacobian,
    "summed_jacobian": summed_jacobian, "jacobian_match": labelled_class, "cost_gradient": cost_gradient,
    "attention_jacobian": attention_jacobian}
"""By a term's kind."""
