"""Parts of channels in plain torch: the definition that the kernel must agree with."""

from __future__ import annotations

import torch
from torch import Tensor


def split(x: Tensor, parts: int, shuffled: bool) -> tuple[Tensor, Tensor]:
    """The first of ``parts`` equal parts of the channels, and the others."""
    n, c, h, w = x.shape
    own = c // parts
    if shuffled:
        x = x.view(n, own, parts, h, w).transpose(1, 2).reshape(n, c, h, w)
    return x[:, :own], x[:, own:]


def join(first: Tensor, rest: Tensor, shuffled: bool) -> Tensor:
    """The inverse: shuffled, the channel with number i in part k becomes number k of group i."""
    x = torch.cat([first, rest], 1)
    if not shuffled:
        return x
    n, c, h, w = x.shape
    own = first.shape[1]
    return x.view(n, c // own, own, h, w).transpose(1, 2).reshape(n, c, h, w)
