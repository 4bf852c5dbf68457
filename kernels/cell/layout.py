"""Images and weights of searched cells as kernels take them, and memory for their results."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from .spec import padded_channels, pairs

LAST = torch.channels_last


def whole(x: Tensor) -> Tensor:
    """Channels-last, with zeros for the channels up to a multiple of eight."""
    missing = padded_channels(x.shape[1]) - x.shape[1]
    return (pad(x, (0, 0, 0, 0, 0, missing)) if missing else x).contiguous(memory_format=LAST)


def part(x: Tensor, channels: int) -> Tensor:
    """The first channels alone."""
    return x if x.shape[1] == channels else x[:, :channels].contiguous(memory_format=LAST)


def whole_weights(weights: Sequence[Tensor]) -> list[Tensor]:
    """Contiguous, with zeros for the same channels."""
    missing = padded_channels(weights[0].shape[0]) - weights[0].shape[0]
    if missing:
        weights = [pad(w, (0, 0, 0, 0, 0, missing, 0, missing)) for w in weights]
    return [w.contiguous() for w in weights]


def outputs(
    x: Tensor, mean: Tensor, variance: Tensor, nodes: int, training: bool, keep: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Memory for what the operator returns."""
    n, c, h, w = x.shape
    own, edges = padded_channels(c), len(pairs(nodes))
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device, memory_format=LAST)
    between = x.new_empty((nodes - 2, n, h, w, own) if keep else 0)
    dense = x.new_empty((edges, n, h, w, own) if keep else 0)
    moments = x.new_zeros((nodes - 1, 1 + own, own) if keep else 0)
    if training:
        shape = (2 * edges, own)
        return out, between, dense, moments, x.new_empty(shape), x.new_empty(shape)
    missing = (0, own - mean.shape[1])
    return out, between, dense, moments, pad(mean, missing), pad(variance, missing)


def without_padding(found: list[Tensor], channels: int, needs: int) -> list[Tensor]:
    """Gradients as ``gradients`` has them, of the first channels alone."""
    if needs & 1:
        found[0] = part(found[0], channels)
    if needs & 4 and found[2].shape[0] != channels:
        found[2:] = [w[:channels, :channels].contiguous() for w in found[2:]]
    return found
