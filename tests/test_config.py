"""Configurations: what a run is, as JSON, and the sentences for what it cannot be."""

import json
import re
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from kdcore import models
from kdcore.config import RunConfig, read
from kdcore.data import selection
from kdcore.errors import UserError
from kdcore.knowledge import TERMS, Pair, Side
from kdcore.knowledge.layers import LayerTerm
from kdcore.knowledge.pair import Unsuited
from kdcore.methods import BASELINE, METHODS
from kdcore.objective import Optimiser, Stage
from kdcore.places import replace_file
from kdcore.store import Store
from tests.data.made import class_folders, write

TEACHER = {"data": {"name": "digits"}, "network": {"name": "fc_teacher"}}
ON_MNIST = {"data": {"name": "mnist"}, "network": {"name": "fc_teacher"}}
CROSS_ENTROPY = {"weight": 1.0, "term": {"kind": "cross_entropy"}}
JARGON = re.compile(r"extra_forbidden|type=|\b(pydantic|validation|input_value|NoneType|instance of|tag)\b|\n|^[\s=]")


def _places(content, path=()):
    """Where something stands in JSON: ((key, ...), value)."""
    for key, value in content.items() if isinstance(content, dict) else enumerate(content):
        yield (*path, key), value
        if isinstance(value, (dict, list)):
            yield from _places(value, (*path, key))


def _put(content, path, value):
    """Change what stands there, unless an earlier change took the place away."""
    for key in path[:-1]:
        content = content[key] if isinstance(content, (dict, list)) and _has(content, key) else None
    if isinstance(content, (dict, list)) and _has(content, path[-1]):
        content[path[-1]] = value


def _has(content, key):
    return key in content if isinstance(content, dict) else isinstance(key, int) and key < len(content)


def run(**changes):
    return {"data": {"name": "digits", "images": 10}, "network": {"name": "fc_student"}, **changes}


def composed(*objectives, shares=(1.0,), **stage):
    return {"stages": [{"share": share, "objective": objective, **stage}
                       for share, objective in zip(shares, objectives, strict=True)]}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_says_what_it_is(method):
    known = METHODS[method]
    assert known.name == method and known.title and known.sentence.endswith(".") and known.paper and known.formula()


def test_a_method_of_ones_own_survives_json():
    method = composed({"maps": {"share": 0.2, "term": {"kind": "full_jacobian", "projections": 3}}},
                      {"labels": CROSS_ENTROPY}, shares=(0.25, 0.75), optimiser={"kind": "sgd", "nesterov": True})
    first = read(run(teacher=TEACHER, method=method))
    assert read(first.model_dump_json()) == first
    assert first.method.stages[0].objective["maps"].term == TERMS["full_jacobian"](projections=3)
    assert first.method.stages[1].optimiser == Optimiser(kind="sgd", nesterov=True)


def test_a_teacher_without_a_name_is_called_what_it_is():
    assert read(run(teacher=TEACHER)).planned()["teacher"]["config"]["name"] == "Teacher FC teacher · seed 0"
    assert read(run(teacher={**TEACHER, "name": "Ours"})).planned()["teacher"]["config"]["name"] == "Ours"


def test_the_baseline_is_the_default_and_may_name_a_teacher():
    assert read(run()).method == METHODS[BASELINE]
    assert read(run(teacher=TEACHER)).teacher == read(TEACHER)


def test_a_teacher_is_one_network():
    with pytest.raises(UserError, match="^A teacher must be one network, and an ensemble has no weights of its own"):
        read(run(teacher={**TEACHER, "method": "labels_ensemble"}, method="soft_targets"))


def test_weights_that_do_not_fit_are_said_before_anything_is_trained(tmp_path):
    """Which `train`, the store and the form ask before they train the teacher."""
    network, file = {"name": "fc_student", "width": 0.1}, tmp_path / "mine.pt"
    torch.save(models.build(models.NetworkConfig(**network), (1, 8, 8), 10).state_dict(), file)
    for width, obstacle in ((0.1, ""), (0.2, "These weights are another network's")):
        start = {"kind": "file", "path": str(file)}
        assert read(run(network={**network, "width": width, "start": start})).obstacle().startswith(obstacle)
    torch.save({"other": torch.zeros(3)}, file)
    assert "another network's" in read(run(network={**network, "start": start})).obstacle(), "the file is another now"


def test_thirds_that_were_rounded_add_up():
    third = composed({"labels": CROSS_ENTROPY})["stages"][0]
    stages = [{**third, "name": str(number), "share": 0.3333} for number in range(3)]
    assert read(run(method={"stages": stages}, steps=300)).ends() == [100, 200, 300]


def test_the_hash_ignores_names_and_device():
    plain = read(run(teacher=TEACHER, method="soft_targets")).hash()
    renamed = METHODS["soft_targets"].model_dump(mode="json") | {
        "name": "mine", "title": "Mine", "sentence": "Mine.", "paper": "none", "equations": "0", "rows": ["one"]}
    assert read(run(name="mine", device="cpu", teacher={**TEACHER, "name": "ours", "device": "cuda"},
                    method=renamed)).hash() == plain
    assert re.fullmatch("[0-9a-f]{16}", plain)


def test_the_hash_ignores_a_stages_name():
    def named(name):
        return read(run(method=composed({"labels": CROSS_ENTROPY}, name=name))).hash()

    assert named("one") == named("two")


@pytest.mark.parametrize("change", [
    {"seed": 1}, {"steps": 5}, {"batch_size": 5}, {"threads": 2}, {"data": {"name": "digits", "images": 20}},
    {"network": {"name": "fc_student", "width": 0.5}}, {"optimiser": {"learning_rate": 0.1}},
    {"method": "soft_targets"}, {"teacher": {**TEACHER, "seed": 1}}, {"teacher": None}], ids=str)
def test_the_hash_tells_what_trains_differently(change):
    assert read(run(teacher=TEACHER)).hash() != read(run(**{"teacher": TEACHER, **change})).hash()


FAULTS = {
    "unknown field": (run(stepz=5), "'stepz' is not a field (did you mean 'steps'?)."),
    "unknown field of the data": (run(data={"name": "digits", "image": 5}), "did you mean 'images'?"),
    "unknown field of the teacher": (run(teacher={**TEACHER, "sede": 5}), "did you mean 'seed'?"),
    "unknown field of the teacher's optimiser": (
        run(teacher={**TEACHER, "optimiser": {"momentun": 0.5}}), "did you mean 'momentum'?"),
    "unlike any field": (run(zzz=5), "'zzz' is not a field."),
    "unknown field of a stage": (run(method=composed({"labels": CROSS_ENTROPY}, shrae=1)), "is not a field"),
    "unknown field of a term": (
        run(teacher=TEACHER, method=composed({"soft": {"weight": 1, "term": {"kind": "soft_targets", "temp": 3}}})),
        "temp' is not a field"),
    "unlike any field of a term": (run(teacher=TEACHER, method=composed({"soft": {"weight": 1, "term": {
        "kind": "soft_targets", "layers": 3}}})), "layers' is not a field; it has kind, temperature."),
    "missing": ({"data": {"name": "digits"}}, "'network' is missing."),
    "missing in the teacher": (run(teacher={"data": {"name": "digits"}}), "'teacher.network' is missing."),
    "wrong method": (run(method="ful_jacobian"), "did you mean 'full_jacobian'?"),
    "wrong method unlike any": (run(method="zzz"), "There is no method 'zzz'; python -m kdcore methods lists them."),
    "a method that is a number": (run(method=5), "method must be an object"),
    "a list for a network": (run(network={"name": ["resnet18"]}), 'network.name = ["resnet18"] is not possible'),
    "wrong network": (run(network={"name": "resnet"}), "choose one of fc_student, fc_teacher"),
    "wrong images": (run(data={"name": "imagenet"}), "choose one of digits, mnist"),
    "wrong term": (run(method=composed({"a": {"weight": 1, "term": {"kind": "logits"}}})), "logit_error"),
    "a term without a kind": (run(method=composed({"a": {"weight": 1, "term": {}}})), "kind"),
    "fewer than no steps": (run(steps=-1), "steps must be at least 0, and not -1."),
    "steps in words": (run(steps="many"), 'steps = "many" is not possible'),
    "a fast optimiser": (run(optimiser={"learning_rate": 100}),
                         "optimiser.learning_rate must be at most 10, and not 100"),
    "nothing for a seed": (run(seed=None), "seed = null is not possible"),
    "no width": (run(network={"name": "fc_student", "width": 0}), "network.width must be more than 0, and not 0"),
    "not a number": (json.dumps(run(optimiser={"weight_decay": float("nan")})), "weight_decay = NaN is not possible"),
    "an infinite weight": (
        json.dumps(run(method=composed({"a": {"weight": float("inf"), "term": {"kind": "cross_entropy"}}}))),
        "Infinity is not possible"),
    "both sizes": (run(data={"name": "digits", "images": 10, "per_class": 1}), "either images or per_class, not both"),
    "more images than there are": (run(data={"name": "digits", "images": 5000}), "Digits has 1297 training images"),
    "weight and share": (run(method=composed({"a": {**CROSS_ENTROPY, "share": 1}})), "either a weight or a share"),
    "neither weight nor share": (run(method=composed({"a": {"term": {"kind": "cross_entropy"}}})), "either a weight"),
    "shares below 1": (run(method=composed(*[{"a": CROSS_ENTROPY}] * 2, shares=(0.5, 0.4))),
                      "must add up to 1, and these make 0.9."),
    "shares above 1": (run(method=composed(*[{"a": CROSS_ENTROPY}] * 2, shares=(0.5, 0.6))),
                      "must add up to 1, and these make 1.1."),
    "no stages": (run(method={"stages": []}), "method.stages"),
    "no terms": (run(method=composed({})), "objective"),
    "Nesterov without momentum": (run(optimiser={"kind": "sgd", "nesterov": True, "momentum": 0}),
                                  "give a momentum above 0, or leave nesterov off."),
    "one image for batch normalisation": (run(network={"name": "wrn_10_1", "resize": 4}, batch_size=1),
                                          "WRN-10-1 cannot learn from one image a step"),
    "other layers": (run(teacher=TEACHER, method=composed({"hint": {"weight": 1, "term": {
        "kind": "hint", "groups": "lats"}}})), "Layers are all, first, middle or last, or at least one pair of taps"),
    "a teacher's teacher": (run(teacher={**TEACHER, "teacher": TEACHER}), "must not have a teacher."),
    "no teacher": (run(method="full_jacobian"), "Full Jacobian cannot be matched: it needs a teacher"),
    "a teacher of other images": (run(teacher=ON_MNIST, method="full_jacobian"),
                                  "images of 28×28 and the student at 8×8; choose a teacher trained on"),
    "not JSON": ("{steps: 5}", "This is not JSON"),
    "not text": (b'{"name": "\xff"}', "This is not text"),
    "nested without end": ("[" * 50_000, "nested too deeply"),
    "a list": ("[]", "must be an object with named fields, not []"),
    "a number": (5, "must be an object with named fields, not 5"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_a_sentence(name):
    content, part = FAULTS[name]
    with pytest.raises(UserError) as error:
        read(content)
    message = str(error.value)
    assert part in message
    assert message.endswith((".", "?.")) and message.count(" ") >= 2 and len(message) < 1000
    assert not JARGON.search(message), message


def test_each_fault_has_its_sentence_once():
    with pytest.raises(UserError) as error:
        read(run(steps=-1, stepz=1, method="zzz"))
    message = str(error.value)
    assert all(message.count(part) == 1 for part in ("not -1", "'stepz'", "'zzz'")) and message.endswith(".")


MAPS = {"group1.first": (3, 8, 8), "group1": (3, 8, 8), "group1.pre": (3, 8, 8), "group2.first": (4, 4, 4),
        "group2": (4, 4, 4), "group2.pre": (4, 4, 4), "embedding": (4,), "logits": (10,)}
VECTORS = {"group1": (9,), "group1.pre": (9,), "embedding": (9,), "logits": (10,)}


def side(images=(1, 8, 8), classes="0123456789", taps=MAPS):
    """A network; with a class more or less its logits are as many."""
    return Side(images, tuple(classes), lambda: {**taps, "logits": (len(classes),)})


MISMATCHES = {
    "it needs a teacher, and this run has none; choose one": None,
    "the teacher looks at images of 8×8×3 and the student at 8×8": side(images=(3, 8, 8)),
    "the teacher looks at images of 8×9 and the student at 8×8": side(images=(1, 8, 9)),
}
OTHER_CLASSES = {
    "the teacher tells 7 classes apart and the student 10": side(classes="0123456"),
    "the teacher's 10 classes are not the student's": side(classes="abcdefghij"),
}
TAUGHT = {kind for kind, term in TERMS.items() if term().needs_teacher}
OVER_LAYERS = {kind for kind, term in TERMS.items() if issubclass(term, LayerTerm)}
ONLY_MAPS = {kind for kind, term in TERMS.items() if getattr(term, "only_maps", False)}


@pytest.mark.parametrize("kind", TERMS)
def test_terms_say_why_they_do_not_suit_a_pair(kind):
    """Terms over layers compare no classes: they suit a teacher of another task."""
    for reason, teacher in {**MISMATCHES, **OTHER_CLASSES}.items():
        suits = kind not in TAUGHT or (reason in OTHER_CLASSES and kind in OVER_LAYERS)
        found = TERMS[kind](kind=kind).unsuited(Pair(side(), teacher))
        assert found is None if suits else found.startswith(reason)


@pytest.mark.parametrize("kind", TERMS)
def test_terms_suit_a_pair_of_equal_images_and_classes(kind):
    assert TERMS[kind](kind=kind).unsuited(Pair(side(), side())) is None


@pytest.mark.parametrize("kind", sorted(ONLY_MAPS))
def test_terms_over_maps_ask_for_convolutional_networks(kind):
    reason = TERMS[kind](kind=kind).unsuited(Pair(side(taps=VECTORS), side(taps=VECTORS)))
    assert "fully connected" in reason and "choose convolutional networks" in reason


UNSUITED = {
    "group2 is a stack of maps in the teacher and group1 a vector in the student; choose two networks of one kind": (
        {"kind": "hint"}, side(taps=VECTORS), side()),
    "group1 has 5 channels in the teacher and group1 3 in the student; let a connector stand between": (
        {"kind": "hint", "connectors": "never"}, side(), side(taps={**MAPS, "group1": (5, 8, 8)})),
    "a section of the student has a single layer, so that nothing flows": (
        {"kind": "flow_matrices"}, side(taps={tap: shape for tap, shape in MAPS.items() if ".first" not in tap}),
        side()),
    "embedding is a vector, whose neurons have no place in the image; choose layers that are maps": (
        {"kind": "attention_maps", "groups": [["embedding", "embedding"]]}, side(), side()),
    "the teacher has no tap 'group7'; it has embedding, group1, ": (
        {"kind": "hint", "groups": [["group7", "group1"]]}, side(), side()),
    "the student has no tap 'group7.pre'; it has embedding, group1, ": (
        {"kind": "activation_boundary", "groups": [["group1", "group7"]]}, side(), side()),
    "the student has no layer with the tap group1.pre": (
        {"kind": "activation_boundary"}, side(taps={"group1": (3, 8, 8), "logits": (10,)}), side()),
}


def test_one_image_a_step_is_enough_without_batch_normalisation():
    assert read(run(batch_size=1)).batch_size == 1
    assert read(run(network={"name": "wrn_10_1"}, batch_size=1)).network.name == "wrn_10_1"  # whose maps are 2×2


def test_taps_that_are_named_need_no_groups():
    """As in a network of one's own; a name may begin like a group's."""
    own = side(taps={"grouped": (3, 8, 8), "logits": (10,)})
    assert Pair(own, own).layers((("grouped", "grouped"),), ".pre")[0].student == "grouped"
    with pytest.raises(Unsuited, match="no layer with the tap group1"):
        Pair(own, own).layers()


@pytest.mark.parametrize("tap", ["group1.first", "group1.pooled", "embedding", "logits"])
def test_what_comes_after_an_activation_function_has_no_boundary(tap):
    known = side(taps=dict.fromkeys(("group1", "group1.pre", tap), (4,)))
    pair, groups = Pair(known, known), ((tap, tap),)
    for kind in ("activation_boundary", "activation_values"):
        assert TERMS[kind](groups=groups).unsuited(pair).startswith(f"{tap} is not what stands before an activation")
        assert TERMS[kind](groups=(("group1", "group1.pre"),)).unsuited(pair) is None
    assert TERMS["hint"](groups=groups).unsuited(pair) is None


@pytest.mark.parametrize("reason", UNSUITED)
def test_layers_that_cannot_be_matched_are_a_sentence(reason):
    term, student, teacher = UNSUITED[reason]
    assert TERMS[term["kind"]](**term).unsuited(Pair(student, teacher)).startswith(reason)


PAIRINGS = {
    "the last of each common size where they have not": (
        {"group1": (1, 8, 8), "group2": (1, 8, 8), "group3": (1, 4, 4), "group4": (1, 2, 2)},
        {"group1": (1, 8, 8), "group2": (1, 4, 4), "group3": (1, 4, 4)},
        [("group2", "group1"), ("group3", "group3")]),
    "from the top where no size is common": (
        {"group1": (1, 9, 9), "group2": (1, 7, 7), "group3": (1, 5, 5)}, {"group1": (1, 8, 8), "group2": (1, 4, 4)},
        [("group2", "group1"), ("group3", "group2")]),
    "from the top where layers are vectors": (
        {"group1": (9,), "group2": (7,), "group3": (5,)}, {"group1": (8,)}, [("group3", "group1")]),
    "in order where both have as many": (
        {"group1": (1, 8, 8), "group2": (1, 4, 4), "group3": (1, 2, 2)},
        {"group1": (1, 32, 32), "group2": (1, 16, 16), "group3": (1, 8, 8)},
        [("group1", "group1"), ("group2", "group2"), ("group3", "group3")]),
    "by number, not by name": (
        {f"group{k}": (1, 20 - k, 20 - k) for k in range(1, 12)}, {"group1": (1, 9, 9)}, [("group11", "group1")]),
}


def test_layers_that_are_named_come_in_the_order_of_the_network():
    """So that what counts half is the earlier one, in whatever order they were clicked."""
    pair = Pair(side(taps=PAIRINGS["in order where both have as many"][1]),
                side(taps=PAIRINGS["in order where both have as many"][0]))
    named = pair.layers((("group3", "group3"), ("group1", "group1"), ("group2", "group2")))
    assert [layer.student for layer in named] == ["group1", "group2", "group3"]


@pytest.mark.parametrize("rule", PAIRINGS)
def test_groups_are_paired(rule):
    theirs, ours, expected = PAIRINGS[rule]
    layers = Pair(side(taps=ours), side(taps=theirs)).layers()
    assert [layer[:2] for layer in layers] == expected
    assert [layer[2:] for layer in layers] == [(theirs[t], ours[s]) for t, s in expected]


@pytest.mark.parametrize("groups, expected", [("all", [1, 2, 3, 4]), ("first", [1]), ("middle", [2]), ("last", [4])])
def test_some_of_the_groups_may_be_chosen(groups, expected):
    four = side(taps={f"group{k}{role}": (1, 9 - k, 9 - k) for k in range(1, 5) for role in ("", ".pre")})
    for role in ("", ".pre"):
        layers = Pair(four, four).layers(groups, role)
        assert [layer.student for layer in layers] == [f"group{k}{role}" for k in expected]


@pytest.mark.parametrize("method", METHODS)
def test_methods_without_knowledge_of_a_teacher_need_none(method):
    reason = METHODS[method].unsuited(Pair(replace(side(), published=True)))
    assert METHODS[method].needs_teacher() == (reason is not None)
    assert reason is None or reason.endswith(".")


def test_the_stage_that_does_not_suit_is_found():
    summed = {"weight": 1, "term": {"kind": "summed_jacobian"}}
    method = composed({"a": CROSS_ENTROPY}, {"b": summed}, shares=(0.5, 0.5))
    with pytest.raises(UserError, match="^Summed Jacobian cannot be matched"):
        read(run(method=method))


def test_records_are_frozen():
    for record, field in ((read(run()), "steps"), (Optimiser(), "kind"), (METHODS[BASELINE].stages[0], "share")):
        assert isinstance(record, RunConfig | Optimiser | Stage)
        with pytest.raises(ValueError, match="frozen"):
            setattr(record, field, 1)


def test_a_stage_without_a_step_is_a_sentence():
    method = composed({"a": CROSS_ENTROPY}, {"b": CROSS_ENTROPY}, shares=(0.1, 0.9))
    with pytest.raises(UserError, match="^Of 4 steps, the stage 'training' gets none with a share of 0.1; give"):
        read(run(method=method, steps=4))
    assert read(run(method=method, steps=0)).ends() == [0, 0]
    assert read(run(method=method, steps=10)).ends() == [1, 10]


def test_the_last_stage_ends_with_the_run():
    """Shares that make up the whole but for a rounding error, of many steps."""
    method = composed(*[{"a": CROSS_ENTROPY}] * 3, shares=(0.3333332,) * 3)
    assert read(run(method=method, steps=2_000_000)).ends() == [666_666, 1_333_333, 2_000_000]


def test_one_image_that_is_left_is_too_few_for_batch_normalisation():
    left = run(data={"name": "digits", "images": 11, "validation": 0.6}, network={"name": "wrn_10_1", "resize": 4})
    assert len(selection(read(left)).train) == 1
    assert read(left).obstacle().startswith("WRN-10-1 cannot learn from one image a step")
    assert read({**left, "data": {"name": "digits", "images": 20, "validation": 0.5}}).obstacle() == ""


def test_the_members_of_a_run_with_a_long_name_are_runs():
    named = read(run(name="n" * 120, method="labels_ensemble", teacher=TEACHER))
    for member in named.planned()["parts"]:
        assert read(member["config"]).name.endswith(f" · member {member['config']['member'] + 1}")


def test_the_content_of_ones_own_files_decides_what_a_run_is(tmp_path, store_folder):
    """A run found under the hash of another one's weights or images would be passed off as this one."""
    weights = tmp_path / "weights.pt"
    images = write(tmp_path / "images", class_folders())
    store, starting = Store(store_folder), {"name": "fc_student", "start": {"kind": "file", "path": str(weights)}}
    continued = {"name": "fc_student", "start": {"kind": "run", "run": 1}}
    own = {"data": {"name": "folder", "path": str(images), "size": 8}}

    def hashes():
        return [read(run(**changes)).hash() for changes in (
            {"network": starting}, {"network": continued}, own,
            {"teacher": run(network=starting)})]

    weights.write_bytes(b"one")
    first = hashes()
    assert len(set(first)) == 4 and hashes() == first
    weights.write_bytes(b"another")
    replace_file(store.snapshot(1, 5), b"weights")
    next(images.rglob("*.png")).unlink()
    assert not set(first) & set(hashes())


def test_a_copy_of_the_teacher_does_not_depend_on_how_weights_would_be_drawn():
    drawn = {initial: run(network={"name": "fc_student", "width": 0.1, "initial": initial})
             for initial in ("he", "truncated_normal")}
    assert read({**drawn["he"], "teacher": drawn["truncated_normal"], "method": "copy_ensemble"}).members()


WHOLE = {"name": "a run", "data": {"name": "digits", "per_class": 5, "validation": 0.2}, "steps": 20, "patience": 3,
         "network": {"name": "fc_student", "width": 0.1}, "teacher": TEACHER, "optimiser": {"learning_rate": 0.01},
         "method": {"stages": [{"name": "maps", "share": 0.5, "objective": {
             "maps": {"share": 1, "term": {"kind": "full_jacobian", "projections": 1}}}}, {"name": "task", "share": 0.5,
             "objective": {"labels": {"weight": 4, "final": 1, "term": {"kind": "cross_entropy"}}}}]}}
PATHS = [path for path, _ in _places(WHOLE)]
ANYTHING = some.recursive(some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=8),
                          lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=8), inner,
                                                                                          max_size=3), max_leaves=6)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(some.lists(some.tuples(some.sampled_from(PATHS), ANYTHING), min_size=1, max_size=3))
def test_whatever_stands_in_a_configuration_is_read_or_refused_in_a_sentence(changes):
    """And what is read survives JSON, with the same hash."""
    content = json.loads(json.dumps(WHOLE))
    for path, value in changes:
        _put(content, path, value)
    try:
        config = read(json.dumps(content))
    except UserError as error:
        sentence = str(error).replace("data.validation", "data.share")
        assert sentence.endswith((".", "?")) and not JARGON.search(sentence), sentence
        return
    again = read(config.model_dump_json())
    assert again == config and again.hash() == config.hash()


def test_the_configuration_that_is_changed_is_possible():
    assert read(WHOLE).obstacle() == ""
