"""Every method of the papers, as data: the only file that knows a method's name.

Weights are the papers' where they print them; where Ehmann & Samek print λ = 1e7 for a term made of cost gradients of
the batch *mean* at 50 images a batch, the same strength with this project's per-sample gradients is 1e7 / 50² = 4000.
Weights that no paper prints stand together below. Shares of stages are the papers' epochs or steps, scaled to any
budget.
"""

from typing import Any

from kdcore.errors import meant
from kdcore.knowledge import Term
from kdcore.knowledge.activation import ActivationBoundary, ActivationValues, Hint
from kdcore.knowledge.attention import AttentionJacobian, AttentionMaps
from kdcore.knowledge.flow import FlowMatrices
from kdcore.knowledge.heads import SecondHead
from kdcore.knowledge.information import MapInformation, VectorInformation
from kdcore.knowledge.jacobians import CrossEntropyJacobian, JacobianMatch, JacobianNorm, NoisyOutputs
from kdcore.knowledge.outputs import CrossEntropy, LogitError, SoftTargets
from kdcore.knowledge.regularisers import WeightDecay
from kdcore.knowledge.sensitivity import (
    CostGradient,
    DoubleBackpropagation,
    FullJacobian,
    SummedJacobian,
    TargetedDoubleBackpropagation,
)
from kdcore.objective import Method, Optimiser, Stage, WeightedTerm
from kdcore.papers import heo, yim

EHMANN_SAMEK = "Ehmann & Samek 2018"
HINTON = "Hinton et al. 2015"
AHN = "Ahn et al. 2018"
SRINIVAS_FLEURET = "Srinivas & Fleuret 2018"
HEO = "Heo et al. 2019"
YIM = "Yim et al. 2017"
PER_SAMPLE_1E7 = 4000.0

BASELINE = "labels_only"
ENSEMBLE_BASELINE = "labels_ensemble"
HEADLINE = "full_jacobian"
DEMO = ("soft_targets", HEADLINE)

# printed by no paper; benchmarks/weights.py looks for them on held-out images, WEIGHTS says how far that went
HINT, ATTENTION, ATTENTION_JACOBIAN, MAPS, VECTOR, FLOW = 1.0, 3.0, 3.0, 30.0, 1.0, 0.003
LOGITS, JACOBIAN, HINT_SUM, FLOW_SLOW, VALUES, VALUES_ROOTS = 0.03, 0.1, 0.1, 0.1, 0.001, 0.0003
BOUNDARY = 0.003  # the authors' code
CENTRED_HEAD = 10.0  # the authors' code
_FOUND = ("No paper prints one: of those tried, {:g} is among the best on held-out images of CIFAR-10, WRN-16-2 to "
          "WRN-10-1, SGD at 0.1, {}.")
WEIGHTS = {  # kind of term -> where its weight comes from
    **dict.fromkeys(("cost_gradient", "double_backpropagation", "targeted_double_backpropagation"),
                    "The paper's 1e7 is on gradients of the batch mean; on each image's own, at its 50 images a batch, "
                    "the same strength is 1e7 / 50² = 4000. On photographs 4 is better, where 4000 outweighs the cross "
                    "entropy (CIFAR-10, WRN-10-1, held-out images, two seeds)."),
    "full_jacobian": "The paper's.",
    "summed_jacobian": "The paper's. Where a teacher's sum of logits has drifted, 0.01 is better: on MNIST, the term "
                       "then starts at 1 % of the cross entropy, as in the paper.",
    "soft_targets": "0.9 beside 0.1 for the labels is usual; alone, the paper's. Falling from 4 to 1, Yim et al.'s, on "
                    "FitNet's cross entropy of softened outputs, which has no factor T²: with it the same strength is "
                    "4/T² to 1/T².",
    "weight_decay": "The paper's.",
    "jacobian_norm": "The paper's λ is on normalised images, whose pixels are 4 times as large and slopes a quarter: "
                     "on images from 0 to 1 the same strength is λ/16.",
    "activation_boundary": "The authors' code.",
    "activation_values": "No paper prints one. On held-out images of CIFAR-10, two networks of one width, two seeds, "
                         "0.001 did best for l_2 and 0.0003 for l_0.5, which learns little with 0.003; for l_1 both "
                         "0.001 and 0.003.",
    "second_head": "Centred, the authors' code. Plain, no paper prints one: that of the logit error on ten classes. It "
                   "is a sum over the teacher's: with ImageNet's 1000, a hundredth of it is as strong.",
    "jacobian_match": "No paper prints one: on held-out images 0.1 is as good as any for fully connected and wide "
                      "residual students; for VGG-4, two seeds, better than 0.01, and 0.3 better still by a point.",
    "flow_matrices": "No paper prints one. At Yim et al.'s learning rate of 1e-3, 0.1 did best on held-out images of "
                     "CIFAR-10, two seeds: with 1 the convolutions grow elevenfold, and hardly learn afterwards. At "
                     "0.1, 0.003 did best, two seeds.",
    "hint": _FOUND.format(HINT, "two seeds") + " With 3 it diverges. As a sum, 0.1: with 1, a wide residual student "
            "diverges at a learning rate of 1e-4.",
    "vector_information": _FOUND.format(VECTOR, "two seeds") + " From 0.1 to 10 they are level.",
    "logit_error": _FOUND.format(LOGITS, "two seeds"),
    **{kind: _FOUND.format(weight, "one seed") for kind, weight in (
        ("attention_maps", ATTENTION), ("attention_jacobian", ATTENTION_JACOBIAN),
        ("map_information", MAPS))},
    "noisy_outputs": "That of the logit error.",
    "cross_entropy_jacobian": "The equation has none.",
}

LABELS = {"cross_entropy": CrossEntropy()}
SOFT = {"soft_targets": (0.9, SoftTargets(temperature=4)), "cross_entropy": (0.1, CrossEntropy())}
SOFT_3 = {"soft_targets": SoftTargets(temperature=3)}
SECOND_HEAD = {**LABELS, "second_head": (LOGITS, SecondHead())}
CENTRED = {**LABELS, "second_head": (CENTRED_HEAD, SecondHead(form="centred"))}
POOLED = tuple((f"group{number}", f"group{number}.pooled") for number in (1, 2, 3, 4))
MAP_INFORMATION = {"map_information": (MAPS, MapInformation())}
VECTOR_INFORMATION = {"vector_information": (VECTOR, VectorInformation())}
# for whole runs, as the papers print them; a form offers them, and the baseline has the same
OPTIMISERS = {
    EHMANN_SAMEK: Optimiser(learning_rate=1e-4),
    f"{HEO}, CIFAR-10": Optimiser(**heo.WIDE),
    f"{HEO}, transfer": Optimiser(**heo.TRANSFER),
    YIM: Optimiser(**yim.SLOW),
    f"{YIM}, fast": Optimiser(**yim.QUICK),
    f"{YIM}, transfer": Optimiser(**yim.OF_BIRDS),
}
YIM_FAST = OPTIMISERS[f"{YIM}, fast"]
YIM_FLOW = YIM_FAST.model_copy(update={"learning_rate": 1e-3})
YIM_FLOW_LONG = YIM_FLOW.model_copy(update={"falls": (16 / 32, 24 / 32)})
YIM_HINT = Optimiser(kind="sgd", learning_rate=1e-4, weight_decay=1e-4, falls=(25 / 35,))


def _stage(terms: dict[str, Term | tuple], **settings) -> Stage:
    """A stage of terms with weight 1, (weight, term) or (weight, final weight, term)."""
    return Stage(objective={key: _weighted(*(value if isinstance(value, tuple) else (1.0, value)))
                            for key, value in terms.items()}, **settings)


def _weighted(weight: float, *rest) -> WeightedTerm:
    *final, term = rest
    return WeightedTerm(weight=weight, final=final[0] if final else None, term=term)


def _one(terms: dict[str, Term | tuple], **settings) -> tuple[Stage]:
    return (_stage(terms, **settings),)


def _first(name: str, share: float, first: dict, then: dict, optimiser: Optimiser | None = None,
           restarts: bool = False) -> tuple[Stage, Stage]:
    """First one objective, for a share of the steps, then another."""
    return (_stage(first, name=name, share=share, optimiser=optimiser),
            _stage(then, name="task", share=1 - share, restarts=restarts))


_BASELINE = (
    Method(
        name=BASELINE, title="Labels only", paper=EHMANN_SAMEK, equations="1",
        rows=("Ehmann & Samek Table 1: only labels", "Table 2: only labels", "Ahn et al. Table 1: Teacher",
              "Table 1, 2: Student", "Srinivas & Fleuret Table 1: Cross-Entropy training", "Table 2: λ = 0",
              "Table 3: untrained student",
              "Heo et al. Table 1, 2: Cross-Entropy", "Table 4, 5: randomly initialized",
              "Yim et al. Table 3, 4: Teacher-original", "Table 3, 4: Student-original",
              "Table 5: Teacher - training from scratch", "Table 5: Student - training from scratch"),
        sentence="Nothing is handed over: the baseline that every other method has to beat under the same budget.",
        stages=_one(LABELS)),
)
_EHMANN_SAMEK = (
    Method(
        name="cost_gradient", title="Cost gradient", paper=EHMANN_SAMEK, equations="2",
        rows=("Table 1: cost", "Table 2: cost", "Table 3: cost diff"),
        sentence="Where a change of the image would shift the teacher's cost for the label.",
        stages=_one({**LABELS, "cost_gradient": (PER_SAMPLE_1E7, CostGradient())})),
    Method(
        name=HEADLINE, title="Full Jacobian", paper=EHMANN_SAMEK, equations="3",
        rows=("Table 1: full Jacobian", "Table 2: full Jacobian"),
        sentence="The teacher's sensitivity map of every class.",
        stages=_one({**LABELS, "full_jacobian": (0.1, FullJacobian())})),
    Method(
        name="projected_jacobian", title="Full Jacobian, one projection", paper=EHMANN_SAMEK, equations="3",
        sentence="One random mixture of the teacher's class maps a step: the full Jacobian on average, at a fraction "
                 "of the cost. This project's own.",
        stages=_one({**LABELS, "full_jacobian": (0.1, FullJacobian(projections=1))})),
    Method(
        name="summed_jacobian", title="Summed Jacobian", paper=EHMANN_SAMEK, equations="4",
        rows=("Table 1: summed Jacobian",),
        sentence="One map: the sum of the teacher's sensitivity maps over all classes.",
        stages=_one({**LABELS, "summed_jacobian": (0.1, SummedJacobian())})),
    Method(
        name="double_backpropagation", title="Double backpropagation", paper=EHMANN_SAMEK, equations="5",
        rows=("Table 3: M=1",),
        sentence="Nothing is handed over: the student's own cost gradient is kept small.",
        stages=_one({**LABELS, "double_backpropagation": (PER_SAMPLE_1E7, DoubleBackpropagation())})),
    Method(
        name="cost_gradient_double_backpropagation", title="Cost gradient + double backpropagation",
        paper=EHMANN_SAMEK, equations="2, 5", rows=("Table 3: cost diff + M=1",),
        sentence="The teacher's cost gradient, while the student's own is kept small.",
        stages=_one({**LABELS, "cost_gradient": (PER_SAMPLE_1E7, CostGradient()),
                     "double_backpropagation": (PER_SAMPLE_1E7, DoubleBackpropagation())})),
    *(Method(
        name="targeted_double_backpropagation" + ("" if p == 0.5 else f"_p{10 * p:g}"),
        title=f"Targeted double backpropagation, M ∈ {{0, 1}}, p = {p:g}", paper=EHMANN_SAMEK, equations="5, 6",
        rows=(f"Table 3: M ∈ {{0,1}}, p = {p:g}",), ablation=p != 0.5,
        sentence="A mask of the places that hardly matter to the teacher: only there the student's gradient is kept "
                 "small.",
        stages=_one({**LABELS, "targeted": (PER_SAMPLE_1E7, TargetedDoubleBackpropagation(
            threshold=p, outside=1, inside=0))})) for p in (0.2, 0.5, 0.7, 0.9)),
    *(Method(
        name="graded_double_backpropagation" + ("" if p == 0.5 else f"_p{10 * p:g}"),
        title=f"Targeted double backpropagation, M ∈ {{1, 2}}, p = {p:g}", paper=EHMANN_SAMEK, equations="5, 7",
        rows=(f"Table 3: M ∈ {{1,2}}, p = {p:g}",), ablation=p != 0.5,
        sentence="A mask of the places that hardly matter to the teacher: the student's gradient is kept small "
                 "everywhere, and twice as much there.",
        stages=_one({**LABELS, "targeted": (PER_SAMPLE_1E7, TargetedDoubleBackpropagation(
            threshold=p, outside=2, inside=1))})) for p in (0.2, 0.5, 0.7, 0.9)),
)

_AHN = (
    Method(
        name="soft_targets", title="Soft targets", paper=HINTON, equations="",
        rows=("Ahn et al. Table 1: KD",),
        sentence="The teacher's softened probabilities say which wrong classes an image resembles.",
        stages=_one(SOFT)),
    Method(
        name="hint", title="FitNet hints", paper="Romero et al. 2015", equations="3",
        rows=("Ahn et al. Table 1, 2: FitNet",),
        sentence="The features at the end of every group, through learnt connectors, while the labels are learnt.",
        stages=_one({**LABELS, "hint": (HINT, Hint())})),
    Method(
        name="attention", title="Attention maps", paper="Zagoruyko & Komodakis 2017", equations="2",
        rows=("Ahn et al. Table 1, 2: AT",),
        sentence="Where each group of the teacher is active, whatever the channel.",
        stages=_one({**LABELS, "attention": (ATTENTION, AttentionMaps())})),
    Method(
        name="map_information", title="Variational information of maps", paper=AHN, equations="1, 2, 4",
        rows=("Table 1: MI", "Table 2: MI-I"),
        sentence="All that the student's maps can be made to tell of the teacher's, group by group.",
        stages=_one({**LABELS, **MAP_INFORMATION})),
    Method(
        name="vector_information", title="Variational information of outputs", paper=AHN, equations="1, 2, 3",
        rows=("Table 2: MI-L",),
        sentence="All that the student's last hidden layer can be made to tell of the teacher's outputs.",
        stages=_one({**LABELS, **VECTOR_INFORMATION})),
    Method(
        name="vector_map_information", title="Variational information of outputs and maps", paper=AHN,
        equations="1, 2, 3, 4", rows=("Table 2: MI-L + MI-I",),
        sentence="What the student can tell of the teacher's outputs and of its maps.",
        stages=_one({**LABELS, **VECTOR_INFORMATION, **MAP_INFORMATION})),
    Method(
        name="soft_targets_attention", title="Soft targets + attention", paper=AHN, rows=("Table 1: KD + AT",),
        sentence="The teacher's softened probabilities, and where its groups are active.",
        stages=_one({**SOFT, "attention": (ATTENTION, AttentionMaps())})),
    Method(
        name="soft_targets_map_information", title="Soft targets + information of maps", paper=AHN, equations="1, 2, 4",
        rows=("Table 1: KD + MI",),
        sentence="The teacher's softened probabilities, and what the student's maps can tell of its own.",
        stages=_one({**SOFT, **MAP_INFORMATION})),
    Method(
        name="finetuned", title="Fine-tuned", paper=AHN, start="published",
        rows=("Table 2: Finetuned", "Srinivas & Fleuret Table 3: pre-trained student (Oracle)",
              "Heo et al. Table 4, 5: ImageNet pre-trained network", "Yim et al. Table 5: Teacher - fine tuning"),
        sentence="Weights instead of knowledge: the student starts from those that were trained on ImageNet.",
        stages=_one(LABELS)),
    Method(
        name="second_head", title="Second head (LwF)", paper="Li & Hoiem 2016",
        rows=("Ahn et al. Table 2: LwF", "Srinivas & Fleuret Table 3: CE + match activations"),
        sentence="The teacher's outputs for its own classes, through a second head of the student.",
        stages=_one(SECOND_HEAD)),
    Method(
        name="second_head_hint", title="Second head + FitNet hints", paper=AHN, rows=("Table 2: LwF + FitNet",),
        sentence="The teacher's outputs for its own classes, and the features at the end of its groups.",
        stages=_one({**SECOND_HEAD, "hint": (HINT, Hint())})),
    *(Method(
        name=f"{name}_pooled", title=f"{title}, after pooling", paper=AHN, equations=equations,
        rows=(f"Table 2: {row}, VGG-9",), ablation=True,
        sentence=f"{title}, of the layers that max-pooling ends, for VGG-9.", stages=_one(terms))
      for name, title, row, equations, terms in (
          ("hint", "FitNet hints", "FitNet", "", {**LABELS, "hint": (HINT, Hint(groups=POOLED))}),
          ("attention", "Attention maps", "AT", "", {**LABELS, "attention": (ATTENTION, AttentionMaps(groups=POOLED))}),
          ("map_information", "Information of maps", "MI-I", "1, 2, 4",
           {**LABELS, "map_information": (MAPS, MapInformation(groups=POOLED))}),
          ("second_head_hint", "Second head + FitNet hints", "LwF + FitNet", "",
           {**SECOND_HEAD, "hint": (HINT, Hint(groups=POOLED))}),
          ("vector_map_information", "Information of outputs and maps", "MI-L + MI-I", "1, 2, 3, 4",
           {**LABELS, **VECTOR_INFORMATION, "map_information": (MAPS, MapInformation(groups=POOLED))}))),
)

_SRINIVAS_FLEURET = (
    Method(
        name="match_logits", title="Logits", paper=SRINIVAS_FLEURET, equations="Prop. 1",
        rows=("Table 1: CE + match activations",),
        sentence="The teacher's raw outputs, class by class.",
        stages=_one({**LABELS, "logits": (LOGITS, LogitError())})),
    Method(
        name="match_jacobians", title="Jacobian of the labelled class", paper=SRINIVAS_FLEURET, equations="Prop. 1",
        rows=("Table 1: CE + match Jacobians",),
        sentence="The teacher's sensitivity map of the labelled class.",
        stages=_one({**LABELS, "jacobian": (JACOBIAN, JacobianMatch())})),
    Method(
        name="match_logits_jacobians", title="Logits + Jacobian", paper=SRINIVAS_FLEURET, equations="Prop. 1",
        rows=("Table 1: CE + match {activations + Jacobians}",),
        sentence="The teacher's raw outputs, and its sensitivity map of the labelled class.",
        stages=_one({**LABELS, "logits": (LOGITS, LogitError()), "jacobian": (JACOBIAN, JacobianMatch())})),
    Method(
        name="logits_alone", title="Logits, no labels", paper=SRINIVAS_FLEURET, equations="Prop. 1",
        rows=("Table 1: Match activations only",),
        sentence="Only the teacher's raw outputs: no label is seen.",
        stages=_one({"logits": (LOGITS, LogitError())})),
    Method(
        name="logits_jacobians_alone", title="Logits + Jacobian, no labels", paper=SRINIVAS_FLEURET,
        equations="Prop. 1", rows=("Table 1: Match {activations + Jacobians}",),
        sentence="The teacher's raw outputs and the sensitivity map of the class that it finds likeliest: no label is "
                 "seen.",
        stages=_one({"logits": (LOGITS, LogitError()), "jacobian": (JACOBIAN, JacobianMatch(classes="teacher"))})),
    Method(
        name="noisy_outputs", title="Logits under noise", paper=SRINIVAS_FLEURET, equations="Prop. 1",
        sentence="The teacher's raw outputs at noisy images: in piecewise linear networks, logits and slopes at once.",
        stages=_one({**LABELS, "noisy": (LOGITS, NoisyOutputs())})),
    Method(
        name="cross_entropy_jacobian", title="Probabilities and their slopes", paper=SRINIVAS_FLEURET, equations="2",
        sentence="The teacher's probabilities and how they change with the image, by cross entropy.",
        stages=_one({**LABELS, "cross_entropy_jacobian": CrossEntropyJacobian()})),
    *(Method(
        name=name, title=f"Jacobian norm, λ = {weight:g}", paper=SRINIVAS_FLEURET, equations="Prop. 2",
        rows=(f"Table 2: λ = {weight:g}",), ablation=weight != 1,
        sentence="Nothing is handed over: the student's output for the label is to change little when the image does.",
        stages=_one({**LABELS, "jacobian_norm": (weight / 16, JacobianNorm())}))
      for name, weight in (("jacobian_norm_weak", 0.1), ("jacobian_norm", 1.0), ("jacobian_norm_strong", 10.0))),
    Method(
        name="jacobian_norm_probabilities", title="Jacobian norm of the probabilities", paper=SRINIVAS_FLEURET,
        equations="3",
        sentence="Nothing is handed over: the student's probability of the label is to change little when the image "
                 "does.",
        stages=_one({**LABELS, "jacobian_norm": (1 / 16, JacobianNorm(form="probabilities"))})),
    Method(
        name="weight_decay", title="Weight decay", paper=SRINIVAS_FLEURET, rows=("Table 2: ℓ2 regularization",),
        sentence="Nothing is handed over: the student's weights are kept small.",
        stages=_one({**LABELS, "weight_decay": (1e-3, WeightDecay())})),
    Method(
        name="dropout", title="Dropout", paper=SRINIVAS_FLEURET, rows=("Table 2: Dropout",),
        sentence="Nothing is handed over: a quarter of the neurons before the last layer is silenced in each step.",
        stages=_one(LABELS, dropout=0.25)),
    Method(
        name="second_head_attention_jacobian", title="Second head + attention Jacobian", paper=SRINIVAS_FLEURET,
        equations="10", rows=("Table 3: CE + match {activations + Jacobians}",),
        sentence="The teacher's outputs for its own classes, and which pixels would draw its attention.",
        stages=_one({**SECOND_HEAD, "attention_jacobian": (ATTENTION_JACOBIAN, AttentionJacobian())})),
    Method(
        name="second_head_attention", title="Second head + attention", paper=SRINIVAS_FLEURET, equations="8, 9",
        rows=("Table 3: CE + match {activations + attention}",),
        sentence="The teacher's outputs for its own classes, and where its groups are active.",
        stages=_one({**SECOND_HEAD, "attention": (ATTENTION, AttentionMaps())})),
    Method(
        name="second_head_attention_both", title="Second head + attention and its Jacobian", paper=SRINIVAS_FLEURET,
        equations="8, 9, 10", rows=("Table 3: CE + match {activations + attention + Jacobians}",),
        sentence="The teacher's outputs for its own classes, where its groups are active, and which pixels would "
                 "change that.",
        stages=_one({**SECOND_HEAD, "attention": (ATTENTION, AttentionMaps()),
                     "attention_jacobian": (ATTENTION_JACOBIAN, AttentionJacobian())})),
    Method(
        name="attention_jacobian", title="Attention Jacobian", paper=SRINIVAS_FLEURET, equations="10",
        rows=("Table 5: s/5",),
        sentence="Which pixels would draw the attention of each group of the teacher to the place it attends to most.",
        stages=_one({**LABELS, "attention_jacobian": (ATTENTION_JACOBIAN, AttentionJacobian())})),
    *(Method(
        name=f"attention_jacobian_depth{number}", title=f"Attention Jacobian of group {number}",
        paper=SRINIVAS_FLEURET, equations="10", rows=(f"Table 4: {depths}",), ablation=True,
        sentence=f"Which pixels would draw the attention of the teacher's group {number}.",
        stages=_one({**LABELS, "attention_jacobian": (ATTENTION_JACOBIAN, AttentionJacobian(
            groups=((f"group{number}", f"group{number}"),)))}))
      for number, depths in enumerate(("(7, 2)", "(15, 4)", "(27, 6)", "(33, 8)"), start=1)),
    *(Method(
        name=f"attention_jacobian_{window}", title=f"Attention Jacobian, window {size}", paper=SRINIVAS_FLEURET,
        equations="10", rows=(f"Table 5: {size}",), ablation=True,
        sentence="Which pixels would draw the attention of each group, averaged over another window before its maximum "
                 "is taken.",
        stages=_one({**LABELS, "attention_jacobian": (ATTENTION_JACOBIAN, AttentionJacobian(window=window))}))
      for window, size in (("full", "Full"), ("third", "s/3"), ("seventh", "s/7"), ("none", "None"))),
)

HEO_INITIAL = 1 / 6  # 20 + 100 epochs
HEO_TRANSFER = 0.6  # 60 + 40 epochs
LAYERS = {"first": "layer 1", "middle": "layer 2", "last": "layer 3"}


def _boundary(**settings) -> dict:
    return {"boundary": (BOUNDARY, ActivationBoundary(**settings))}


def _values(power: float, weight: float) -> dict:
    return {"values": (weight, ActivationValues(power=power, connectors="never"))}


def _hint(**settings) -> dict:
    return {"hint": (HINT, Hint(batch_norm=True, **settings))}


def _flow(**settings) -> dict:
    return {"flow": (FLOW, FlowMatrices(**settings))}


def _attention(**settings) -> dict:
    return {"attention": (ATTENTION, AttentionMaps(**settings))}


def _jacobian(**settings) -> dict:
    """What the paper's tables call Jacobian: attention maps and their derivatives."""
    return {**_attention(**settings), "attention_jacobian": (ATTENTION_JACOBIAN, AttentionJacobian(**settings))}


def _then_soft_targets(initial: dict, also: dict | None = None) -> tuple[Stage, Stage]:
    return _first("initialisation", HEO_INITIAL, initial, {**SOFT_3, **(also or {})})


def _alone(name: str) -> str:
    """FitNet has one layer."""
    return ", of the last group alone" if name == "hint" else ""


# (name, title, what is handed over, its terms, whether they stay beside the soft targets)
_HEO_ROWS = (
    ("hint", "FitNet", "FITNET", "its features", _hint, False),
    ("flow", "FSP matrices", "FSP", "its FSP matrices", _flow, False),
    ("attention", "Attention", "AT", "where its groups are active", _attention, True),
    ("attention_jacobian", "Attention and its Jacobian", "Jacobian",
     "where its groups are active and which pixels would change that", _jacobian, True),
    ("boundary", "Activation boundaries", "Proposed", "which of its neurons are active", _boundary, False),
)
_HEO = (
    Method(
        name="soft_targets_alone", title="Soft targets, no labels", paper=HEO,
        rows=("Table 1, 2: KD training", "Table 3, 6: KD"),
        sentence="Only the teacher's softened probabilities: no label is seen.", stages=_one(SOFT_3)),
    *(Method(
        name=f"{name}_then_soft_targets", title=f"{title}, then soft targets", paper=HEO,
        equations="4, 6, 7" if name == "boundary" else "",
        rows=(f"Table 1, 2: {row} + KD", f"Table 3: {row}",
              f"Table 6: {row} + KD, {'layer 3' if name == 'hint' else 'multi-layer'}",
              *(["Table 8: 1"] if name == "boundary" else [])),
        sentence=f"First {what}{_alone(name)}, then the teacher's softened probabilities"
                 f"{' beside it' if stays else ''}.",
        stages=_then_soft_targets(terms(groups="last") if name == "hint" else terms(), terms() if stays else None))
      for name, title, row, what, terms, stays in _HEO_ROWS),
    *(Method(
        name=f"{name}_{layer}_then_soft_targets", title=f"{title} of the {layer} group, then soft targets", paper=HEO,
        equations="4, 7" if name == "boundary" else "", rows=(f"Table 6: {row} + KD, {LAYERS[layer]}",), ablation=True,
        sentence=f"First {what}, of the {layer} group alone, then the teacher's softened probabilities.",
        stages=_then_soft_targets(terms(groups=layer), terms(groups=layer) if stays else None))
      for name, title, row, what, terms, stays in _HEO_ROWS for layer in LAYERS if (name, layer) != ("hint", "last")),
    Method(
        name="hint_all_then_soft_targets", title="FitNet at every group, then soft targets", paper=HEO,
        rows=("Table 6: FITNET + KD, multi-layer",), ablation=True,
        sentence="First the features of every group, then the teacher's softened probabilities.",
        stages=_then_soft_targets(_hint())),
    *(Method(
        name=f"values_{name}_then_soft_targets", title=f"Activation values, {title}, then soft targets", paper=HEO,
        equations="1", rows=(f"Table 7: {title} loss",), ablation=power != 2,
        sentence="First how strongly each neuron of the teacher responds, then its softened probabilities. For two "
                 "networks of one width.",
        stages=_then_soft_targets(_values(power, weight)))
      for name, title, power, weight in (
          ("l2", "l_2", 2.0, VALUES), ("l1", "l_1", 1.0, VALUES), ("l05", "l_0.5", 0.5, VALUES_ROOTS))),
    Method(
        name="boundary_unconnected_then_soft_targets", title="Activation boundaries without connectors, then soft "
        "targets", paper=HEO, equations="4", rows=("Table 7: Proposed",), ablation=True,
        sentence="First which neurons of the teacher are active, neuron by neuron, then its softened probabilities. "
                 "For two networks of one width.",
        stages=_then_soft_targets(_boundary(connectors="never"))),
    *(Method(
        name=f"boundary_margin{margin:g}_then_soft_targets".replace(".", ""),
        title=f"Activation boundaries, margin {margin:g}, then soft targets", paper=HEO, equations="4, 6, 7",
        rows=(f"Table 8: {margin:g}",), ablation=True,
        sentence=f"Which neurons of the teacher are active, with a margin of {margin:g}.",
        stages=_then_soft_targets(_boundary(margin=margin))) for margin in (0.75, 1.5, 2.0, 4.0)),
)
_HEO_TRANSFER = (
    Method(
        name="centred_second_head", title="Second head, centred (DTL)", paper=HEO,
        rows=("Table 4, 5: DTL on randomly initialized network",),
        sentence="The teacher's outputs for its own classes, each image's mean taken off, through a second head.",
        stages=_one(CENTRED)),
    *(Method(
        name=f"{name}_centred_second_head", title=f"{title} with a centred second head", paper=HEO,
        equations="4, 6, 7" if name == "boundary" else "", rows=(f"Table 4, 5: {row} + DTL",),
        sentence=(f"The teacher's outputs for its own classes, and {what}." if stays else
                  f"First {what}{_alone(name)}, then the teacher's outputs for its own classes through a second head."),
        stages=_one({**CENTRED, **terms()}) if stays else
        _first("initialisation", HEO_TRANSFER, terms(groups="last") if name == "hint" else terms(), CENTRED))
      for name, title, row, what, terms, stays in _HEO_ROWS),
)


def _hint_sum(groups: str) -> dict:
    return {"hint": (HINT_SUM, Hint(groups=groups, form="sum"))}


def _hint_then_falling(groups: str, task: int) -> tuple[Stage, Stage]:
    """35 000 steps for the hint, `task` thousand for the task."""
    return _first("hint", 35 / (35 + task), _hint_sum(groups),
                  {**LABELS, "soft_targets": (4 / 9, 1 / 9, SoftTargets(temperature=3))}, YIM_HINT, restarts=True)


def _flow_first(task: int, first: int = 21, optimiser: Optimiser = YIM_FLOW, **settings) -> tuple[Stage, Stage]:
    """`first` thousand steps for the matrices, `task` thousand for the task."""
    return _first("flow", first / (first + task), {"flow": (FLOW_SLOW, FlowMatrices(**settings))}, LABELS, optimiser,
                  restarts=True)


def _flow_first_long(task: int) -> tuple[Stage, Stage]:
    """As on CIFAR-100."""
    return _flow_first(task, 32, YIM_FLOW_LONG)


_YIM = (
    Method(
        name="flow_then_labels", title="FSP matrices, then labels", paper=YIM, equations="1, 2",
        rows=("Table 3: Proposed Method",),
        sentence="First how features flow through each section of the teacher, then the labels.",
        stages=_flow_first(64)),
    Method(
        name="long_flow_then_labels", title="FSP matrices for longer, then labels", paper=YIM, equations="1, 2",
        rows=("Table 4: Proposed Method",), ablation=True,
        sentence="First how features flow through each section of the teacher, for as long as the paper has it on "
                 "CIFAR-100, then the labels.", stages=_flow_first_long(64)),
    Method(
        name="hint_then_falling_soft_targets", title="FitNet hint, then falling soft targets", paper=YIM,
        rows=("Table 3, 4: FitNet",),
        sentence="First the features of the middle group, then labels and softened probabilities whose weight falls "
                 "from 4 to 1.",
        stages=_hint_then_falling("middle", 64)),
)
_YIM_FAST = (
    Method(
        name="flow_ensemble", title="Ensemble: FSP matrices, then labels", paper=YIM, equations="1, 2", members=3,
        shared_stages=1, rows=("Table 1: Student *",),
        sentence="Three students that learn the teacher's flow together and the labels apart; their probabilities are "
                 "averaged.",
        stages=_flow_first(21)),
    Method(
        name="long_flow_ensemble", title="Ensemble: FSP matrices for longer, then labels", paper=YIM,
        equations="1, 2", members=3, shared_stages=1, rows=("Table 2: Student *",), ablation=True,
        sentence="Three students that learn the teacher's flow together, for as long as the paper has it on CIFAR-100, "
                 "and the labels apart; their probabilities are averaged.", stages=_flow_first_long(21)),
    Method(
        name="shuffled_flow_ensemble", title="Ensemble: shuffled FSP matrices, then labels", paper=YIM,
        equations="1, 2", members=3, rows=("Table 1: Student *†",),
        sentence="Three students, each of which learns the flow of the teacher with its channels in another order, "
                 "then the labels; their probabilities are averaged.",
        stages=_flow_first(21, shuffled=True)),
    Method(
        name=ENSEMBLE_BASELINE, title="Ensemble: labels only", paper=YIM, members=3,
        rows=("Table 1, 2: Teacher", "Table 1, 2: Teacher *"),
        sentence="Nothing is handed over: networks that learn apart, and whose probabilities are averaged.",
        stages=_one(LABELS)),
    Method(
        name="copy_ensemble", title="Ensemble: copies of the teacher", paper=YIM, members=3, start="teacher",
        rows=("Table 1: Teacher ‡",),
        sentence="Weights instead of knowledge: three copies of the teacher are trained on; their probabilities are "
                 "averaged.",
        stages=_one(LABELS)),
    *(Method(
        name=f"hint_ensemble_{groups}", title=f"Ensemble: FitNet with {losses}", paper=YIM, members=3, shared_stages=1,
        rows=rows, ablation=groups == "all",
        sentence=f"Three students that learn {losses} together and the task apart; their probabilities are averaged.",
        stages=_hint_then_falling(groups, 21))
      for groups, losses, rows in (
          ("middle", "one hint", ("Table 1: 1 loss FitNet *", "Table 2: FitNet *")),
          ("all", "three hints", ("Table 1: 3 loss FitNet *",)))),
)
_YIM_TRANSFER = (
    Method(
        name="flow_then_other_labels", title="FSP matrices of another task, then labels", paper=YIM, equations="1, 2",
        rows=("Table 5: Proposed Method",),
        sentence="First how features flow through each section of a teacher that may tell other classes apart, at the "
                 "learning rate of the labels, then the labels.",
        # a hundred times the other form's learning rate
        stages=_first("flow", 21 / 51, {"flow": (FLOW, FlowMatrices())}, LABELS, YIM_FAST, restarts=True)),
    Method(
        name="hint_then_labels", title="FitNet hint, then labels", paper=YIM, rows=("Table 5: FITNET",),
        sentence="First the features of the middle group, then the labels, whatever the teacher's own classes.",
        stages=_first("hint", 35 / 65, _hint_sum("middle"), LABELS, YIM_HINT, restarts=True)),
)

_OTHERS = {"finetuned": f"{HEO}, transfer; {YIM}, transfer", ENSEMBLE_BASELINE: f"{YIM}; {YIM}, fast"}

METHODS: dict[str, Method] = {
    method.name: method.model_copy(update={"optimiser": _OTHERS.get(method.name, printed)})
    for printed, methods in (("", _BASELINE), (EHMANN_SAMEK, _EHMANN_SAMEK), ("", _AHN), ("", _SRINIVAS_FLEURET),
                             (f"{HEO}, CIFAR-10", _HEO), (f"{HEO}, transfer", _HEO_TRANSFER), (YIM, _YIM),
                             (f"{YIM}, fast", _YIM_FAST), (f"{YIM}, transfer", _YIM_TRANSFER))
    for method in methods}


def baseline(members: int = 1) -> Method:
    """Labels alone, learnt by as many students as a method has: what the method is compared with."""
    alone = METHODS[BASELINE if members == 1 else ENSEMBLE_BASELINE]
    if members == alone.members:
        return alone
    return alone.model_copy(update={"members": members, "title": f"{alone.title}, {members} students", "rows": ()})


def by_name(method: Any) -> Any:
    """The method of a name; anything else is returned as it is. Raises ValueError, a sentence, for an unknown one."""
    if isinstance(method, str) and method not in METHODS:
        raise ValueError(f"There is no method {method!r}{meant(method, METHODS)}; python -m kdcore methods lists them.")
    return METHODS[method] if isinstance(method, str) else method
