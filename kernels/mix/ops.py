"""The sum of normalized branches as a torch operator with a gradient."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from .. import dispatch
from ..dispatch import Choice, choose
from ..gpu import register_triton
from ..statistics import Running, stacked, update
from . import reference
from .spec import MOST_BRANCHES

NAME = "normalize_and_mix"
# Elements below which a second thread costs more than it brings.
_WORK_PER_THREAD = 20_000
_LAST = torch.channels_last


def _sizes(
    branches: Sequence[Tensor], normalized: list[bool], training: bool, epsilon: float
) -> dict[str, Any]:
    n, c, h, w = branches[0].shape
    work = len(branches) * branches[0].numel()
    return {
        "pixels": n * h * w,
        "channels": c,
        "normalized": normalized,
        "training": training,
        "epsilon": epsilon,
        "threads": max(1, min(torch.get_num_threads(), work // _WORK_PER_THREAD)),
    }


@torch.library.custom_op("nasturtium::normalize_and_mix", mutates_args=())
def _forward(
    branches: list[Tensor],
    alpha: Tensor,
    mean: Tensor,
    variance: Tensor,
    normalized: list[bool],
    training: bool,
    epsilon: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """The sum and the statistics ``[K, C]``; ``mean`` and ``variance`` count when not training."""
    settings = (normalized, training, epsilon)
    found: tuple[Tensor, Tensor, Tensor] = dispatch.forward(
        NAME, alpha.device.type, branches, alpha, mean, variance, *settings
    )
    return found


def _cpu_forward(
    branches: list[Tensor],
    alpha: Tensor,
    mean: Tensor,
    variance: Tensor,
    normalized: list[bool],
    training: bool,
    epsilon: float,
) -> tuple[Tensor, Tensor, Tensor]:
    from .. import _cpu

    branches = [branch.contiguous(memory_format=_LAST) for branch in branches]
    out, mean, variance = outputs(branches, mean, variance, training)
    _cpu.mix_forward(
        [branch.data_ptr() for branch in branches],
        alpha.contiguous().data_ptr(),
        out.data_ptr(),
        mean.data_ptr(),
        variance.data_ptr(),
        **_sizes(branches, normalized, training, epsilon),
    )
    return out, mean, variance


def outputs(
    branches: Sequence[Tensor], mean: Tensor, variance: Tensor, training: bool
) -> tuple[Tensor, Tensor, Tensor]:
    x = branches[0]
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device, memory_format=_LAST)
    if not training:
        return out, mean.clone(), variance.clone()
    shape = (len(branches), x.shape[1])
    return out, x.new_zeros(shape), x.new_zeros(shape)


@_forward.register_fake
def _(
    branches: list[Tensor],
    alpha: Tensor,
    mean: Tensor,
    variance: Tensor,
    normalized: list[bool],
    training: bool,
    epsilon: float,
) -> tuple[Tensor, Tensor, Tensor]:
    return outputs(branches, mean, variance, training)


@torch.library.custom_op("nasturtium::normalize_and_mix_backward", mutates_args=())
def _backward(
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
    """The gradient of alpha and that of each branch, empty where ``needs`` does not ask for it."""
    settings = (normalized, training, epsilon, needs)
    found: list[Tensor] = dispatch.backward(
        NAME, alpha.device.type, grad, branches, alpha, mean, variance, *settings
    )
    return found


def _cpu_backward(
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
    from .. import _cpu

    branches = [branch.contiguous(memory_format=_LAST) for branch in branches]
    found = gradients(branches, alpha, needs)
    addresses = [t.data_ptr() if wanted else 0 for t, wanted in zip(found, needs, strict=True)]
    grad, alpha = grad.contiguous(memory_format=_LAST), alpha.contiguous()
    _cpu.mix_backward(
        grad.data_ptr(),
        [branch.data_ptr() for branch in branches],
        alpha.data_ptr(),
        mean.data_ptr(),
        variance.data_ptr(),
        addresses[1:],
        addresses[0],
        **_sizes(branches, normalized, training, epsilon),
    )
    return found


def gradients(branches: Sequence[Tensor], alpha: Tensor, needs: list[bool]) -> list[Tensor]:
    formats = [torch.contiguous_format] + [_LAST] * len(branches)
    return [
        torch.empty(t.shape, dtype=t.dtype, device=t.device, memory_format=form)
        if wanted
        else t.new_empty(0)
        for t, wanted, form in zip([alpha, *branches], needs, formats, strict=True)
    ]


@_backward.register_fake
def _(
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
    return gradients(branches, alpha, needs)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    branches, alpha, _, _, ctx.normalized, ctx.training, ctx.epsilon = inputs
    _, mean, variance = output
    ctx.mark_non_differentiable(mean, variance)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(alpha, mean, variance, *branches)


def _gradient(ctx: Any, grad: Tensor | None, *_: Tensor | None) -> tuple[Any, ...]:
    alpha, mean, variance, *branches = ctx.saved_tensors
    of_branches, of_alpha = ctx.needs_input_grad[:2]
    rest = (None,) * 5
    if grad is None:
        return [None] * len(branches), None, *rest
    needs = [of_alpha, *of_branches]
    settings = (ctx.normalized, ctx.training, ctx.epsilon)
    if torch.is_grad_enabled():
        found = _differentiable(grad, branches, alpha, mean, variance, *settings, needs)
    else:
        tensors = _backward(grad, branches, alpha, mean, variance, *settings, needs)
        found = [t if wanted else None for t, wanted in zip(tensors, needs, strict=True)]
    return found[1:], found[0], *rest


def _differentiable(
    grad: Tensor,
    branches: list[Tensor],
    alpha: Tensor,
    mean: Tensor,
    variance: Tensor,
    normalized: list[bool],
    training: bool,
    epsilon: float,
    needs: list[bool],
) -> list[Tensor | None]:
    """The same gradients by the reference, to be differentiated again."""
    running = None
    if not training:
        norms = [k for k, flag in enumerate(normalized) if flag]
        running = Running([mean[k] for k in norms], [variance[k] for k in norms])
    with torch.enable_grad():
        dispatch.ran[f"{NAME}_backward", "reference"] += 1
        y = reference.normalize_and_mix(
            branches, alpha, normalized, running, training=training, momentum=0.0, epsilon=epsilon
        )
        inputs = [t for t, wanted in zip([alpha, *branches], needs, strict=True) if wanted]
        found = iter(torch.autograd.grad(y, inputs, grad, create_graph=True))
    return [next(found) if wanted else None for wanted in needs]


_forward.register_autograd(_gradient, setup_context=_save)
dispatch.register_cpu(NAME, lambda: SimpleNamespace(forward=_cpu_forward, backward=_cpu_backward))
register_triton(NAME, f"{__package__}.gpu")


def _unsupported(branches: Sequence[Tensor], alpha: Tensor, training: bool) -> str:
    x = branches[0]
    if len(branches) > MOST_BRANCHES:
        return f"no kernel for more than {MOST_BRANCHES} branches"
    if any(t.dtype != x.dtype or t.device != x.device for t in (*branches, alpha)):
        return "branches and alpha differ in dtype or device"
    if x.numel() == 0:
        return "the batch is empty"
    if training and x.numel() == x.shape[1]:
        return "one pixel has no variance"
    if x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        return "autocast is on"
    return ""


def explain(branches: Sequence[Tensor], alpha: Tensor, *, training: bool = True) -> Choice:
    """Which implementation ``normalize_and_mix`` takes for these arguments, and why."""
    x = branches[0]
    return choose(
        NAME,
        device=x.device.type,
        dtype=str(x.dtype),
        unsupported=_unsupported(branches, alpha, training),
    )


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _chosen(device: str, dtype: str, unsupported: str) -> str:
    choice = choose(NAME, device=device, dtype=dtype, unsupported=unsupported)
    dispatch.warn_of_fallback(NAME, choice)
    return choice.name


def normalize_and_mix(
    branches: Sequence[Tensor],
    alpha: Tensor,
    *,
    normalized: Sequence[bool] | None = None,
    running: Running | None = None,
    training: bool = True,
    momentum: float = 0.1,
    epsilon: float = 1e-5,
) -> Tensor:
    """``sum over k of alpha[k] (x[k] - mean[k]) / sqrt(variance[k] + epsilon)``, per channel.

    Nothing normalized is stored: the backward pass reads the branches again.

    Args:
        branches: K tensors ``[N, C, H, W]``.
        alpha: ``[K]``.
        normalized: for each branch whether it is normalized (all), or only weighted.
        running: a pair of ``[C]`` for each normalized branch, as ``torch.nn.BatchNorm2d`` keeps
            them: updated in training, read otherwise.
        training: whether mean and (biased) variance are those of the batch.
        momentum: weight of the batch in the running statistics.
        epsilon: added to the variances.

    Returns:
        ``[N, C, H, W]``, channels-last where the kernel ran.

    Raises:
        ValueError: shapes do not fit together, or running statistics are needed and missing.

    Example:
        >>> x = [torch.randn(8, 4, 6, 6) for _ in range(3)]
        >>> normalize_and_mix(x, torch.tensor([0.2, 0.3, 0.5])).shape
        torch.Size([8, 4, 6, 6])
    """
    flags = [True] * len(branches) if normalized is None else list(normalized)
    _check(branches, alpha, flags, running, training)
    x = branches[0]
    unsupported = _unsupported(branches, alpha, training)
    if _chosen(x.device.type, str(x.dtype), unsupported) == "reference":
        if not torch.compiler.is_compiling():
            dispatch.ran[NAME, "reference"] += 1
        return reference.normalize_and_mix(
            branches, alpha, flags, running, training=training, momentum=momentum, epsilon=epsilon
        )
    norms = [k for k, flag in enumerate(flags) if flag]
    mean = variance = x.new_empty(0)
    if not training:
        mean, variance = _spread(running, norms, len(flags), x)
    out: Tensor
    out, mean, variance = _forward(list(branches), alpha, mean, variance, flags, training, epsilon)
    if training and running is not None and norms:
        own = (mean.detach()[norms], variance.detach()[norms])
        update(running, *own, momentum, x.numel() // x.shape[1])
    return out


def _spread(
    running: Running | None, norms: list[int], count: int, x: Tensor
) -> tuple[Tensor, Tensor]:
    """Running statistics as ``[K, C]``, with zeros where nothing is normalized."""
    mean = x.new_zeros(count, x.shape[1])
    variance = x.new_zeros(count, x.shape[1])
    if running is not None and norms:
        mean[norms], variance[norms] = stacked(running)
    return mean, variance


def _check(
    branches: Sequence[Tensor],
    alpha: Tensor,
    flags: list[bool],
    running: Running | None,
    training: bool,
) -> None:
    if (
        not branches
        or any(b.shape != branches[0].shape for b in branches)
        or branches[0].dim() != 4
    ):
        raise ValueError("need branches of one shape [N, C, H, W]")
    if alpha.shape != (len(branches),) or len(flags) != len(branches):
        raise ValueError(
            f"need one alpha and one flag for each of {len(branches)} branches, not"
            f" {tuple(alpha.shape)} and {len(flags)}"
        )
    if running is not None and not len(running.means) == len(running.variances) == sum(flags):
        raise ValueError(f"need {sum(flags)} running means and variances")
    if not training and running is None and any(flags):
        raise ValueError("running statistics are needed when not training")
