"""The edge of PC-DARTS: a mixed operation on some channels, shuffled with those that pass by."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from ..dispatch import choose
from ..mixed_op.checks import check, unsupported
from ..mixed_op.ops import NAME, mixed_operation, run
from ..mixed_op.spec import CANDIDATES, as_edge, check_storage
from ..statistics import Running
from .ops import join_channels, split_channels


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _in_one(device: str, dtype: str, reason: str) -> bool:
    """Whether the chosen kernel mixes images in part: the CPU's does."""
    return choose(NAME, device=device, dtype=dtype, unsupported=reason).name == "cpu"


def partial_mix(
    x: Tensor,
    alpha: Tensor,
    weights: Sequence[Tensor],
    *,
    parts: int = 4,
    candidates: Sequence[str] = CANDIDATES,
    stride: int = 1,
    running: Running | None = None,
    training: bool = True,
    momentum: float = 0.1,
    epsilon: float = 1e-5,
    storage: str = "float32",
) -> Tensor:
    """The first of ``parts`` parts of the channels mixed, the others passed by, and all shuffled.

    Channel i of part k becomes number ``i parts + k``. On the CPU and with stride 1 it is one
    operator, else ``split_channels``, ``mixed_operation`` and ``join_channels``, each as it is
    dispatched; with stride 2 what passes by is the maximum of 2 x 2 pixels.

    Args:
        x: ``[N, C, H, W]``.
        alpha: ``[K]`` or ``[N, K]``, see ``mixed_operation``.
        weights: of the convolutions of ``C / parts`` channels.
        parts: at least 2, a divisor of C.
        candidates: see ``mixed_operation``, as all that follow.
        stride: 1 or 2.
        running: statistics of ``C / parts`` channels each.
        training: whether mean and variance are those of the batch.
        momentum: weight of the batch in the running statistics.
        epsilon: added to the variances.
        storage: format of what is kept.

    Returns:
        ``[N, C, ceil(H / stride), ceil(W / stride)]``, channels-last where a kernel ran.

    Raises:
        ValueError: as ``mixed_operation``, or the channels have no such parts.

    Reference:
        Xu et al., PC-DARTS: Partial Channel Connections for Memory-Efficient Architecture Search,
        ICLR 2020, section 3.2.

    Example:
        >>> x, alpha = torch.randn(2, 8, 6, 6), torch.tensor([0.25, 0.75])
        >>> partial_mix(x, alpha, [], candidates=("max_pool_3x3", "skip_connect")).shape
        torch.Size([2, 8, 6, 6])
    """
    edge = as_edge(candidates, stride)
    check_storage(storage)
    if x.dim() != 4 or parts < 2 or x.shape[1] % parts:
        raise ValueError(f"x of shape {tuple(x.shape)} has no {parts} parts of channels")
    own = x[:, : x.shape[1] // parts]
    check([own], [alpha], [weights], [edge], running, training)
    reason = unsupported([x], [alpha, *weights], [edge], training)
    if stride == 1 and _in_one(x.device.type, str(x.dtype), reason):
        return run(
            [x], [alpha], weights, [edge], running, parts=parts,
            training=training, momentum=momentum, epsilon=epsilon, storage=storage,
        )  # fmt: skip
    own, rest = split_channels(x, parts)
    mixed = mixed_operation(
        own, alpha, weights, candidates=candidates, stride=stride, running=running,
        training=training, momentum=momentum, epsilon=epsilon, storage=storage,
    )  # fmt: skip
    if stride == 2:
        rest = max_pool2d(rest, 2, 2, ceil_mode=True)
    return join_channels(mixed, rest, shuffled=True)
