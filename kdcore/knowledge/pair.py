"""A teacher and a student side by side: whether knowledge can pass between them, and through which taps."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Literal, NamedTuple

Shape = tuple[int, ...]
Groups = Literal["all", "first", "middle", "last"] | tuple[tuple[str, str], ...]
GROUP = re.compile(r"group(\d+)")
ROLES = re.compile(r"group\d+\.\w+|embedding|logits")


class Unsuited(ValueError):
    """Why a pair does not suit a term, as the end of a sentence."""


@dataclass(frozen=True)
class Side:
    """What one network looks at, tells apart, and shows inside.

    `images` (channels, H, W); `classes` their names; `measure` answers with the shape of every tap without its batch,
    and is asked only where a term reads taps. Networks with equal `network` have the same layers; `published` says
    whether there are published weights for it.
    """

    images: Shape
    classes: tuple[str, ...]
    measure: Callable[[], dict[str, Shape]] = dict
    network: Hashable = None
    published: bool = False

    def tap(self, name: str, who: str) -> Shape:
        """The shape of a tap. Raises Unsuited, with the taps that there are."""
        taps = self.measure()
        if name not in taps:
            raise Unsuited(f"the {who} has no tap {name!r}; it has {', '.join(sorted(taps))}")
        return taps[name]

    def groups(self, role: str) -> dict[str, Shape]:
        """The groups that have this role, in order: {tap: shape}."""
        taps = self.measure()
        numbers = sorted(int(found[1]) for found in map(GROUP.fullmatch, taps) if found)
        names = [f"group{number}{role}" for number in numbers]
        return {name: taps[name] for name in names if name in taps}


class Layer(NamedTuple):
    """A tap of the teacher and the tap of the student that learns from it, with their shapes (channels, *size)."""

    teacher: str
    student: str
    teacher_shape: Shape
    student_shape: Shape

    @property
    def size(self) -> Shape:
        """The spatial size at which the two are compared: the smaller one; () for vectors."""
        return tuple(map(min, self.teacher_shape[1:], self.student_shape[1:]))


@dataclass(frozen=True)
class Pair:
    """A teacher (None: there is none) and a student."""

    student: Side
    teacher: Side | None = None

    def apart(self) -> str | None:
        """Why the two networks cannot look at the same images, as the end of a sentence; None where they can."""
        if self.teacher is None:
            return "it needs a teacher, and this run has none; choose one"
        if self.teacher.images != self.student.images:
            return (f"the teacher looks at images of {_size(self.teacher.images)} and the student at "
                    f"{_size(self.student.images)}; choose a teacher trained on the student's images")
        return None

    def differs(self) -> str | None:
        """Why outputs of the two networks cannot be compared, class by class, or None where they can."""
        if self.teacher is not None and self.teacher.classes != self.student.classes:
            ours, theirs = len(self.student.classes), len(self.teacher.classes)
            told = (f"the teacher tells {theirs} classes apart and the student {ours}" if ours != theirs
                    else f"the teacher's {theirs} classes are not the student's")
            return f"{told}; choose a teacher trained on the student's classes"
        return self.apart()

    def layers(self, groups: Groups = "all", role: str = "") -> tuple[Layer, ...]:
        """The taps that are matched, teacher's with student's.

        By default groups are paired in order where both networks have as many; else by spatial size, the last of each
        size; where no size is common, and in fully connected networks, from the top. `role` is the part of a group:
        "" its end, ".pre", ".first", ".pooled". Taps that are named are taken as they are, a group's with its role.
        Raises Unsuited where the networks have nothing to match, or a tap that is named has another role.
        """
        if reason := self.apart():
            raise Unsuited(reason)
        if isinstance(groups, tuple):
            names = [tuple(tap + role if GROUP.fullmatch(tap) else tap for tap in couple) for couple in groups]
            depth = list(self.student.measure())
            names.sort(key=lambda couple: depth.index(couple[1]) if couple[1] in depth else 0)
            others = [tap for couple in names for tap in couple if ROLES.fullmatch(tap) and not tap.endswith(role)]
            if others:
                raise Unsuited(f"{others[0]} is not what stands before an activation function; name a group, such as "
                               f"group1, whose {role[1:]} is then read")
        else:
            found = _automatic(self.teacher.groups(role), self.student.groups(role), role)
            names = {"all": found, "first": found[:1], "middle": found[(len(found) - 1) // 2 :][:1],
                     "last": found[-1:]}[groups]
        layers = tuple(Layer(theirs, ours, self.teacher.tap(theirs, "teacher"), self.student.tap(ours, "student"))
                       for theirs, ours in names)
        for layer in layers:
            if len(layer.teacher_shape) != len(layer.student_shape):
                raise Unsuited(f"{layer.teacher} is {_kind(layer.teacher_shape)} in the teacher and {layer.student} "
                               f"{_kind(layer.student_shape)} in the student; choose two networks of one kind")
        return layers

    def head(self) -> Layer:
        """The teacher's logits, whatever its classes, and the student's embedding as a vector. Raises Unsuited."""
        if reason := self.apart():
            raise Unsuited(reason)
        return Layer("logits", "embedding", self.teacher.tap("logits", "teacher"),
                     (math.prod(self.student.tap("embedding", "student")),))


def _automatic(teacher: dict[str, Shape], student: dict[str, Shape], role: str) -> list[tuple[str, str]]:
    for who, groups in (("teacher", teacher), ("student", student)):
        if not groups:
            raise Unsuited(f"the {who} has no layer with the tap group1{role}")
    if len(teacher) == len(student):
        return list(zip(teacher, student))
    last = [{shape[1:]: name for name, shape in groups.items() if len(shape) > 1} for groups in (teacher, student)]
    if common := [(name, last[1][size]) for size, name in last[0].items() if size in last[1]]:
        return common
    return list(zip(reversed(teacher), reversed(student)))[::-1]


def _kind(shape: Shape) -> str:
    return "a vector" if len(shape) == 1 else "a stack of maps"


def _size(shape: Shape) -> str:
    channels, height, width = shape
    return f"{height}×{width}" + (f"×{channels}" if channels > 1 else "")
