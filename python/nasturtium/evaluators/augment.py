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


def _most_shift(size: int) -> int:
    return max(1, round(size * SHIFT_SHARE))


def affine(x: Tensor, generator: Generator) -> Tensor:
    """Each image rotated by up to 15 degrees, zoomed by 15 %, sheared by 0.225 and shifted.

    The shift is up to a twelfth of the side, at least one pixel. What comes in from outside
    repeats the border. `x` is `[batch, channels, height, width]`.
    """
    n, _, height, width = x.shape
    angle = _uniform((n,), ROTATION, generator)
    zoom = 1 + _uniform((n,), ZOOM, generator)
    shear = _uniform((n,), SHEAR, generator)
    move = _uniform((n, 2), 1.0, generator)
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    theta = torch.empty((n, 2, 3))
    theta[:, 0, 0], theta[:, 0, 1] = cos, shear * cos - sin
    theta[:, 1, 0], theta[:, 1, 1] = sin, shear * sin + cos
    theta[:, 0, 2] = move[:, 0] * (2 * _most_shift(width) / width)
    theta[:, 1, 2] = move[:, 1] * (2 * _most_shift(height) / height)
    grid = F.affine_grid(theta.to(x.device), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


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
    most = _most_shift(size)
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
