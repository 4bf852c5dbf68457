"""The mixed operation in loops over pixels."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def normalized(z: Array, epsilon: float) -> Array:
    out = np.empty_like(z)
    for c in range(z.shape[1]):
        values = z[:, c].ravel().tolist()
        mean = math.fsum(values) / len(values)
        variance = math.fsum((v - mean) ** 2 for v in values) / len(values)
        out[:, c] = (z[:, c] - mean) / math.sqrt(variance + epsilon)
    return out


def pool(x: Array, stride: int, join: Callable[[list[float]], float]) -> Array:
    n, channels, h, w = x.shape
    out = np.empty((n, channels, (h - 1) // stride + 1, (w - 1) // stride + 1))
    for i, c, r, s in np.ndindex(*out.shape):
        rows = range(max(r * stride - 1, 0), min(r * stride + 2, h))
        columns = range(max(s * stride - 1, 0), min(s * stride + 2, w))
        out[i, c, r, s] = join([float(x[i, c, a, b]) for a, b in itertools.product(rows, columns)])
    return out


def separable(x: Array, depthwise: Array, pointwise: Array, stride: int, dilation: int) -> Array:
    n, channels, h, w = x.shape
    k = depthwise.shape[-1]
    p = dilation * (k - 1) // 2
    middle = np.zeros((n, channels, (h - 1) // stride + 1, (w - 1) // stride + 1))
    for i, c, r, s in np.ndindex(*middle.shape):
        for a, b in itertools.product(range(k), repeat=2):
            row, column = r * stride + a * dilation - p, s * stride + b * dilation - p
            if 0 <= row < h and 0 <= column < w:
                middle[i, c, r, s] += depthwise[c, 0, a, b] * max(x[i, c, row, column], 0.0)
    out = np.zeros_like(middle)
    for i, c, r, s in np.ndindex(*middle.shape):
        out[i, c, r, s] = sum(pointwise[c, d, 0, 0] * middle[i, d, r, s] for d in range(channels))
    return out


def halved(x: Array, even: Array, odd: Array) -> Array:
    n, channels, h, w = x.shape
    out = np.zeros((n, channels, (h + 1) // 2, (w + 1) // 2))
    for i, b, r, s in np.ndindex(*out.shape):
        first = b < len(even)
        row, column = 2 * r + (not first), 2 * s + (not first)
        weight = even[b] if first else odd[b - len(even)]
        if row < h and column < w:
            out[i, b, r, s] = sum(
                weight[d, 0, 0] * max(x[i, d, row, column], 0.0) for d in range(channels)
            )
    return out


def mixed_twin(
    x: Array,
    alpha: Sequence[float],
    weights: Sequence[Array],
    candidates: Sequence[str],
    stride: int,
    epsilon: float,
) -> Array:
    """The sum over the candidates."""
    rest = iter(weights)
    total = np.zeros_like(pool(x, stride, max))
    for name, weight in zip(candidates, alpha, strict=True):
        if name == "none":
            continue
        if name == "skip_connect":
            value = x if stride == 1 else normalized(halved(x, next(rest), next(rest)), epsilon)
        elif name == "max_pool_3x3":
            value = normalized(pool(x, stride, max), epsilon)
        elif name == "avg_pool_3x3":
            value = normalized(pool(x, stride, lambda v: math.fsum(v) / len(v)), epsilon)
        elif name.startswith("dil"):
            value = normalized(separable(x, next(rest), next(rest), stride, 2), epsilon)
        else:
            middle = normalized(separable(x, next(rest), next(rest), stride, 1), epsilon)
            value = normalized(separable(middle, next(rest), next(rest), 1, 1), epsilon)
        total += weight * value
    return total
