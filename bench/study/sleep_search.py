"""A search whose evaluations sleep for 0.03 s: sleep_search.py FOLDER [--trials 200] [--seed 0].

Started a second time on the same folder it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasturtium.errors import StudyError
from nasturtium.evaluators.base import Result
from nasturtium.rng import derive
from nasturtium.search.methods import regularized_evolution
from nasturtium.spaces import nb201
from nasturtium.study import Store, Study

STUDY = "search"


@dataclass(frozen=True)
class Sleeping:
    """Sleeps, and scores by a function of architecture and seed."""

    seconds: float

    def evaluate(
        self, arch: Any, fidelity: Mapping[str, int], seed: int, *, stop: Mapping[int, float] = {}
    ) -> Result:
        score = derive(seed, str(arch)) / 2**63
        time.sleep(self.seconds * (0.5 + score))  # unequal, so that trials overtake one another
        return Result("ok", score)


def main() -> None:
    """Run, or resume, the search."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0.03)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    path = arguments.folder / "study.db"
    try:
        store = Store.open(path, STUDY)
    except StudyError:  # a run that was killed early has no record yet
        store = Store.create(path, STUDY, config={"seed": arguments.seed})
    optimizer = regularized_evolution(nb201(), seed=arguments.seed, population=20)
    study = Study(store, optimizer, seed=arguments.seed, lag=4)
    study.run(Sleeping(arguments.seconds), workers=2, trials=arguments.trials)


if __name__ == "__main__":
    main()
