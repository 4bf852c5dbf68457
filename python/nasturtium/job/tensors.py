"""The arrays of a run where worker processes read them, and the model around a network."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nasturtium.data import Schema, Statistics
from nasturtium.evaluators import Recipe, TrainingEvaluator

if TYPE_CHECKING:
    import torch

    from nasturtium.job.plan import Plan
    from nasturtium.job.prepare import Task

VALIDATION_ROWS = 5_000  # more cost time and tell little


@dataclasses.dataclass(frozen=True)
class Arrays:
    """Training and validation rows in two files: those of the search, and all of them.

    `search_path` holds what `TrainingEvaluator` reads, `path` all rows for the final training.
    """

    search_path: Path
    path: Path
    schema: Schema
    statistics: Statistics
    net_input: tuple[int, ...]

    @property
    def task(self) -> str:
        return self.schema.task

    @property
    def outputs(self) -> int:
        return self.schema.outputs

    @classmethod
    def save(cls, task: Task, folder: Path) -> Arrays:
        """Write both files."""
        folder.mkdir(parents=True, exist_ok=True)
        x, y = task.dataset.x, task.dataset.y
        train, validation = task.parts.train, task.parts.validation
        made = cls(
            search_path=folder / "search.npz",
            path=folder / "all.npz",
            schema=task.dataset.schema,
            statistics=task.statistics,
            net_input=task.net_input,
        )
        held = validation[:VALIDATION_ROWS]
        np.savez(
            made.search_path,
            x_train=x[train],
            y_train=y[train],
            x_validation=x[held],
            y_validation=y[held],
        )
        everything = np.concatenate([train, validation])
        np.savez(made.path, x=x[everything], y=y[everything])
        return made

    def raw(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[Any]]:
        """All training and validation rows: raw inputs [N, ...] and targets [N]."""
        with np.load(self.path, allow_pickle=False) as stored:
            return stored["x"], stored["y"]

    def everything(self) -> tuple[torch.Tensor, torch.Tensor]:
        """All training and validation rows as a network is trained on them."""
        import torch

        from nasturtium.networks.preprocess import preprocessed

        x, y = self.raw()
        return preprocessed(x, self.statistics), torch.from_numpy(self.statistics.scale_target(y))


def training_evaluator(
    arrays: Arrays, task: Task, recipe: Recipe, plan: Plan, device: str
) -> TrainingEvaluator:
    """The evaluator of a search: trains on the search's rows, scores on the validation part."""
    return TrainingEvaluator(
        data=arrays.search_path,
        space=task.space.name,
        recipe=recipe,
        outputs=task.outputs,
        task=task.kind,
        statistics=arrays.statistics,
        device=device,
        max_epochs=plan.final_epochs,
    )
