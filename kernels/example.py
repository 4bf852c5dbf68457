"""A kernel of one's own: the sum of normalized branches with every sum in double.

It is registered like the built-in ones, gets the operator's autograd, fake tensors and fallback,
and runs where ``NASTURTIUM_KERNELS=double`` says so:

    >>> from nasturtium.kernels import example, normalize_and_mix
    >>> example.register()
    >>> explain = importlib.import_module("nasturtium.kernels.mix.ops").explain
    >>> os.environ["NASTURTIUM_KERNELS"] = "double"
    >>> explain([torch.randn(2, 3, 4, 4)], torch.ones(1))
    Choice(name='double', reason='torch, in double')
    >>> normalize_and_mix([torch.randn(2, 3, 4, 4)], torch.ones(1)).dtype
    torch.float32

``forward`` and ``backward`` take and return what the docstrings of the operator's two custom
operators say (``mix/ops.py``): new tensors, images channels-last, never a view of an argument.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor

from . import dispatch
from .mix.ops import NAME

_LAST = torch.channels_last
_IMAGE = (0, 2, 3)


def forward(
    branches: list[Tensor],
    alpha: Tensor,
    mean: Tensor,
    variance: Tensor,
    normalized: list[bool],
    training: bool,
    epsilon: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """The sum, and the statistics ``[K, C]``."""
    if training:
        moments = [torch.var_mean(z.double(), _IMAGE, correction=0) for z in branches]
        variance = torch.stack([v for v, _ in moments]).float()
        mean = torch.stack([m for _, m in moments]).float()
    total = torch.zeros_like(branches[0], dtype=torch.float64, memory_format=_LAST)
    for k, z in enumerate(branches):
        total += alpha[k] * (_standard(z, mean[k], variance[k], epsilon) if normalized[k] else z)
    return total.float(), mean.clone(), variance.clone()


def backward(
    grad: Tensor,
    branches: list[Tensor],
    alpha: Tensor,
    mean: Tensor,
    variance: Tensor,
    normalized: list[bool],
    training: bool,
    epsilon: float,
    needs: list[bool],
) -> list[Tensor]:
    """The gradient of alpha and that of each branch; empty where ``needs`` does not ask for it."""
    g = grad.double()
    of_alpha, of_branches = torch.zeros_like(alpha), []
    for k, z in enumerate(branches):
        value, scale = z.double(), torch.ones_like(g[:1, :, :1, :1])
        if normalized[k]:
            value = _standard(z, mean[k], variance[k], epsilon)
            scale = (variance[k].double() + epsilon).rsqrt().view(1, -1, 1, 1)
        of_alpha[k] = (g * value).sum()
        own = g
        if normalized[k] and training:
            own = g - g.mean(_IMAGE, True) - value * (g * value).mean(_IMAGE, True)
        of_branches.append((alpha[k] * scale * own).float().contiguous(memory_format=_LAST))
    found = [of_alpha, *of_branches]
    return [t if asked else t.new_empty(0) for t, asked in zip(found, needs, strict=True)]


def _standard(z: Tensor, mean: Tensor, variance: Tensor, epsilon: float) -> Tensor:
    about, spread = (t.double().view(1, -1, 1, 1) for t in (mean, variance))
    return (z.double() - about) / (spread + epsilon).sqrt()


def register() -> None:
    """Add it under the name ``double``, for any device."""
    own = SimpleNamespace(forward=forward, backward=backward)
    dispatch.register(NAME, "double", lambda: own, about=lambda: "torch, in double")
