"""Answers to an image that is given: the same maps as of a test image, and files that become one."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from kdcore import inspect
from kdcore.config import read
from kdcore.errors import UserError
from kdcore.inspect.networks import loaded
from tests.data.made import class_folders, write
from tests.test_inspect import CATALOGUE, network, trained  # noqa: F401


@pytest.mark.parametrize("kind", [*CATALOGUE["maps"], "attribution.saliency"])
def test_a_test_image_that_is_given_has_the_maps_that_it_has_in_its_set(trained, kind):  # noqa: F811
    """Where teacher and label agree, which they do on this one."""
    store, teacher, student, baseline = trained
    networks, settings = [(teacher, None), (student, None), (baseline, None)], {}
    image = inspect.image(store, student, 3)
    found = inspect.answers_to(store, networks, image["pixels"], kind, (teacher, None), settings)
    known = inspect.maps(store, networks, kind, 3, teacher=(teacher, None), settings=settings)
    assert found["label"] == image["label"] and np.array_equal(found["pixels"], image["pixels"])
    for ours, theirs in zip(found["entries"], known):
        assert ours["maps"] is not None and np.array_equal(ours["maps"], theirs["maps"])
        assert ours["distance"] == theirs["distance"]
        assert np.array_equal(ours["probabilities"], theirs["probabilities"])


def test_the_networks_see_the_image_disturbed(trained):  # noqa: F811
    store, teacher, student, _ = trained
    disturbed = {"noise": 0.2, "shift": [0.1, -0.2], "rotation": 25, "square": 0.3, "at": [0.2, 0.5], "seed": 6}
    pixels = inspect.image(store, student, 8)["pixels"].tolist()
    found = inspect.answers_to(store, [(student, None)], pixels, "full_jacobian", (teacher, None),
                               perturbation=disturbed)
    seen = inspect.perturbed(torch.tensor([pixels]), **disturbed)
    assert np.array_equal(found["pixels"], seen[0]) and found["pixels"].shape == (1, 8, 8)
    logits = loaded(store, student, None)(seen)
    np.testing.assert_allclose(found["entries"][0]["probabilities"], logits.softmax(1)[0], rtol=1e-5)


@pytest.mark.parametrize("taught", [True, False])
def test_the_label_is_what_the_teacher_says_or_else_the_student(trained, taught):  # noqa: F811
    store, teacher, student, baseline = trained
    networks, asked = [(baseline, None), (student, None)], (teacher, None) if taught else None
    answers, said = [], []
    for index in range(0, 500, 23):  # of all classes
        pixels = inspect.image(store, student, index)["pixels"]
        found = inspect.answers_to(store, networks, pixels, "cost_gradient", asked)
        assert found["by"] == (asked or (baseline, None)) and found["classes"] == tuple("0123456789")
        answers.append(found["label"])
        said.append(int(loaded(store, *found["by"])(torch.tensor(pixels[None])).argmax()))
    assert answers == said and len(set(answers)) > 3


def test_another_shape_is_a_sentence(trained):  # noqa: F811
    store, _, student, _ = trained
    with pytest.raises(UserError, match=r"Digits has the shape \(1, 8, 8\), and this one \(3, 8, 8\)"):
        inspect.answers_to(store, [(student, None)], np.zeros((3, 8, 8)), "full_jacobian")


def file_of(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, kind)
    return content.getvalue()


def test_a_file_becomes_an_image_of_the_set(trained, tmp_path):  # noqa: F811
    """Its centred square, grey where the set is, coloured where the set is."""
    store, _, student, _ = trained
    tall = np.zeros((24, 8, 3), np.uint8)
    tall[8:16] = np.random.default_rng(1).integers(0, 256, (8, 8, 3))
    grey = tall[8:16] @ np.array([0.299, 0.587, 0.114]) / 255
    found = inspect.from_file(store, student, file_of(tall))
    assert found.shape == (1, 8, 8) and found.dtype == np.float32
    np.testing.assert_allclose(found[0], grey, atol=1 / 255)
    np.testing.assert_allclose(inspect.from_file(store, student, file_of(tall), inverted=True), 1 - found, atol=1e-6)
    own = {"name": "folder", "path": str(write(tmp_path / "set", class_folders())), "size": 8}
    coloured = store.submit(read({"data": own, "network": network("fc_student", 0.02)}).planned())
    flat = np.full((50, 70, 3), (255, 51, 0), np.uint8)
    np.testing.assert_allclose(inspect.from_file(store, coloured, file_of(flat)),
                               np.broadcast_to(np.float32([1, 0.2, 0])[:, None, None], (3, 8, 8)), atol=1e-6)


@pytest.mark.parametrize(("content", "reason"), [
    (b"", "it cannot be decoded"), (b"<svg/>", "it cannot be decoded"),
    (file_of(np.zeros((8000, 8000), np.uint8)), r"more than 40 million pixels \(8000×8000\)"),
    (file_of(np.zeros((20_000, 9_500), bool)), "far more than 40 million pixels")],
    ids=["empty", "svg", "large", "bomb"])
def test_what_is_no_image_or_too_large_is_a_sentence(trained, content, reason):  # noqa: F811
    store, _, student, _ = trained
    with pytest.raises(UserError, match=f"This file cannot be used: .*{reason}.* Take a photograph"):
        inspect.from_file(store, student, content)
