"""Search with a scoring function of the user's own: no data, no training, one study."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
import time as clock
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nasturtium import registry
from nasturtium.errors import SpaceExhausted, StudyError, UserError
from nasturtium.evaluators.function import FunctionEvaluator
from nasturtium.job.folder import RECORD, check_folder, make_folder
from nasturtium.rng import derive
from nasturtium.spaces import Architecture, Space
from nasturtium.study import Store, Study, TrialRecord

NAME = "function"


@dataclasses.dataclass(frozen=True)
class Found:
    """What a search with a function found: the best architecture, its score, and all trials."""

    architecture: Architecture
    score: float
    trials: tuple[TrialRecord, ...]

    def __str__(self) -> str:
        return f"{self.architecture} (score {self.score:.6g}, best of {len(self.trials)} trials)"


def search_function(
    space: Space,
    evaluate: Callable[[Architecture], Any],
    *,
    trials: int | None = None,
    time: float | None = None,
    method: str = "regularized_evolution",
    seed: int = 0,
    workers: int = 0,
    fidelities: tuple[Mapping[str, int], ...] | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> Found:
    """Maximize `evaluate(architecture) -> float` over `space`.

    Args:
        trials: number of evaluations; or `time` in seconds.
        workers: processes; 0 calls the function here, so that it may be any closure.
        out: folder that keeps the record, for a resume; a temporary one without it.

    Raises:
        UserError: neither `trials` nor `time` is given, or the space runs out before one success.
    """
    if (trials is None) == (time is None):
        raise UserError("give trials= or time=, and not both")
    with tempfile.TemporaryDirectory(prefix="nasturtium-") as spare:
        folder = Path(spare) if out is None else Path(out)
        check_folder(folder, resume=resume, overwrite=overwrite)
        if not resume:
            make_folder(folder, overwrite=overwrite)
        store = (
            Store.open(folder / RECORD, NAME)
            if resume
            else Store.create(folder / RECORD, NAME, config={"method": method, "seed": seed})
        )
        with store:
            optimizer = registry.create(
                method, "method", space=space, seed=derive(seed, NAME), fidelities=fidelities
            )
            study = Study(store, optimizer, seed=seed, space=space, lag=max(1, 2 * workers))
            ends = None if time is None else clock.monotonic() + time
            # A space that runs out is no failure: the best of all its architectures is the answer.
            with contextlib.suppress(SpaceExhausted):
                study.run(
                    FunctionEvaluator(evaluate),
                    workers=workers,
                    trials=trials,
                    until=None if ends is None else lambda: clock.monotonic() >= ends,
                )
            best = study.best()
            records = tuple(study.trials())
    if best is None or best.score is None:
        detail = next((t.detail for t in records if t.detail), "there was none")
        raise StudyError(f"no trial succeeded: {detail.strip().splitlines()[-1]}")
    return Found(space.parse(best.arch), best.score, records)
