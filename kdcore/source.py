"""The code that computes a term, read from its source, to be shown beside its formula."""

from __future__ import annotations

import dis
import inspect
from collections.abc import Callable, Iterator
from textwrap import dedent
from types import CodeType

from torch import nn

from kdcore.knowledge.layers import GroupTerm, LayerTerm
from kdcore.knowledge.term import Bound, Term

_ROOMS = ("kdcore.knowledge.", "kdcore.derivatives")
_FRAME = {Bound, *(part for cls in (Term, LayerTerm, GroupTerm) for part in vars(cls).values()
                   if inspect.isfunction(part))} - {LayerTerm.teach, LayerTerm.offered}  # followed and not shown
_MADE_OF = ("teach", "bind", "connector", "distance")
_ALSO_DATA = {"layers"}  # of what is settled for a pair, and so not the method of that name


def source(cls: type[Term]) -> str:
    """The term's own functions, and those of this package that they call: what the teacher hands over, then the loss.

    Between them stands what is settled once for a pair of networks, such as connectors, with the modules they are.
    """
    found: dict[Callable, None] = {}
    for name in _MADE_OF:
        _follow(getattr(cls, name, None), cls, found)
    return "\n\n".join(dedent(inspect.getsource(part)).strip() for part in found if part not in _FRAME)


def _follow(part: object, cls: type[Term], found: dict[Callable, None]) -> None:
    module = inspect.isclass(part) and issubclass(part, nn.Module)
    if not (module or inspect.isfunction(part)) or part in found or not part.__module__.startswith(_ROOMS):
        return
    found[part] = None
    for called, name in () if module else _names(part.__code__):
        own = None if called else getattr(cls, name, None)
        _follow(own or part.__globals__.get(name), cls, found)


def _names(code: CodeType) -> Iterator[tuple[bool, str]]:
    """What a function reads, in order, inner functions last: whether by its bare name, and the name."""
    for step in dis.get_instructions(code):
        if step.opname.startswith("LOAD_") and isinstance(step.argval, str) and step.argval not in _ALSO_DATA:
            yield step.opname == "LOAD_GLOBAL", step.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
