"""The catalogue: all that can be chosen, as plain data, so that the browser side builds its forms without torch."""

from __future__ import annotations

from kdcore import methods
from kdcore.config import RunConfig, parse
from kdcore.data import SOURCES, DataConfig, Source
from kdcore.data.decoded import by_reason
from kdcore.data.sources import FOLDER, FOLDER_NAME
from kdcore.inspect import ATTRIBUTIONS
from kdcore.knowledge import TERMS, Pair, Term, Unsuited
from kdcore.knowledge.layers import LayerTerm
from kdcore.knowledge.outputs import CrossEntropy
from kdcore.knowledge.sensitivity import SensitivityTerm
from kdcore.models import ARCHITECTURES, NetworkConfig
from kdcore.objective import Method, Optimiser, Stage, WeightedTerm
from kdcore.source import source as code_of


def catalogue() -> dict:
    """Methods, terms with their schemas, architectures, image sets and help sentences."""
    return {
        "methods": {name: {**method.model_dump(mode="json"), **_told(method)}
                    for name, method in methods.METHODS.items()},
        "optimisers": {title: optimiser.model_dump(mode="json") for title, optimiser in methods.OPTIMISERS.items()},
        "baseline": methods.BASELINE,
        "baselines": [methods.BASELINE, methods.ENSEMBLE_BASELINE],
        "headline": methods.HEADLINE,
        "terms": {kind: _term(cls) for kind, cls in TERMS.items()},
        "maps": {kind: {"title": cls.picture_title, "row_per_class": cls.row_per_class,
                        "number": "distance" if cls().zero_at_equality else "penalty"}
                 for kind, cls in _drawn().items()},
        "layers": {kind: cls.title for kind, cls in TERMS.items() if issubclass(cls, LayerTerm)},
        "attributions": {f"attribution.{name}": title for name, title in ATTRIBUTIONS.items()},
        "networks": {name: {"title": network.title, "sentence": network.sentence, "paper": network.paper,
                            "initial": network.initial, "smallest": network.smallest,
                            "published": network.published is not None}
                     for name, network in ARCHITECTURES.items()},
        "data": {name: image_set(source) for name, source in {**SOURCES, FOLDER_NAME: FOLDER}.items()},
        "schemas": {"run": _fields(RunConfig), "network": _fields(NetworkConfig), "optimiser": _fields(Optimiser),
                    "method": _fields(Method), "stage": _fields(Stage), "weighted": _fields(WeightedTerm),
                    "data": _fields(DataConfig)},
    }


def suitability(content: dict) -> dict:
    """What suits a pair, before anything is trained.

    `content` is a run as data, of which only data, network and teacher count. {"methods": {name: why it does not suit,
    in a sentence, or None}, "terms": {kind: the same}, "taps": {"teacher", "student": {tap: its shape}}, "layers":
    the groups that are matched by default, [[teacher's, student's], ...]}. Raises UserError where the run is not
    possible at all.
    """
    pair = parse(RunConfig, {key: content[key] for key in ("data", "network", "teacher") if key in content}).pair()
    return {"methods": {name: method.unsuited(pair) for name, method in methods.METHODS.items()},
            "terms": {kind: _sentence(cls(), pair) for kind, cls in TERMS.items()},
            "taps": {"teacher": pair.teacher.measure() if pair.teacher else {}, "student": pair.student.measure()},
            "layers": _layers(pair)}


def described(content: dict | str | bytes) -> dict:
    """A method, as data or JSON, checked: {"method" as data, "formula", and all else that the catalogue tells of one}.

    Raises UserError where it is not possible.
    """
    method = parse(Method, content)
    return {"method": method.model_dump(mode="json"), **_told(method)}


def _told(method: Method) -> dict:
    return {"formula": method.formula(), "needs_teacher": method.needs_teacher(), "suits": method.suits(),
            "schedule": method.schedule(), "settings": method.settings()}


def formula(term: dict) -> str:
    """The formula of a term, as data, with its settings. Raises UserError where these are not possible."""
    return parse(WeightedTerm, {"weight": 1, "term": term}).term.formula


def _sentence(term: Term, pair: Pair) -> str | None:
    reason = term.unsuited(pair)
    return f"{term.title} cannot be matched: {reason}." if reason else None


def _layers(pair: Pair) -> list[tuple[str, str]]:
    try:
        return [(layer.teacher, layer.student) for layer in pair.layers()]
    except Unsuited:
        return []


def image_set(source: Source) -> dict:
    """An image set as plain data.

    `fetched` says how it comes here: "here", "download", "by hand" or, a user's own, "own"; `sized` whether its images
    can be scaled, `marked` whether they can carry a watermark, `masked` whether it is known where the object is;
    `left_out` names the files that are not used, by why.
    """
    ways = (("own", source.of is FOLDER.of), ("download", source.fetch), ("by hand", source.origin), ("here", True))
    return {"title": source.title, "sentence": source.sentence, "shape": source.shape, "classes": source.classes,
            "train": source.train, "test": source.test, "bytes": source.bytes, "suggested": source.suggested,
            "fetched": next(way for way, holds in ways if holds),
            "sized": source.size is not None, "marked": source.marked, "masked": source.masked,
            "whence": source.whence() if source.origin else "",
            "left_out": by_reason(source.left_out)}


def _drawn() -> dict[str, type[SensitivityTerm]]:
    """Terms with a picture, those with one a class first."""
    drawn = {kind: cls for kind, cls in TERMS.items() if issubclass(cls, SensitivityTerm)}
    return dict(sorted(drawn.items(), key=lambda item: not item[1].row_per_class))


def _term(cls) -> dict:
    term = cls()
    return {"title": cls.title, "sentence": cls.sentence, "formula": term.formula, "paper": cls.paper,
            "equation": cls.equation, "source": code_of(cls), "needs_teacher": term.needs_teacher,
            "needs_labels": term.needs_labels, "zero_at_equality": term.zero_at_equality,
            "is_labels": cls is CrossEntropy, "weight": methods.WEIGHTS.get(term.kind, ""), "usual": _usual(term.kind),
            "fields": {name: field for name, field in _fields(cls).items() if name != "kind"}}


def _usual(kind: str) -> float:
    """The weight of a term in the first method that has it."""
    return next((weighted.weight for method in methods.METHODS.values() for stage in method.stages
                 for weighted in stage.objective.values() if weighted.term.kind == kind), 1.0)


def _fields(model) -> dict:
    schema = model.model_json_schema()
    schema = schema["$defs"][model.__name__] if "$ref" in schema else schema  # a model that holds itself
    return {name: {key: value for key, value in field.items() if key in _SHOWN}
            for name, field in schema["properties"].items()}


_SHOWN = ("title", "type", "anyOf", "enum", "default", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
          "description")
