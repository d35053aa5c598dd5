"""Reading intermediate values: `network.taps` says which value in the network each tap is.

A value is named by its path: a module's ("layer1.0.relu1"), or an operation's in the module that does it
("layer1.0.add"). Where a path comes again in one forward pass, the later values are "relu_1", "relu_2". The network's
own output is "". torch.fx traces the network to find them; where it cannot (control flow that depends on the data),
forward hooks on the modules serve, and operations have no names.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from functools import lru_cache

from torch import Tensor, fx, nn

from kdcore.errors import UserError

Values = dict[str, Tensor]


class Tapped(nn.Module):
    """Answers with the values at the named taps of `network`, whose weights and mode it shares."""

    def __init__(self, network: nn.Module, names: tuple[str, ...]):
        super().__init__()
        if not hasattr(network, "taps"):
            raise UserError(f"{type(network).__name__} has no named layers, and {', '.join(names)} of it are asked "
                            "for; name them with kdcore.models.register, or as a dict in its attribute taps.")
        if unknown := [name for name in names if name not in network.taps]:
            raise UserError(f"The network has no tap {unknown[0]!r}{_meant(unknown[0], network.taps)}.")
        self.network, self.names = network, names
        self.readers: dict[bool, Callable[[nn.Module, Tensor], Values]] = {}

    def forward(self, images: Tensor) -> Values:
        return self.reader()(self.network, images)

    def reader(self) -> Callable[[nn.Module, Tensor], Values]:
        """What finds the values, given the network, in its present mode, and images."""
        training = self.network.training
        if training not in self.readers:  # a mode may have a graph of its own
            self.readers[training] = _reader(self.network, {name: self.network.taps[name] for name in self.names})
        return self.readers[training]


tapped = lru_cache(maxsize=8)(Tapped)


def _reader(network: nn.Module, taps: dict[str, str]) -> Callable[[nn.Module, Tensor], Values]:
    tracer = _Paths()
    try:
        graph = tracer.trace(network)
    except Exception:  # tracing runs foreign code on stand-ins for tensors: it fails in as many ways as there is code
        return _hooked(network, taps)
    output = next(node for node in graph.nodes if node.op == "output")
    values = {**tracer.values, "": output.args[0]}
    for tap, path in taps.items():
        if path not in values:
            raise _absent(path, values)
        if any(_overwrites(network, node) for node in getattr(values[path], "users", ())):
            raise _overwritten(tap)
    output.args = ({tap: values[path] for tap, path in taps.items()},)
    # The generated function is called with the network itself, so that nothing is held twice.
    return type(fx.GraphModule(network, graph)).forward


class _Paths(fx.Tracer):
    """A tracer that keeps the value of each module and operation by its path."""

    def __init__(self):
        super().__init__()
        self.values: dict[str, fx.Node] = {}
        self.inside = ""

    def call_module(self, module, forward, args, kwargs):
        outside, self.inside = self.inside, self.path_of_module(module)
        value = super().call_module(module, forward, args, kwargs)
        if isinstance(value, fx.Proxy):
            self.values[_free(self.inside, self.values)] = value.node
        self.inside = outside
        return value

    def create_proxy(self, kind, target, *args, **kwargs):
        proxy = super().create_proxy(kind, target, *args, **kwargs)
        if kind in ("call_function", "call_method"):
            path = f"{self.inside}.{getattr(target, '__name__', target)}".lstrip(".")
            self.values[_free(path, self.values)] = proxy.node
        return proxy


def _hooked(network: nn.Module, taps: dict[str, str]) -> Callable[[nn.Module, Tensor], Values]:
    modules = dict(network.named_modules())
    homes = {path: path if path in modules else re.sub(r"_\d+$", "", path) for path in taps.values()}
    for path, home in homes.items():
        if home not in modules:
            raise _absent(path, modules, "The network cannot be traced, so only modules have names. ")

    def read(network: nn.Module, images: Tensor) -> Values:
        found, versions, modules = {}, {}, dict(network.named_modules())

        def keep(home: str) -> Callable:
            def hook(module: nn.Module, inputs: tuple, value: Tensor) -> None:
                path = _free(home, found)
                found[path], versions[path] = value, getattr(value, "_version", None)
            return hook

        handles = [modules[home].register_forward_hook(keep(home)) for home in set(homes.values())]
        try:
            network(images)
        finally:
            for handle in handles:
                handle.remove()
        for tap, path in taps.items():
            if path not in found:
                raise UserError(f"The tap {tap!r} is the module {path!r}, which this image did not pass.")
            if getattr(found[path], "_version", None) != versions[path]:
                raise _overwritten(tap)
        return {tap: found[path] for tap, path in taps.items()}

    return read


def _overwrites(network: nn.Module, node: fx.Node) -> bool:
    """Whether what a node does changes the value that it is given."""
    if node.op == "call_module":
        return bool(getattr(network.get_submodule(node.target), "inplace", False))
    name = getattr(node.target, "__name__", str(node.target))
    return bool(node.kwargs.get("inplace")) or re.fullmatch(r"[a-z]\w*[a-z]_|i(add|sub|mul|truediv)", name) is not None


def _overwritten(tap: str) -> UserError:
    return UserError(f"The value at the tap {tap!r} is overwritten in place by what comes after it, so that it cannot "
                     "be read; let that work on a copy (inplace=False, relu instead of relu_).")


def _free(path: str, taken: dict) -> str:
    number, free = 0, path
    while free in taken:
        number += 1
        free = f"{path}_{number}"
    return free


def _absent(path: str, known: dict, why: str = "") -> UserError:
    return UserError(f"{why}The network has no value {path!r}{_meant(path, known)}.")


def _meant(word: str, known: dict) -> str:
    names = [name for name in known if name]
    close = difflib.get_close_matches(word, names, n=3)
    return f" (did you mean {' or '.join(map(repr, close))}?)" if close else \
        f"; it has {', '.join(names[:40])}" + (", …" if len(names) > 40 else "")
