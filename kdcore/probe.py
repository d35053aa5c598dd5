"""The method × knowledge record: what a student knows of its teacher, whatever it is trained on."""

from __future__ import annotations

import torch
from torch import nn

from kdcore.data import Images, ImageSet
from kdcore.knowledge import TERMS, Pair
from kdcore.knowledge.layers import LayerTerm
from kdcore.response import Response
from kdcore.teaching import answers, union

IMAGES = 64
CLASS_MAPS = 640  # with many classes fewer images: the maps of all classes cost the most
LEAST = 8
FITTED = 128


def parts(images: ImageSet, classes: int) -> tuple[Images, Images]:
    """A fixed random choice of images to measure on, and further ones to fit maps on: the same, where there are few."""
    count = max(LEAST, min(IMAGES, CLASS_MAPS // classes))
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0)).to(images.index_device)
    measured, further = images[order[:count]], images[order[count : count + FITTED]]
    return measured, further if len(further) >= count else measured


class Probe:
    """Measures every kind of knowledge on fixed images of the test part, whatever a run trains on.

    They are a fixed random choice, for image files come class by class.

    Where teacher's and student's layers differ in width, a linear map stands in for a connector: the least-squares one
    on further images (the same ones, where a set has too few), found anew at each measurement. Its numbers are marked.
    """

    def __init__(self, teacher: nn.Module | None, student: nn.Module, images: ImageSet, pair: Pair):
        self.student, self.teacher = student, teacher
        self.images, self.others = parts(images, len(pair.student.classes))
        terms = [cls() for cls in TERMS.values()] if teacher is not None else []
        if not hasattr(teacher, "taps"):  # a module of one's own, handed over as it is
            terms = [term for term in terms if not isinstance(term, LayerTerm)]
        self.asked = {term.kind: (term, term.bind(pair).to(self.images.pixels)) for term in terms
                      if term.recorded and not term.unsuited(pair)}
        if self.asked:
            self.taught = answers(self.asked, teacher, self.images)
            self.teaching = self._respond(teacher, self.others, "teacher_taps", differentiable=False)

    @torch.no_grad()
    def distances(self) -> dict[str, float]:
        """"knowledge.KIND" and "agreement.GROUP", in evaluation mode, as means over the images."""
        values = {}
        if not self.asked:
            return values
        student = self._respond(self.student, self.images, "student_taps")
        learning = self._respond(self.student, self.others, "student_taps", differentiable=False)
        for kind, (term, bound) in self.asked.items():
            fitted = isinstance(term, LayerTerm) and not all(isinstance(m, nn.Identity) for m in bound.connectors)
            settled = term.fitted(learning, self.teaching, bound) if fitted else bound
            for name, value in term.record(student, self.taught[kind], settled).items():
                values[f"{name}.fitted" if fitted else name] = float(value.mean())
        return values

    def _respond(self, network: nn.Module, images: Images, side: str, differentiable: bool = True) -> Response:
        return Response(network, images.pixels, images.labels, differentiable=differentiable,
                        taps=union(getattr(bound, side) for _, bound in self.asked.values()))
