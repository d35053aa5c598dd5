"""Coloured shapes on textured backgrounds: a made set, ten classes of 32×32, with the truth about where to look.

A shape's class decides its outline and nothing else: place, size, rotation, colours and textures are drawn without
regard to it. With a watermark, a small mark at the border also betrays the class of every training image; in the test
images the mark is that of a class drawn at random, so that a network that learned the mark is found out.
"""

from __future__ import annotations

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from kdcore.device import cores
from kdcore.places import cache_folder, replace_file

SIDE = 32
COUNTS = {"train": 10_000, "test": 2_000}
CLASSES = ("disc", "ring", "square", "triangle", "star", "cross", "crescent", "heart", "arrow", "bars")
MARK = 3
BLOCK = 250
_SEEDS = {"train": 1, "test": 2}
_PIXELS = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="xy"), -1).astype(np.float32)  # (H, W, xy)


@dataclass(frozen=True)
class Shapes:
    """One part: `pixels` (N, 3, 32, 32) uint8, `labels` (N,) int64, `masks` and `marks` (N, 32, 32) bool.

    `masks` is where the object is seen, `marks` where the watermark is: nowhere, where the set has none.
    """

    pixels: np.ndarray
    labels: np.ndarray
    masks: np.ndarray
    marks: np.ndarray


def arrays(watermark: bool) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """{"train": (pixels, labels), "test": ...}."""
    return {part: (drawn(part, watermark).pixels, drawn(part, watermark).labels) for part in COUNTS}


@lru_cache(maxsize=4)
def drawn(part: str, watermark: bool) -> Shapes:
    """The images of "train" or "test"; always the same ones. Drawn once in seconds, then kept in the cache folder."""
    code = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    path = cache_folder() / f"shapes-{code}-{part}{'-watermark' * watermark}.npz"
    try:
        with np.load(path) as kept:
            return Shapes(*(kept[field.name] for field in fields(Shapes)))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):  # not there, or not whole
        made = _draw(part, watermark)
    buffer = io.BytesIO()
    np.savez(buffer, **vars(made))
    with suppress(OSError):  # a full disk only costs the time to draw them again
        replace_file(path, buffer.getvalue())
    return made


def _draw(part: str, watermark: bool) -> Shapes:
    with ThreadPoolExecutor(cores()) as pool:
        blocks = list(pool.map(lambda block: _block(part, block, watermark), range(COUNTS[part] // BLOCK)))
    return Shapes(*map(np.concatenate, zip(*blocks)))


def _block(part: str, block: int, watermark: bool) -> tuple[np.ndarray, ...]:
    """Pixels, labels, masks and marks of `BLOCK` images."""
    random = np.random.default_rng((_SEEDS[part], block))
    labels = random.permutation(np.arange(BLOCK) % len(CLASSES))
    cover = _objects(random, labels)
    pixels, colours = _backgrounds(random, BLOCK)
    pixels += cover[:, None] * (_paint(random, colours) - pixels)
    pixels += 0.02 * random.standard_normal(pixels.shape, np.float32)
    masks, marks = cover > 0.5, np.zeros(cover.shape, bool)
    if watermark:
        shown = labels if part == "train" else random.integers(0, len(CLASSES), BLOCK)
        marks = _places()[shown]
        pixels = np.where(marks[:, None], _hues()[shown][..., None, None], pixels)
    stored = np.rint(pixels.clip(0, 1) * 255).astype(np.uint8)
    return stored, labels.astype(np.int64), masks & ~marks, marks


def _objects(random: np.random.Generator, labels: np.ndarray) -> np.ndarray:
    """(N, H, W) float32: the share of each pixel that the object covers."""
    count = len(labels)
    radius = _uniform(random, 6.5, 11.5, count)
    reach = SIDE / 2 - 1.5 - radius  # how far the centre may lie from the middle: no object is cut off
    centre = SIDE / 2 - 0.5 + _uniform(random, -1, 1, (count, 2)) * reach[:, None]
    angle = _uniform(random, 0, 2 * np.pi, count)
    cover = np.empty((count, SIDE, SIDE), np.float32)
    for label, name in enumerate(CLASSES):
        of_class = np.flatnonzero(labels == label)
        turn = np.stack([np.cos(angle[of_class]), np.sin(angle[of_class])], -1)[:, None, None]
        offset = _PIXELS - centre[of_class][:, None, None]  # (n, H, W, xy)
        x = (offset * turn).sum(-1) / radius[of_class, None, None]
        y = (offset[..., 1] * turn[..., 0] - offset[..., 0] * turn[..., 1]) / radius[of_class, None, None]
        distance = _DISTANCES[name](x, y) * radius[of_class, None, None]
        cover[of_class] = (0.5 - distance).clip(0, 1)
    return cover


def _polygon(*corners: tuple[float, float]):
    """The signed distance to a polygon: negative inside."""
    points = [(float(x), float(y)) for x, y in corners]

    def distance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        nearest, inside = np.full_like(x, np.inf), np.zeros(x.shape, bool)
        for (ax, ay), (bx, by) in zip(points, [*points[1:], points[0]]):
            ex, ey = bx - ax, by - ay
            along = (((x - ax) * ex + (y - ay) * ey) / (ex * ex + ey * ey)).clip(0, 1)
            nearest = np.minimum(nearest, (x - ax - along * ex) ** 2 + (y - ay - along * ey) ** 2)
            if ey:
                inside ^= ((y >= ay) != (y >= by)) & (x < ax + (y - ay) * (ex / ey))
        return np.sqrt(nearest) * np.where(inside, -1, 1)

    return distance


def _on_circle(*polar: tuple[float, float]) -> tuple[tuple[float, float], ...]:
    return tuple((radius * np.cos(np.radians(degrees)), radius * np.sin(np.radians(degrees)))
                 for degrees, radius in polar)


def _disc(x: np.ndarray, y: np.ndarray, radius: float, at: tuple[float, float] = (0, 0)) -> np.ndarray:
    return np.hypot(x - at[0], y - at[1]) - radius


def _heart(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    lobes = np.minimum(_disc(x, y, 0.5, (-0.42, -0.38)), _disc(x, y, 0.5, (0.42, -0.38)))
    return np.minimum(lobes, _polygon((-0.86, -0.14), (0, -0.6), (0.86, -0.14), (0, 1))(x, y))


_DISTANCES = {
    "disc": lambda x, y: _disc(x, y, 0.85),
    "ring": lambda x, y: np.abs(_disc(x, y, 0.74)) - 0.2,
    "square": _polygon(*_on_circle((45, 1), (135, 1), (225, 1), (315, 1))),
    "triangle": _polygon(*_on_circle((90, 1), (210, 1), (330, 1))),
    "star": _polygon(*_on_circle(*((36 * k, 0.42 if k % 2 else 1) for k in range(10)))),
    "cross": _polygon((-0.25, -0.95), (0.25, -0.95), (0.25, -0.25), (0.95, -0.25), (0.95, 0.25), (0.25, 0.25),
                      (0.25, 0.95), (-0.25, 0.95), (-0.25, 0.25), (-0.95, 0.25), (-0.95, -0.25), (-0.25, -0.25)),
    "crescent": lambda x, y: np.maximum(_disc(x, y, 0.95), -_disc(x, y, 0.8, (0.5, 0))),
    "heart": _heart,
    "arrow": _polygon((1, 0), (0.15, 0.75), (0.15, 0.25), (-0.95, 0.25), (-0.95, -0.25), (0.15, -0.25),
                      (0.15, -0.75)),
    "bars": lambda x, y: np.minimum(_polygon((-0.85, -0.6), (0.85, -0.6), (0.85, -0.2), (-0.85, -0.2))(x, y),
                                    _polygon((-0.85, 0.2), (0.85, 0.2), (0.85, 0.6), (-0.85, 0.6))(x, y)),
}


def _backgrounds(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3, H, W) float32 of two textures with a wavy border and a few soft spots; and their mean colour (N, 3)."""
    base = _uniform(random, 0.15, 0.85, (count, 3))
    tints = [base + 0.12 * random.standard_normal((count, 3), np.float32) for _ in range(4)]
    halves = [_between(_weave(random, count), *tints[at : at + 2]) for at in (0, 2)]
    border = 1 / (1 + np.exp(-8 * (_weave(random, count, 0.4) - _uniform(random, 0.1, 0.9, (count, 1, 1)))))
    painted = halves[0] + border[:, None] * (halves[1] - halves[0])
    for _ in range(3):
        at, wide = _uniform(random, 0, SIDE, (count, 2, 1)), _uniform(random, 0.8, 2.2, (count, 1, 1))
        bells = np.exp(-((np.arange(SIDE, dtype=np.float32) - at) ** 2) / (2 * wide**2))  # (N, xy, side)
        spot = (bells[:, 1, :, None] * bells[:, 0, None, :])[:, None]
        painted += 0.8 * spot * (_uniform(random, 0, 1, (count, 3, 1, 1)) - painted)
    return painted, base


def _paint(random: np.random.Generator, background: np.ndarray) -> np.ndarray:
    """(N, 3, H, W): the object's own texture, in a colour that stands out against the background's (N, 3)."""
    candidates = _uniform(random, 0, 1, (len(background), 6, 3))
    furthest = ((candidates - background[:, None]) ** 2).sum(-1).argmax(1)
    colour = candidates[np.arange(len(background)), furthest]
    other = colour + 0.1 * random.standard_normal(colour.shape, np.float32)
    return _between(_weave(random, len(background)), colour, other)


def _weave(random: np.random.Generator, count: int, finest: float = 1.6) -> np.ndarray:
    """(N, H, W) in [0, 1]: two waves of random direction and length, one bending the other."""
    wave = np.zeros((count, SIDE, SIDE), np.float32)
    for _ in range(2):
        angle, pace = _uniform(random, 0, 2 * np.pi, (count, 1, 1)), _uniform(random, 0.15, finest, (count, 1, 1))
        phase = _uniform(random, 0, 2 * np.pi, (count, 1, 1))
        wave = np.sin(pace * (np.cos(angle) * _PIXELS[..., 0] + np.sin(angle) * _PIXELS[..., 1]) + phase + 1.5 * wave)
    return 0.5 + 0.5 * wave


def _uniform(random: np.random.Generator, low: float, high: float, shape) -> np.ndarray:
    return low + (high - low) * random.random(shape, np.float32)


def _between(share: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return one[..., None, None] + share[:, None] * (other - one)[..., None, None]


def _places() -> np.ndarray:
    """(10, H, W) bool: where each class's mark is, evenly along the border."""
    room = SIDE - MARK
    places = np.zeros((len(CLASSES), SIDE, SIDE), bool)
    for label in range(len(CLASSES)):
        edge, along = divmod(4 * label / len(CLASSES), 1)
        step = round(along * room)
        top, left = ((0, step), (step, room), (room, room - step), (room - step, 0))[int(edge)]
        places[label, top : top + MARK, left : left + MARK] = True
    return places


def _hues() -> np.ndarray:
    """(10, 3): each class's mark in a colour of its own."""
    turns = np.arange(len(CLASSES))[:, None] / len(CLASSES) + np.array([0, 1 / 3, 2 / 3])
    return (0.5 + 0.5 * np.cos(2 * np.pi * turns)).astype(np.float32)
