"""Scores an architecture by training its network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nasturtium.errors import DataError
from nasturtium.evaluators.base import Result
from nasturtium.evaluators.recipe import Recipe
from nasturtium.networks import cost, for_space, module
from nasturtium.spaces import Architecture

if TYPE_CHECKING:
    import torch

    from nasturtium.data import Statistics

__all__ = ["PRELOAD", "TrainingEvaluator"]

PRELOAD = ("nasturtium.evaluators.warm",)

_PARTS = ("x_train", "y_train", "x_validation", "y_validation")


@dataclass(slots=True)
class TrainingEvaluator:
    """Trains on one part of the data and scores on another.

    `data` is an `.npz` with `x_train`, `y_train`, `x_validation`, `y_validation`: raw values when
    `statistics` are given (they are prepared once, when first needed in a process), else what the
    network takes. `space` names the lowering (`networks.for_space`); `task` is classification or
    regression; a regression trains on targets scaled by `statistics` and is scored in their units.

    `fidelity` holds either `epochs`, or `ms`: milliseconds of CPU time (of the clock on a GPU) for
    which it is trained, at most `max_epochs`; a quick network is then trained for more epochs than
    a slow one. `fidelity["rows"]` (optional) is how many training rows are used: the first of one
    fixed shuffle, so that more rows contain fewer. The score is
    accuracy less a thousandth of the validation loss, or minus the root mean squared error.

    Picklable; the data travel as a path, never as values.
    """

    data: Path
    space: str
    recipe: Recipe
    outputs: int
    task: str = "classification"
    statistics: Statistics | None = None
    device: str = "cpu"
    threads: int = 1
    max_epochs: int = 1000
    preload: ClassVar[tuple[str, ...]] = PRELOAD
    _tensors: _Tensors | None = field(default=None, init=False, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        names = (f.name for f in fields(self) if f.name != "_tensors")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
        self._tensors = None

    def evaluate(
        self,
        arch: Architecture,
        fidelity: Mapping[str, int],
        seed: int,
        *,
        stop: Mapping[int, float] | None = None,
    ) -> Result:
        """Train `arch`; with `epochs` the result is a function of the arguments alone."""
        import torch

        from nasturtium.evaluators.trainer import fit

        torch.set_num_threads(self.threads)
        if self._tensors is None:
            self._tensors = _load(self.data, self.statistics, self.task)
        held = self._tensors
        rows = held.order[: fidelity.get("rows", len(held.order))]
        x, y = (held.x, held.y) if len(rows) == len(held.x) else (held.x[rows], held.y[rows])
        net = for_space(self.space)(arch, tuple(x.shape[1:]), self.outputs)
        spent = cost(net)
        recipe = replace(self.recipe, batch_size=min(self.recipe.batch_size, max(2, len(x))))
        done = fit(
            module(net, seed=seed),
            x,
            y,
            recipe,
            task=self.task,
            outputs=self.outputs,
            epochs=fidelity.get("epochs", self.max_epochs),
            seconds=1e-3 * fidelity["ms"] if "ms" in fidelity else None,
            seed=seed,
            validation=(held.x_validation, held.y_validation),
            stop=stop or {},
            device=self.device,
        )
        size = {"params": spent.params, "macs": spent.macs, "epochs": done.epochs_done}
        scale = held.scale
        detail = "the loss is not finite" if done.status == "diverged" else ""
        if self.task == "regression":
            return Result(
                done.status,
                None if done.score is None else done.score * scale,
                {name: value * scale for name, value in done.values.items()} | size,
                tuple(score * scale for score in done.curve),
                done.seconds,
                detail,
            )
        values = {**done.values, **size}
        return Result(done.status, done.score, values, done.curve, done.seconds, detail)


@dataclass(frozen=True, slots=True)
class _Tensors:
    x: torch.Tensor
    y: torch.Tensor
    x_validation: torch.Tensor
    y_validation: torch.Tensor
    order: torch.Tensor
    scale: float  # of the targets: 1 unless a regression was scaled


def _load(path: Path, statistics: Statistics | None, task: str) -> _Tensors:
    import torch

    with np.load(path, allow_pickle=False) as file:
        missing = [name for name in _PARTS if name not in file.files]
        if missing:
            raise DataError(f"{path} lacks {', '.join(missing)}; it holds {', '.join(file.files)}")
        x, y, x_validation, y_validation = (file[name] for name in _PARTS)
    center, scale = 0.0, 1.0
    if statistics is None:
        inputs = torch.from_numpy(x).float(), torch.from_numpy(x_validation).float()
    else:
        from nasturtium.networks.preprocess import preprocessed

        inputs = preprocessed(x, statistics), preprocessed(x_validation, statistics)
        if task == "regression":
            center, scale = statistics.target_mean, statistics.target_deviation
    targets = torch.from_numpy(y), torch.from_numpy(y_validation)
    if task == "regression":
        targets = (targets[0].float() - center) / scale, (targets[1].float() - center) / scale
    else:
        targets = targets[0].long(), targets[1].long()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    return _Tensors(inputs[0], targets[0], inputs[1], targets[1], order, scale)
