"""Final training: the found network and those that it is compared with, each as a trial.

Which network is trained is itself a choice in a little space, so that the study that searched also
runs, records and resumes the final trainings.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nasturtium.evaluators import Result
from nasturtium.evaluators.recipe import Recipe
from nasturtium.evaluators.training import PRELOAD
from nasturtium.job.contestants import Contestant
from nasturtium.search import Observation, Proposal
from nasturtium.spaces import Architecture, Choice, Space

TIMED_SECONDS = 0.4  # of a training with so many threads

if TYPE_CHECKING:
    from nasturtium.job.tensors import Arrays


@dataclasses.dataclass(frozen=True)
class FinalEvaluator:
    """Trains contestants and leaves their weights in `folder`.

    With more than one of `threads` it takes as many as are quicker than one: small networks are
    not quicker on more.
    """

    arrays: Arrays
    contestants: Mapping[str, Contestant]
    recipe: Recipe
    folder: Path
    device: str
    threads: int = 1
    preload: ClassVar[tuple[str, ...]] = PRELOAD

    def evaluate(
        self,
        arch: Architecture,
        fidelity: Mapping[str, int],
        seed: int,
        *,
        stop: Mapping[int, float] | None = None,
    ) -> Result:
        import torch

        from nasturtium.evaluators.trainer import fit, speed
        from nasturtium.export import weights

        contestant = self.contestants[str(arch.values["network"])]
        begun = time.monotonic()
        torch.set_num_threads(1)
        x, y = self.arrays.everything()
        torch.manual_seed(seed)  # the initial weights of a user's own network
        module = contestant.module(x.shape[1:], self.arrays.outputs, seed=seed)
        train = functools.partial(
            fit,
            recipe=self.recipe,
            task=self.arrays.task,
            outputs=self.arrays.outputs,
            seed=seed,
            device=self.device,
        )
        if self.threads > 1:
            few = slice(0, 8 * self.recipe.batch_size)

            def quickness(threads: int) -> float:
                torch.set_num_threads(threads)
                return speed(train, copy.deepcopy(module), x[few], y[few], TIMED_SECONDS)

            torch.set_num_threads(max((1, self.threads), key=quickness))
        done = train(
            module,
            x,
            y,
            epochs=fidelity["epochs"],
            deadline=None if contestant.seconds is None else begun + contestant.seconds,
        )
        torch.set_num_threads(1)
        seconds = time.monotonic() - begun
        if done.status != "ok":
            return Result(done.status, None, {}, seconds=seconds, detail="final training failed")
        weights.write_weights(
            weights_path(self.folder, contestant.name),
            module.state_dict(),
            metadata={"network": contestant.name},
        )
        values = {"epochs": float(done.epochs_done), "seconds": seconds}
        return Result("ok", 0.0, values, seconds=seconds)


class Listed:
    """The optimizer that makes given proposals in order and learns nothing."""

    def __init__(self, space: Space, proposals: Sequence[Proposal]) -> None:
        self.space = space
        self._proposals = list(proposals)
        self._asked = 0

    def ask(self, n: int = 1) -> list[Proposal]:
        given = self._proposals[self._asked : self._asked + n]
        self._asked += len(given)
        return given

    def tell(self, observations: Sequence[Observation]) -> None:
        pass

    def state(self) -> dict[str, Any]:
        return {"asked": self._asked}

    def load(self, state: Mapping[str, Any]) -> None:
        self._asked = int(state["asked"])


def contest(contestants: Sequence[Contestant]) -> Listed:
    """Proposes the contestants in their order, in a space that has nothing but them."""
    space = Space("contestants", [Choice("network", tuple(c.name for c in contestants))])
    archs = [space.architecture(np.array([i], dtype=np.uint8)) for i in range(len(contestants))]
    return Listed(
        space,
        [
            Proposal(arch, {"epochs": c.epochs}, c.kind)
            for arch, c in zip(archs, contestants, strict=True)
        ],
    )


def weights_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.safetensors"
