"""Selected paths of an edge: what runs is the mixed operation of the chosen candidates.

Called as it is, the index is read and the mixed operation's own operator takes the candidates that
it names. Compiled, a graph must serve every index: there the whole is one operator that takes all
weights and reads the index when it runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .. import dispatch
from ..mixed_op import ops as mixed
from ..mixed_op.checks import check_edge, check_statistics, unsupported
from ..mixed_op.layout import gradients, outputs
from ..mixed_op.spec import CANDIDATES, Edge, as_edge, check_storage
from ..statistics import Running, stacked, update
from . import reference
from .spec import MOST_PATHS, Paths, chosen, owners

NAME = mixed.NAME


def _paths(x: Tensor, index: Tensor, candidates: list[int], stride: int) -> Paths:
    edge = as_edge([CANDIDATES[k] for k in candidates], stride)
    return chosen(edge, index.tolist(), x.shape[1])


@torch.library.custom_op("nasturtium::path_select", mutates_args=())
def _forward(
    x: Tensor,
    index: Tensor,
    gates: Tensor,
    weights: list[Tensor],
    mean: Tensor,
    variance: Tensor,
    candidates: list[int],
    stride: int,
    training: bool,
    epsilon: float,
    keep: torch.dtype | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The sum, what the backward pass needs (as ``keep`` or not), and statistics ``[norms, C]``.

    ``weights``, ``mean`` and ``variance`` are those of all candidates; the latter two are read when
    not training. Statistics that are returned are zero where nothing was normalized.
    """
    paths = _paths(x, index, candidates, stride)
    rows = torch.tensor(paths.norms, dtype=torch.long, device=x.device)
    known = (mean, variance) if training else (mean[rows], variance[rows])
    out, kept, *found = dispatch.forward(
        NAME, x.device.type, [x], [gates], [weights[place] for place in paths.weights], *known,
        paths.edge.numbers, [stride], 1, training, epsilon, keep,
    )  # fmt: skip
    norms = len(owners(as_edge([CANDIDATES[k] for k in candidates], stride)))
    mean, variance = (x.new_zeros(norms, x.shape[1]).index_copy_(0, rows, t) for t in found)
    return out, kept, mean, variance


@_forward.register_fake
def _(
    x: Tensor,
    index: Tensor,
    gates: Tensor,
    weights: list[Tensor],
    mean: Tensor,
    variance: Tensor,
    candidates: list[int],
    stride: int,
    training: bool,
    epsilon: float,
    keep: torch.dtype | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    out, kept, mean, variance = outputs(
        [x], mean, variance, candidates, [stride], 1, training, keep
    )
    if keep:
        images = torch.library.get_ctx().new_dynamic_size()
        kept = kept.new_empty((images, *kept.shape[1:]))
    return out, kept, mean, variance


@torch.library.custom_op("nasturtium::path_select_backward", mutates_args=())
def _backward(
    grad: Tensor,
    x: Tensor,
    index: Tensor,
    gates: Tensor,
    weights: list[Tensor],
    kept: Tensor,
    mean: Tensor,
    variance: Tensor,
    candidates: list[int],
    stride: int,
    training: bool,
    epsilon: float,
    needs: int,
) -> list[Tensor]:
    """Gradients of x (1), of the gates (2) and of all weights (4); what ``needs`` lacks is empty.

    Those of weights that were not chosen are zero.
    """
    paths = _paths(x, index, candidates, stride)
    rows = torch.tensor(paths.norms, dtype=torch.long, device=x.device)
    of_x, of_gates, *own = dispatch.backward(
        NAME, x.device.type, grad, [x], [gates], [weights[place] for place in paths.weights],
        kept, mean[rows], variance[rows], paths.edge.numbers,
        [stride], 1, training, epsilon, [needs],
    )  # fmt: skip
    found = dict(zip(paths.weights, own, strict=True))
    none = gradients(x, gates, weights, needs)[2:]
    return [of_x, of_gates, *(found.get(k, none[k].zero_()) for k in range(len(weights)))]


@_backward.register_fake
def _(
    grad: Tensor,
    x: Tensor,
    index: Tensor,
    gates: Tensor,
    weights: list[Tensor],
    kept: Tensor,
    mean: Tensor,
    variance: Tensor,
    candidates: list[int],
    stride: int,
    training: bool,
    epsilon: float,
    needs: int,
) -> list[Tensor]:
    return gradients(x, gates, weights, needs)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, index, gates, weights, _, _, *ctx.settings, _ = inputs
    _, kept, mean, variance = output
    ctx.mark_non_differentiable(kept, mean, variance)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(x, index, gates, kept, mean, variance, *weights)


def _gradient(ctx: Any, grad: Tensor | None, *_: Tensor | None) -> tuple[Any, ...]:
    x, index, gates, kept, mean, variance, *weights = ctx.saved_tensors
    of_x, _, of_gates, of_weights, *_ = ctx.needs_input_grad
    if grad is None:
        return (None,) * 11
    needs = of_x + 2 * of_gates + 4 * any(of_weights)
    found = _backward(grad, x, index, gates, weights, kept, mean, variance, *ctx.settings, needs)
    wanted = (of_x, of_gates, *of_weights)
    to_x, to_gates, *rest = [t if want else None for t, want in zip(found, wanted, strict=True)]
    return to_x, None, to_gates, rest, *(None,) * 7


_forward.register_autograd(_gradient, setup_context=_save)


def path_select(
    x: Tensor,
    index: Tensor,
    gates: Tensor | None,
    weights: Sequence[Tensor],
    *,
    candidates: Sequence[str] = CANDIDATES,
    stride: int = 1,
    running: Running | None = None,
    training: bool = True,
    momentum: float = 0.1,
    epsilon: float = 1e-5,
    storage: str = "float32",
) -> Tensor:
    """``sum over p of gates[p] candidate[index[p]](x)``: sampled paths of an edge, and no others.

    What is not chosen is neither computed nor kept, its statistics stay and its weights get no
    gradient: none at all, so that no weight decay or momentum moves them. Under ``torch.compile``,
    whose graph serves every index, their gradient is zero instead.

    A gate gets its gradient even where it is 0. With one gate that is 1 and one that is 0 these are
    the two paths of ProxylessNAS: the output is that of the active one, and with ``gates = hard +
    p - p.detach()``, p = softmax(alpha[index]), the gradient of alpha is that of its equation 4.

    Args:
        x: ``[N, C, H, W]``.
        index: int64 ``[P]``, P one or two, numbers of different candidates; on the CPU, or each
            call waits for the GPU.
        gates: ``[P]``, or ``[N, P]`` with a row for each image; None for ones.
        weights: of all candidates, as in ``mixed_operation``.
        candidates: names, none of them twice.
        stride: 1 or 2.
        running: as in ``mixed_operation``, of all candidates.
        training: whether mean and variance are those of the batch.
        momentum: weight of the batch in the running statistics.
        epsilon: added to the variances.
        storage: format of what is kept for the backward pass, as in ``mixed_operation``.

    Returns:
        ``[N, C, ceil(H / stride), ceil(W / stride)]``, channels-last where the kernel ran.

    Raises:
        ValueError: as ``mixed_operation``, and where the index names no different candidates.

    Reference:
        Guo et al., Single Path One-Shot NAS with Uniform Sampling, ECCV 2020; Dong and Yang,
        Searching for a Robust Neural Architecture in Four GPU Hours, CVPR 2019; Cai, Zhu and Han,
        ProxylessNAS, ICLR 2019, section 3.2.

    Example:
        >>> x, index = torch.randn(2, 4, 6, 6), torch.tensor([1])
        >>> path_select(x, index, None, [], candidates=("none", "skip_connect")).equal(x)
        True
    """
    edge = as_edge(candidates, stride)
    gates = x.new_ones(index.shape) if gates is None else gates
    _check(x, index, gates, weights, edge, running, training)
    if not torch.compiler.is_compiling():
        paths = chosen(edge, index.tolist(), x.shape[1])
        return mixed.mixed_operation(
            x,
            gates,
            [weights[place] for place in paths.weights],
            candidates=paths.edge.candidates,
            stride=stride,
            running=reference.statistics_of(running, paths.norms),
            training=training,
            momentum=momentum,
            epsilon=epsilon,
            storage=storage,
        )
    check_storage(storage)
    reason = unsupported([x], [gates, *weights], [edge], training)
    if mixed.chosen(x.device.type, str(x.dtype), reason) == "reference":
        return reference.path_select(
            x, index, gates, weights, edge, running,
            training=training, momentum=momentum, epsilon=epsilon,
        )  # fmt: skip
    return _compiled(x, index, gates, weights, edge, running, training, momentum, epsilon, storage)


def _compiled(
    x: Tensor,
    index: Tensor,
    gates: Tensor,
    weights: Sequence[Tensor],
    edge: Edge,
    running: Running | None,
    training: bool,
    momentum: float,
    epsilon: float,
    storage: str,
) -> Tensor:
    mean = variance = x.new_empty(0)
    if not training and running is not None and edge.norms:
        mean, variance = stacked(running)
    wanted = torch.is_grad_enabled() and any(t.requires_grad for t in (x, gates, *weights))
    keep = getattr(torch, storage) if wanted else None
    out: Tensor
    out, _, mean, variance = _forward(
        x, index, gates, list(weights), mean, variance,
        edge.numbers, edge.stride, training, epsilon, keep,
    )  # fmt: skip
    if training and running is not None and edge.norms:
        elements = out.numel() // out.shape[1]
        update(running, mean, variance, momentum, elements, used(edge, index))
    return out


def used(edge: Edge, index: Tensor) -> Tensor:
    """Which normalizations of an edge the paths of an index go through, bool ``[norms]``."""
    return (torch.tensor(owners(edge), device=index.device)[:, None] == index).any(1)


def _check(
    x: Tensor,
    index: Tensor,
    gates: Tensor,
    weights: Sequence[Tensor],
    edge: Edge,
    running: Running | None,
    training: bool,
) -> None:
    if index.dtype != torch.int64 or index.dim() != 1 or not 1 <= len(index) <= MOST_PATHS:
        raise ValueError(f"need an index int64 [1] or [2], not {index.dtype} {tuple(index.shape)}")
    if gates.shape not in (index.shape, (x.shape[0], len(index))):
        raise ValueError(
            f"need {len(index)} gates, or as many for each image, not {tuple(gates.shape)}"
        )
    check_edge(x, weights, edge)
    check_statistics(running, [edge], training)
