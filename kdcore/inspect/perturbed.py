"""Images that are disturbed: noise, a shift, a rotation, and a grey square before a part of them."""

from __future__ import annotations

from torch import Tensor

from kdcore.inspect.noise import noisy

GREY = 0.5


def perturbed(pixels: Tensor, *, noise: float = 0.0, shift: tuple[float, float] = (0.0, 0.0), rotation: float = 0.0,
              square: float = 0.0, at: tuple[float, float] = (0.5, 0.5), seed: int = 0) -> Tensor:
    """Images (N, C, H, W) in [0, 1], rotated, then shifted, then covered by a square, then with noise: (N, C, H, W).

    `rotation` in degrees, clockwise, about the centre; `shift` (across, down), `square` (its side) and `at` (its
    centre, across and down) are shares of width and height. Black comes in at the edges; between pixels it is
    interpolated. `noise` is the standard deviation of normal noise, in units of the pixels and not clipped, as Srinivas
    & Fleuret 2018, Table 2, have it: beyond [0, 1] where it is strong. One `seed`, one draw.
    """
    height, width = pixels.shape[-2:]
    if rotation or any(shift):
        from torchvision.transforms import InterpolationMode  # takes two seconds, of which other questions know nothing
        from torchvision.transforms.functional import affine

        pixels = affine(pixels, rotation, [shift[0] * width, shift[1] * height], scale=1.0, shear=[0.0],
                        interpolation=InterpolationMode.BILINEAR)
    if square:
        (left, right), (top, bottom) = (_ends(square, centre, side) for centre, side in zip(at, (width, height)))
        pixels = pixels.clone()
        pixels[..., top:bottom, left:right] = GREY
    return noisy(pixels, noise, seed)


def _ends(share: float, centre: float, side: int) -> tuple[int, int]:
    """The first pixel that is covered, and the one after the last."""
    ends = (round((centre + half * share) * side) for half in (-0.5, 0.5))
    return tuple(min(max(end, 0), side) for end in ends)
