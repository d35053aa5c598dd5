"""What a run is: validated records that travel as JSON."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from itertools import accumulate
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from kdcore import models
from kdcore.data import DataConfig, selection, source
from kdcore.errors import UserError, meant
from kdcore.knowledge import TERMS, Pair, Side
from kdcore.methods import BASELINE, METHODS, by_name
from kdcore.models import ARCHITECTURES, NetworkConfig
from kdcore.objective import Method, Optimiser
from kdcore.randomness import stream

Model = TypeVar("Model", bound=BaseModel)


class RunConfig(BaseModel):
    """One training: of a student with its teacher, or of a network alone.

    `method` is a method's name, or a whole method as data; the run keeps it whole, so that a later change of the
    project's defaults does not change what the run was. A run without transfer may still name a teacher: its maps
    are then measured against the teacher's, and its images lie inside the teacher's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field("", max_length=120, description="What the run is called in lists.")
    data: DataConfig
    network: NetworkConfig = Field(description="The network that is trained.")
    teacher: RunConfig | None = Field(None, description="The run that made the teacher.")
    method: Method = Field(default=METHODS[BASELINE], description="What is handed over.")
    steps: int = Field(4000, ge=0, le=10_000_000, description="Training steps, each on one batch; 0 leaves the weights "
                       "that the network starts from as they are.")
    batch_size: int = Field(50, ge=1, le=100_000, description="Images a step.")
    optimiser: Optimiser = Optimiser()
    member: int | None = Field(None, ge=0, description="Which member of an ensemble this is, for a method that makes "
                               "one. Empty: the ensemble itself.")
    seed: int = Field(0, ge=0, lt=2**31, description="Decides the initial weights, the order of the images and, "
                      "unless the data say otherwise, which images are drawn.")
    evaluations: int = Field(60, ge=1, le=10_000, description="Measurements on the test images, evenly spaced.")
    patience: int | None = Field(None, ge=1, le=10_000, description="In the last stage, end after so many of the "
                                 "evenly spaced measurements in a row without a better accuracy on the validation "
                                 "images or, where none are held out, a smaller loss in training. Empty: all steps are "
                                 "made.")
    threads: int = Field(1, ge=1, le=256, description="CPU threads. Part of the run: sums depend on it in the last "
                         "digit.")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1 or mps.")
    precision: Literal["float32", "bfloat16"] = Field("float32", description="Numbers in which the network computes in "
        "training, and its teacher where that answers anew in each step. Weights, losses, measurements and stages that "
        "match derivatives with respect to the images are in float32 anyhow. bfloat16 is made for processors "
        "with matrix units, and slower elsewhere.")

    @field_validator("method", mode="before")
    @classmethod
    def _by_name(cls, method: Any) -> Any:
        return by_name(method)

    @model_validator(mode="after")
    def _suits(self) -> RunConfig:
        if self.teacher and self.teacher.teacher:
            raise ValueError("A teacher's own run must not have a teacher.")
        if self.teacher and self.teacher.members():
            raise ValueError("A teacher must be one network, and an ensemble has no weights of its own to learn from; "
                             "choose another method for the teacher.")
        side, images = self.side(), source(self.data)
        if len(side.classes) < len(images.classes):
            raise ValueError(f"The network has {len(side.classes)} outputs and {images.title} has "
                             f"{len(images.classes)} classes; an output for each is needed.")
        side.measure()  # the network suits the images
        if self.member is not None and not self.member < self.method.members > 1:
            raise ValueError(f"{self.method.title} has {self.method.members} member{'s' * (self.method.members > 1)}; "
                             f"there is no member {self.member}.")
        if reason := self.method.unsuited(self.pair()):
            raise ValueError(reason)
        if self.method.start == "published" and self.network.start:
            raise ValueError(f"{self.method.title} starts from published weights, and the network from others; let the "
                             "network start fresh, or leave the method out.")
        if self.patience and self.method.members > 1:
            raise ValueError("The students of an ensemble are averaged step by step, so that none can end early; leave "
                             "patience empty.")
        if self.batch_size == 1 and (reason := self._too_few()):
            raise ValueError(reason)
        for stage, start, end in zip(self.method.stages, (0, *self.ends()), self.ends()):
            if self.steps and start == end:
                raise ValueError(f"Of {self.steps} steps, the stage {stage.name!r} gets none with a share of "
                                 f"{stage.share:.2g}; give the run more steps.")
        return self

    def _too_few(self) -> str:
        """Why nothing can be learnt from one image a step, in a sentence; empty where all can."""
        images, pair = source(self.data), self.pair()
        terms = [weighted.term for stage in self.method.stages for weighted in stage.objective.values()]
        unable = [] if models.learns_from_one(self.network, images.shape, len(images.classes)) else [
            ARCHITECTURES[self.network.name].title]
        unable += [f"The connector of {term.title}" for term in terms if not term.bind(pair).learns_from_one()]
        return (f"{unable[0]} cannot learn from one image a step: its batch normalisation needs several; choose a "
                "larger batch, more images, or a larger size.") if unable and self.steps else ""

    def ends(self) -> list[int]:
        """The step at which each stage of the method ends."""
        shares = accumulate(stage.share for stage in self.method.stages[:-1])
        return [*(round(share * self.steps) for share in shares), self.steps]

    def pair(self) -> Pair:
        """The facts that decide which methods suit this run."""
        return Pair(self.side(), self.teacher.side() if self.teacher else None)

    def side(self) -> Side:
        """What the run's network looks at, tells apart and shows inside."""
        images = source(self.data)
        outputs = self.network.classes or len(images.classes)
        classes = images.classes if outputs == len(images.classes) else tuple(f"output {i}" for i in range(outputs))
        layers = self.network.model_copy(update={"start": None, "initial": None})
        return Side(images.shape, classes, partial(models.shapes, self.network, images.shape, outputs), layers,
                    self.network.has_published_weights())

    def members(self) -> list[RunConfig]:
        """The students of an ensemble; none for a run that is a student itself."""
        if self.method.members == 1 or self.member is not None:
            return []
        return [self._member(i, self._name()) for i in range(self.method.members)]

    def _member(self, number: int, ensemble: str) -> RunConfig:
        return self.model_copy(update={"member": number, "name": f"{ensemble[:100]} · member {number + 1}"})

    def parts(self) -> list[RunConfig]:
        """The runs that this one is made of: an ensemble's students, or the student whose first stages it shares."""
        if self.member and self.shared_end():
            return [self._member(0, f"{self.method.title} · seed {self.seed}")]
        return self.members()

    def shared_end(self) -> int:
        """The step up to which the students of an ensemble are one; 0 where they never are."""
        shared = self.method.shared_stages
        return self.ends()[shared - 1] if shared else 0

    def seed_of(self, stage: int) -> int:
        """The seed of all randomness in a stage: the members of an ensemble differ after the stages they share."""
        return self.seed if self.member is None or stage < self.method.shared_stages else stream(self.seed, 7,
                                                                                                self.member)

    def obstacle(self) -> str:
        """Why this machine cannot train the run now, in a sentence: no weights that fit, too few images, no dropout.

        Empty where it can. Of its teacher, `teacher.obstacle()` says so.
        """
        try:
            architecture, begun = ARCHITECTURES[self.network.name], self.network.start
            if begun:
                begun.check()
            if architecture.own or (begun and begun.kind != "published"):
                side = self.side()
                droppable = models.tried(self.network, self._outside()[1], side.images, len(side.classes))
                if not droppable and any(stage.dropout for stage in self.method.stages):
                    return (f"{architecture.title} has no place for the method's dropout; give it an nn.Dropout(0.0) "
                            "before its last layer, or set the stage's dropout to 0.")
            return self._too_few() if len(selection(self).train) == 1 else ""
        except UserError as error:
            return str(error)

    def planned(self) -> dict:
        """The run as plain data for the store: {"config", "hash", "obstacle", "side" (the most pixels of an image's),
        "published" (whether the method is a paper's), "teacher", "parts"}.

        The last two are planned too.
        """
        teacher = self.teacher and self.teacher.model_copy(update={"name": self.teacher.name or self._teachers_name()})
        return {"config": {**self.model_dump(mode="json"), "name": self._name()}, "hash": self.hash(),
                "obstacle": self.obstacle(), "side": max(*source(self.data).shape[1:], self.network.resize or 0),
                "published": self.method == METHODS.get(self.method.name),
                "teacher": teacher.planned() if teacher else None, "parts": [part.planned() for part in self.parts()]}

    def _name(self) -> str:
        return self.name or f"{self.method.title} · seed {self.seed}"

    def _teachers_name(self) -> str:
        return f"Teacher {ARCHITECTURES[self.teacher.network.name].title} · seed {self.teacher.seed}"

    def hash(self) -> str:
        """16 hexadecimal digits that two runs share when they train the same: names, device and order of terms do
        not count.

        The content of a user's own images and weights does.
        """
        content = self.model_dump(mode="json", exclude=_LABELS | {"teacher": _LABELS})
        for run in filter(None, (content, content["teacher"])):
            for part, later in ((run, _LATER), (run["data"], _LATER_OF_DATA)):
                for name, default in later.items():
                    if part[name] == default:
                        del part[name]
        if any(outside := self._outside()):
            content["outside"] = outside
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def _outside(self) -> list[str]:
        """What the run depends on beside its configuration, and its teacher's."""
        start = self.network.start.fingerprint() if self.network.start else ""
        return [source(self.data).fingerprint, start, *(self.teacher._outside() if self.teacher else [])]


# Fields that were added later, with what runs did before: these keep their hash.
_LATER, _LATER_OF_DATA = {"patience": None, "precision": "float32"}, {"labelled_share": 0.0}
_LABELS = {"name": True, "device": True, "method": {
    **dict.fromkeys(("name", "title", "sentence", "paper", "equations", "rows", "optimiser", "ablation"), True),
    "stages": {"__all__": {"name"}}}}


def read(content: RunConfig | dict | str | bytes) -> RunConfig:
    """Return the run that JSON, or data read from JSON, describes. Raises UserError with a sentence for each fault."""
    return parse(RunConfig, content)


def parse(model: type[Model], content: Any) -> Model:
    """Return `content`, JSON or data read from it, as the model. Raises UserError with a sentence for each fault."""
    if isinstance(content, model):
        return content
    try:
        if isinstance(content, (str, bytes)):
            content = json.loads(content)
        return model.model_validate(content)
    except UnicodeDecodeError as error:
        raise UserError("This is not text: a configuration is JSON in UTF-8.") from error
    except RecursionError as error:
        raise UserError("This is nested too deeply to be a configuration.") from error
    except json.JSONDecodeError as error:
        raise UserError(f"This is not JSON: {error.msg} in line {error.lineno}, column {error.colno}.") from error
    except ValidationError as error:
        faults = error.errors()
        innermost = [fault for fault in faults if not any(_holds(fault, other) for other in faults)]
        sentences = " ".join(dict.fromkeys(_sentence(model, fault) for fault in innermost))
        raise UserError(" ".join(sentences.split())) from error  # names may hold line breaks


_LIMITS = {"greater_than_equal": "at least", "greater_than": "more than", "less_than_equal": "at most",
           "less_than": "less than"}


def _holds(fault: dict, other: dict) -> bool:
    return len(fault["loc"]) < len(other["loc"]) and other["loc"][: len(fault["loc"])] == fault["loc"]


def _sentence(model: type[BaseModel], fault: dict) -> str:
    where = ".".join(str(part) for part in fault["loc"]) or "The configuration"
    context = fault.get("ctx", {})
    match fault["type"]:
        case "extra_forbidden":
            *inside, name = fault["loc"]
            known = _fields(model, tuple(inside))
            others = f"; it has {', '.join(known)}" if inside[-2:-1] == ["term"] else ""
            return f"{where!r} is not a field{meant(name, known) or others}."
        case "missing":
            return f"{where!r} is missing."
        case "value_error":
            return str(context["error"])
        case "union_tag_invalid":
            known = context["expected_tags"].replace("'", "").split(", ")
            return f"{where}: there is no kind {context['tag']!r}{meant(context['tag'], known)}; choose one of " \
                   f"{', '.join(known)}."
        case "union_tag_not_found":
            return f"{where} must say which kind it is, as in {{\"kind\": \"soft_targets\"}}."
        case "too_short":
            return f"{where} must not be empty."
        case "too_long":
            return f"{where} may have {context['max_length']} entries at most."
        case "greater_than_equal" | "greater_than" | "less_than_equal" | "less_than" as kind:
            (_, limit), = context.items()
            return f"{where} must be {_LIMITS[kind]} {limit:,.12g}, and not {_shown(fault)}."
        case "model_type" | "dict_type" | "model_attributes_type":
            return f"{where} must be an object with named fields, not {_shown(fault)}."
    return f"{where} = {_shown(fault)} is not possible: {fault['msg'].lower()}."


def _shown(fault: dict) -> str:
    return json.dumps(fault["input"], default=str)[:80]


def _fields(model: type[BaseModel], path: tuple) -> list[str]:
    if path[-2:-1] == ("term",):
        return list(TERMS[path[-1]].model_fields)
    for part in path:
        if part not in getattr(model, "model_fields", {}):
            return []
        inner = model.model_fields[part].annotation
        model = next((kind for kind in (inner, *getattr(inner, "__args__", ())) if hasattr(kind, "model_fields")), None)
        if model is None:
            return []
    return list(model.model_fields)

