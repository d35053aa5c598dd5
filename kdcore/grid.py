"""Grids: a run's fields by path, such as data.per_class, varied, and the differences of runs in words. No torch.

method.KEY is the weight of the term KEY in whatever stages have one, method.KEY.SETTING one of its settings,
method.stages.NAME.share the share of the steps of a stage (and so on), method.members the networks of an ensemble.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import product
from typing import Any

from kdcore.errors import UserError, meant

_SPOKEN_FOR = {"name": "each run gets one", "seed": "use seeds", "method": "use methods",
               "member": "an ensemble has them all", "device": "it trains the same on each",
               **dict.fromkeys(("teacher", "data", "network", "optimiser"), "vary one of its fields")}
_INSTEAD = {"images": "per_class", "per_class": "images"}  # one of both is given
_OF_METHOD = ("members", "start", "shared_stages")  # fields of a method, and no terms
_UNTOLD = {"name", "title", "sentence", "paper", "equations", "rows", "ablation"}  # of a method: words, not training


def cells(vary: dict[str, Iterable]) -> list[dict[str, Any]]:
    """Every combination of the varied fields' values, {path: value} each; one without any where nothing is varied."""
    return [dict(zip(vary, values)) for values in product(*vary.values())]


def changed(run: dict, cell: dict[str, Any]) -> dict:
    """The run with the cell's values in place. Raises UserError for a path that is no field of a run."""
    run = copy.deepcopy(run)
    if {"data.images", "data.per_class"} <= set(cell):
        raise UserError("'data.images' and 'data.per_class' both say how many images there are; vary one of them.")
    for path, value in cell.items():
        if path in _SPOKEN_FOR:
            raise UserError(f"{path!r} cannot be varied as a whole: {_SPOKEN_FOR[path]}.")
        *inside, last = path.split(".")
        place = _inside(run, inside)
        if inside[:1] == ["method"]:
            continue  # of each method, what it has of it: `with_settings`
        if not isinstance(place, dict) or last not in place:
            known = [name for name, _ in fields(run) if not name.startswith("method.")]
            raise UserError(f"{path!r} is not a field of this run{meant(path, known)}.")
        place[last] = value
        if last in _INSTEAD:
            place[_INSTEAD[last]] = None
    return run


def with_settings(method: dict, cell: dict[str, Any]) -> dict:
    """A method with those of the cell's weights and settings that it has. Raises UserError for an unknown setting.

    Where stages take other shares of the steps, the other stages share the rest as they did before.
    """
    method, shared = copy.deepcopy(method), []
    for path, value in cell.items():
        for place, name in _places(method, path):
            if name not in place:
                raise UserError(f"{path!r} cannot be varied: {place.get('kind', 'this method')} has no setting "
                                f"{name!r}{meant(name, place)}.")
            if "objective" in place and name == "share":
                shared.append(place)
            if "term" in place and name in ("weight", "share"):
                place |= {"weight": None, "share": None, "final": place["final"] if name == "weight" else None}
            place[name] = value
    _share_the_rest(method["stages"], shared)
    return method


def _share_the_rest(stages: list[dict], shared: list[dict]) -> None:
    """Let the stages that were not given a share have what the others leave. Raises UserError where that is nothing."""
    others = [stage for stage in stages if not any(stage is one for one in shared)]
    if not shared or not all(isinstance(one["share"], (int, float)) for one in shared):
        return
    rest = 1 - sum(one["share"] for one in shared)
    if rest <= 0 and others or abs(rest) > 1e-3 and not others:
        raise UserError(f"The shares of stages that are varied make {1 - rest:g} together, and 1 is all of the steps; "
                        + ("leave some for the other stages." if others else "let one stage have what is left."))
    before = sum(stage["share"] for stage in others)
    for stage in others:
        stage["share"] *= rest / before


def of_method(cell: dict[str, Any], method: dict) -> dict[str, Any]:
    """What of a cell says something about a method: all but the weights and settings that it does not have."""
    return {path: value for path, value in cell.items() if not path.startswith("method.") or _places(method, path)}


def unknown(vary: Iterable[str], methods: list[dict]) -> str | None:
    """The first path of a weight or setting that none of the methods has."""
    return next((path for path in vary if path.startswith("method.")
                 and not any(_places(method, path) for method in methods)), None)


def _places(method: dict, path: str) -> list[tuple[dict, str]]:
    """Where a path leads to in a method: (what holds the field, the field's name), once for each stage that has it."""
    of_method, _, inside = path.partition(".")
    key, *rest = inside.split(".")
    if of_method != "method":
        return []
    if not rest and key in _OF_METHOD:
        return [(method, key)] if key != "members" or method["members"] > 1 else []  # one network is no ensemble
    if key == "stages":
        stages = [stage for stage in method["stages"] if rest[:1] == [stage["name"]] and rest[1:]]
        return [(inner, rest[-1]) for stage in stages if isinstance(inner := _inside(stage, rest[1:-1]), dict)]
    name = ".".join(rest) or "weight"
    terms = [stage["objective"][key] for stage in method["stages"] if key in stage["objective"]]
    return [(weighted if name in ("weight", "share", "final") else weighted["term"], name) for weighted in terms]


def _inside(place: Any, path: list[str]) -> Any:
    for part in path:
        place = place.get(part) if isinstance(place, dict) else None
    return place


def words(cell: dict[str, Any]) -> str:
    """A cell as one reads it: "per class 5, teacher's width 0.5"."""
    return ", ".join(_words(path, value) for path, value in cell.items())


def differences(configs: list[str]) -> list[dict[str, Any]]:
    """How runs (as JSON) differ, beside seed and method: for each, {path: value} of the fields that are not alike.

    Of runs with the same method's name, weights and settings that differ count too.
    """
    return [dict(one) for one in _differences(tuple(configs))]


def unlike(configs: list[str]) -> list[dict[str, Any]]:
    """As `differences`, but what methods have in their losses is told of different methods too: of each, its own.

    To have none of something, such as dropout, and not to have it are alike; where others have some of it, none of it
    is told as well, such as a margin of 0.
    """
    flat = [{path: value for path, value in _flat(config).items() if value is not None or not path.startswith("method.")
             } for config in configs]
    some = [{path: value for path, value in one.items() if value or not path.startswith("method.")} for one in flat]
    paths = [path for path in _unlike(some) if path != "method.optimiser" and not path.endswith(".kind")]
    return [{path: one[path] for path in paths if path in one} for one in flat]


@lru_cache(maxsize=16)  # pages ask twice a second, for every browser
def _differences(configs: tuple[str, ...]) -> list[dict[str, Any]]:
    flat = [_flat(config) for config in configs]
    unlike = [path for path in _unlike(flat) if not path.startswith("method.")]
    told = [{path: one.get(path) for path in unlike} for one in flat]
    for name in {one["method.title"] for one in flat}:
        same = [number for number, one in enumerate(flat) if one["method.title"] == name]
        for path in _unlike([flat[number] for number in same]):
            for number in same:
                told[number].setdefault(path, flat[number].get(path))
    return told


def _unlike(flat: list[dict]) -> list[str]:
    paths = dict.fromkeys(path for one in flat for path in one)
    return [path for path in paths if len({json.dumps(one.get(path)) for one in flat}) > 1 and path != "method.title"]


@lru_cache(maxsize=32768)
def _flat(config: str) -> dict[str, Any]:
    run = json.loads(config)
    untold = {"name", "seed", "member", "device", "evaluations", "teacher.name", "teacher.device",
              "teacher.evaluations"}
    flat = {path: value for path, value in fields(run)
            if path not in untold and not path.startswith(("method.", "teacher.method."))}
    return {**flat, **dict(settings_of(run["method"])), "method.title": run["method"]["title"]}


def fields(value: dict, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every field of nested data with its path."""
    for name, inner in value.items():
        if isinstance(inner, dict):
            yield from fields(inner, f"{path}{name}.")
        else:
            yield f"{path}{name}", inner


def settings_of(method: dict) -> Iterator[tuple[str, Any]]:
    """Every weight and setting of a method, with its path."""
    for name, value in method.items():
        if name not in _UNTOLD and name != "stages":
            yield from fields({name: value}, "method.")
    for stage in method["stages"]:
        for key, weighted in stage["objective"].items():
            for name, value in {**weighted, **weighted["term"]}.items():
                if name != "term":
                    yield f"method.{key}" + ("" if name == "weight" else f".{name}"), value
        yield from fields({name: value for name, value in stage.items() if name not in ("name", "objective")},
                          f"method.stages.{stage['name']}.")


def _words(path: str, value: Any) -> str:
    if path.endswith("network.name"):
        return told(value) + " teaches" * path.startswith("teacher")
    return f"{spelt(path)} {told(value)}"


def told(value: Any) -> str:
    """A value as one reads it."""
    if value is None:
        return "all"
    return f"{value:g}" if isinstance(value, float) else str(value).replace("_", " ")


def spelt(path: str) -> str:
    """A path as one reads it: "teacher's width", "weight of full jacobian"."""
    parts = path.split(".")
    place, last = parts[0], parts[-1].replace("_", " ")
    if place == "method" and len(parts) == 2 and parts[1] not in _OF_METHOD:
        return f"weight of {last}"
    if parts[:2] == ["method", "stages"]:
        return f"{last} of {parts[2].replace('_', ' ')}"
    return (f"teacher's {last}" if place == "teacher" else last).replace("name", parts[-2] if parts[1:] else "name")
