"""The only training loop."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from nasturtium.errors import DataError
from nasturtium.evaluators.augment import augment
from nasturtium.evaluators.recipe import Recipe

__all__ = ["Fit", "fit", "measure", "predict", "score_of", "speed"]

Progress: TypeAlias = Callable[[int, float | None], None]
LOSS_WEIGHT = 1e-3
LOSS_CAP = 5.0
_EVAL_BATCH = 512


@dataclass(frozen=True, slots=True)
class Fit:
    """What a training gave; the network itself was changed in place and is in eval mode.

    `status`: ok | diverged | stopped. `curve`: the score after each epoch that was begun (empty
    without validation). `values`: val_accuracy and val_loss, or val_rmse, of the final weights.
    """

    status: str
    score: float | None
    values: Mapping[str, float] = field(default_factory=dict)
    curve: tuple[float, ...] = ()
    seconds: float = 0.0
    epochs_done: float = 0.0
    train_loss: float = math.nan


def fit(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    recipe: Recipe,
    *,
    task: str,
    outputs: int,
    epochs: float,
    seed: int,
    validation: tuple[Tensor, Tensor] | None = None,
    stop: Mapping[int, float] = {},
    deadline: float | None = None,
    seconds: float | None = None,
    progress: Progress | None = None,
    device: str = "cpu",
    class_weights: Tensor | None = None,
) -> Fit:
    """Train `model` in place on `x` `[n, ...]` and `y` `[n]` (class numbers or targets).

    `epochs` need not be whole: the last one is then cut short. With one seed and one thread the
    weights are the same bits every time, unless time counts: the learning rate follows the share
    of the steps, or of the time from the call to `deadline` (`time.monotonic()` seconds), or of
    `seconds` of this process's CPU time (of the clock on a GPU), whichever is largest. So a
    training that is slower than planned ends in time, and annealed. `stop` maps an epoch to the
    least score with which training goes on. `progress(epoch, score)` is called after each epoch.

    Raises DataError when there are fewer than two samples or `x` and `y` differ in length.
    """
    if len(x) != len(y) or len(x) < 2:
        raise DataError(f"cannot train on {len(x)} samples with {len(y)} targets")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # for dropout alone; everything else draws from the generator
        run = _Run(model, x, y, recipe, task, outputs, epochs, seed, device)
        run.end(deadline, seconds)
        run.class_weights = None if class_weights is None else class_weights.to(run.device)
        return run.go(validation, stop, progress)


def speed(
    train: Callable[..., Fit], model: nn.Module, x: Tensor, y: Tensor, seconds: float
) -> float:
    """Epochs a second of `train(model, x, y, epochs=, deadline=)`, `fit` with the rest given.

    Takes about `seconds`; what is done only once is left out, and `model` is changed.
    """
    train(model, x, y, epochs=1e-6)
    done = train(model, x, y, epochs=1e6, deadline=time.monotonic() + seconds)
    return done.epochs_done / done.seconds


class _Run:
    """The state of one training."""

    def __init__(
        self,
        model: nn.Module,
        x: Tensor,
        y: Tensor,
        recipe: Recipe,
        task: str,
        outputs: int,
        epochs: float,
        seed: int,
        device: str,
    ) -> None:
        self.start = time.monotonic()
        self.ends: list[tuple[Callable[[], float], float, float]] = []  # clock, begun, limit
        self.device = torch.device(device)
        self.layout = _layout(model, x)
        self.model = model.to(device=self.device).to(memory_format=self.layout)  # type: ignore[call-overload]
        self.x, self.y = x.to(self.device), y.to(self.device)
        self.recipe, self.task, self.outputs, self.epochs = recipe, task, outputs, epochs
        self.class_weights: Tensor | None = None
        self.generator = Generator().manual_seed(seed)
        self.numpy = np.random.default_rng(seed)
        self.batches = math.ceil(len(x) / recipe.batch_size)
        if self.batches > 1 and len(x) // self.batches < 2:
            self.batches = len(x) // 2
        self.optimizer = _optimizer(model, recipe)
        self.average = _Average(model, recipe.ema) if recipe.ema > 0 else None
        self.step = 0

    def go(
        self,
        validation: tuple[Tensor, Tensor] | None,
        stop: Mapping[int, float],
        progress: Progress | None,
    ) -> Fit:
        curve: list[float] = []
        values: dict[str, float] = {}
        status, epoch, loss = "ok", 0, math.nan
        held = None
        if validation is not None:
            held = (
                validation[0].to(self.device, memory_format=self.layout),
                validation[1].to(self.device),
            )
        while epoch < self.epochs and self.share() < 1:
            loss = self.run_epoch()
            epoch += 1
            if not math.isfinite(loss):
                status = "diverged"
                break
            if held is not None:
                values = self.measure(held[0], held[1])
                if not all(math.isfinite(v) for v in values.values()):
                    status, values = "diverged", {}
                    break
                curve.append(score_of(values))
            if progress is not None:
                progress(epoch, curve[-1] if curve else None)
            if curve and epoch < self.epochs and curve[-1] < stop.get(epoch, -math.inf):
                status = "stopped"
                break
        if self.average is not None and status != "diverged":
            self.average.store(self.model)
        self.model.to(memory_format=torch.contiguous_format).eval()
        score = curve[-1] if curve and status != "diverged" else None
        seconds = time.monotonic() - self.start
        done = self.step / self.batches
        return Fit(status, score, values, tuple(curve), seconds, done, loss)

    def end(self, deadline: float | None, seconds: float | None) -> None:
        """Let the training end at `deadline`, or when it has used `seconds`."""
        if deadline is not None:
            self.ends.append((time.monotonic, self.start, max(1e-3, deadline - self.start)))
        if seconds is not None:
            clock = time.process_time if self.device.type == "cpu" else time.monotonic
            self.ends.append((clock, clock(), seconds))

    def share(self) -> float:
        """How much of the training is over, 0 to 1."""
        shares = [(clock() - begun) / limit for clock, begun, limit in self.ends]
        return max([self.step / (self.epochs * self.batches), *shares])

    def run_epoch(self) -> float:
        """A pass over the data in batches of (nearly) equal size, or what is left of the time or
        the steps, but one batch at least; returns the mean loss.
        """
        self.model.train()
        order = torch.randperm(len(self.x), generator=self.generator)
        losses: list[Tensor] = []
        for rows in order.tensor_split(self.batches):
            rate = self.recipe.lr * _schedule(self.share(), self.recipe.warmup)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            rows = rows.to(self.device)
            losses.append(self.update(self.x[rows], self.y[rows]))
            self.step += 1
            if self.share() >= 1:
                break
        return float(torch.stack(losses).mean())

    def update(self, x: Tensor, y: Tensor) -> Tensor:
        x = augment(x, self.recipe, self.generator).contiguous(memory_format=self.layout)
        if self.recipe.mixup > 0:
            share = float(self.numpy.beta(self.recipe.mixup, self.recipe.mixup))
            other = torch.randperm(len(x), generator=self.generator).to(self.device)
            output = self.model(x.lerp(x[other], 1 - share))
            loss = share * self.loss(output, y) + (1 - share) * self.loss(output, y[other])
        else:
            loss = self.loss(self.model(x), y)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.recipe.grad_clip > 0:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.grad_clip)
        self.optimizer.step()
        if self.average is not None:
            self.average.update(self.model)
        return loss.detach()

    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        if self.task == "regression":
            return F.mse_loss(output.squeeze(1), y.to(output.dtype))
        smoothing = self.recipe.label_smoothing
        return F.cross_entropy(output, y, self.class_weights, label_smoothing=smoothing)

    def measure(self, x: Tensor, y: Tensor) -> dict[str, float]:
        if self.average is None:
            return measure(self.model, x, y, task=self.task)
        with self.average.swapped(self.model):
            return measure(self.model, x, y, task=self.task)


def _layout(model: nn.Module, x: Tensor) -> torch.memory_format:
    """Channels last for images: a training step then takes half to nine tenths of the time.

    Not where a 1x1 convolution has a stride: on CPUs with AVX2, torch 2.13 (oneDNN 3.12) then
    writes outside its buffers in the backward pass.
    """
    strided = any(
        isinstance(m, nn.Conv2d) and max(m.kernel_size) == 1 and max(m.stride) > 1
        for m in model.modules()
    )
    return torch.channels_last if x.dim() == 4 and not strided else torch.contiguous_format


def _schedule(share: float, warmup: float) -> float:
    """Linear from near zero to one, then half a cosine down to zero."""
    if share < warmup:
        return max(share / warmup, 0.04)
    return 0.5 * (1 + math.cos(math.pi * (share - warmup) / (1 - warmup)))


def _optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    decayed = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() <= 1]
    groups = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=True)
    betas = (recipe.momentum, recipe.beta2)
    return torch.optim.AdamW(groups, lr=recipe.lr, betas=betas, fused=True)


class _Average:
    """An exponential moving average of weights and of the normalizations' statistics."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.values = [t.detach().clone() for t in _floats(model)]

    def update(self, model: nn.Module) -> None:
        self.updates += 1
        # A short history is averaged evenly, so that the first weights do not linger.
        decay = min(self.decay, self.updates / (self.updates + 9))
        torch._foreach_lerp_(self.values, [t.detach() for t in _floats(model)], 1 - decay)

    def store(self, model: nn.Module) -> None:
        with torch.no_grad():
            for kept, live in zip(self.values, _floats(model), strict=True):
                live.copy_(kept)

    @contextmanager
    def swapped(self, model: nn.Module) -> Iterator[None]:
        live = [t.detach().clone() for t in _floats(model)]
        self.store(model)
        try:
            yield
        finally:
            with torch.no_grad():
                for kept, target in zip(live, _floats(model), strict=True):
                    target.copy_(kept)


def _floats(model: nn.Module) -> list[Tensor]:
    tensors = [*model.parameters(), *model.buffers()]
    return [t for t in tensors if t.is_floating_point()]


def predict(model: nn.Module, x: Tensor, *, device: str = "cpu") -> Tensor:
    """What `model` gives in eval mode for `x` `[n, ...]`: float32 `[n, outputs]`, on the CPU."""
    model.eval()
    with torch.inference_mode():
        parts = [model(part.to(device)).float().cpu() for part in torch.split(x, _EVAL_BATCH)]
    return torch.cat(parts)


def measure(model: nn.Module, x: Tensor, y: Tensor, *, task: str) -> dict[str, float]:
    """`val_accuracy` and `val_loss` (cross-entropy, nats), or `val_rmse`, on `x` and `y`."""
    model.eval()
    right, loss = 0.0, 0.0
    with torch.inference_mode():
        for part, target in zip(
            torch.split(x, _EVAL_BATCH), torch.split(y, _EVAL_BATCH), strict=True
        ):
            output = model(part)
            if task == "regression":
                error = output.squeeze(1) - target.to(output.dtype)
                loss += float(error.square().sum())
            else:
                loss += float(F.cross_entropy(output, target, reduction="sum"))
                right += float((output.argmax(1) == target).sum())
    if task == "regression":
        return {"val_rmse": math.sqrt(loss / len(x))}
    return {"val_accuracy": right / len(x), "val_loss": loss / len(x)}


def score_of(values: Mapping[str, float]) -> float:
    """The number that a search maximizes.

    Regression: minus the root mean squared error. Classification: the accuracy less a thousandth
    of the loss (at most 5 nats), which orders networks that make equally many errors.
    """
    if "val_rmse" in values:
        return -values["val_rmse"]
    return values["val_accuracy"] - LOSS_WEIGHT * min(values["val_loss"], LOSS_CAP)
