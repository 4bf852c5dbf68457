"""Augmentations of a whole batch of images or rows, drawn from a given generator."""

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from nasturtium.evaluators.recipe import Recipe

__all__ = ["affine", "augment", "cutout", "flip", "noise", "shift"]

ROTATION = math.radians(15.0)
ZOOM = 0.15
SHEAR = 0.225
SHIFT_SHARE = 1 / 12
AFFINE_SHIFT_SHARE = 1 / 16
AFFINE_SHARE = 0.8


def augment(x: Tensor, recipe: Recipe, generator: Generator) -> Tensor:
    """`x` `[batch, ...]` augmented as `recipe` names it; the input is left alone."""
    if recipe.augment == "affine":
        x = affine(x, generator)
    elif recipe.augment == "flip_crop":
        x = shift(flip(x, generator), generator)
    elif recipe.augment == "crop":
        x = shift(x, generator)
    elif recipe.augment == "noise":
        x = noise(x, generator)
    if recipe.cutout > 0 and x.dim() == 4:
        x = cutout(x, recipe.cutout, generator)
    return x


def _uniform(shape: tuple[int, ...], bound: float, generator: Generator) -> Tensor:
    return (torch.rand(shape, generator=generator) * 2 - 1) * bound


def affine(x: Tensor, generator: Generator) -> Tensor:
    """Four of five images turned by up to 15 degrees, zoomed by 15 %, sheared by 0.225 and shifted.

    The shift is up to a sixteenth of the side. What comes in from outside repeats the border. `x`
    is `[batch, channels, height, width]`. Small images would lose their sharpness to a linear
    interpolation, and a network that never sees a sharp one errs on those that it is tested with:
    so it is cubic, within the range of `x`, and some images are left as they are.
    """
    n = len(x)
    angle = _uniform((n,), ROTATION, generator)
    zoom = 1 + _uniform((n,), ZOOM, generator)
    shear = _uniform((n,), SHEAR, generator)
    move = _uniform((n, 2), 2 * AFFINE_SHIFT_SHARE, generator)  # half of the side is 1
    moved = torch.rand((n, 1, 1, 1), generator=generator) < AFFINE_SHARE
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    theta = torch.empty((n, 2, 3))
    theta[:, 0, 0], theta[:, 0, 1] = cos, shear * cos - sin
    theta[:, 1, 0], theta[:, 1, 1] = sin, shear * sin + cos
    theta[:, :, 2] = move
    grid = F.affine_grid(theta.to(x.device), list(x.shape), align_corners=False)
    out = F.grid_sample(x, grid, mode="bicubic", padding_mode="border", align_corners=False)
    return torch.where(moved.to(x.device), out.clamp(x.amin(), x.amax()), x)


def flip(x: Tensor, generator: Generator) -> Tensor:
    """Half of the images mirrored left to right."""
    mirrored = torch.rand((x.shape[0], 1, 1, 1), generator=generator) < 0.5
    return torch.where(mirrored.to(x.device), x.flip(3), x)


def shift(x: Tensor, generator: Generator) -> Tensor:
    """Each image moved by whole pixels, up to a twelfth of the side; the border is repeated."""
    n, channels, height, width = x.shape
    rows = _moved(n, height, generator).to(x.device)
    columns = _moved(n, width, generator).to(x.device)
    x = x.gather(2, rows[:, None, :, None].expand(n, channels, height, width))
    return x.gather(3, columns[:, None, None, :].expand(n, channels, height, width))


def _moved(n: int, size: int, generator: Generator) -> Tensor:
    most = max(1, round(size * SHIFT_SHARE))
    offset = torch.randint(-most, most + 1, (n, 1), generator=generator)
    return (torch.arange(size) + offset).clamp(0, size - 1)


def cutout(x: Tensor, share: float, generator: Generator) -> Tensor:
    """A square of `share` times the side set to zero in each image (DeVries and Taylor 2017)."""
    n, _, height, width = x.shape
    masks = []
    for size in (height, width):
        half = max(1, round(size * share)) / 2
        center = torch.rand((n, 1), generator=generator) * size
        masks.append((torch.arange(size) + 0.5 - center).abs() < half)
    hole = masks[0][:, None, :, None] & masks[1][:, None, None, :]
    return x.masked_fill(hole.to(x.device), 0.0)


def noise(x: Tensor, generator: Generator) -> Tensor:
    """Gaussian noise of a twentieth of a standard deviation on scaled columns."""
    return x + 0.05 * torch.randn(x.shape, generator=generator).to(x.device)
