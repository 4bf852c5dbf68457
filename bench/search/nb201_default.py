"""The search methods at equal cost on the table of NAS-Bench-201, CIFAR-10.

    python bench/search/nb201_default.py [--seeds 100] [--out bench/results/search_nb201.csv]

The low rung is the 12-epoch validation accuracy, the high rung the 200-epoch one (scale "table",
12 and 200 units of cost), or the same two columns at a cost of 3 and 9 units, as a search on a
small data set has (scale "small"). Reported is the 200-epoch test accuracy of the architecture
that is best by the highest rung that was reached. Lag 4 (two workers). The table is found through
NASTURTIUM_DATA (default ../shared/data).
"""

from __future__ import annotations

import argparse
import csv
import gzip
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import nasturtium
from nasturtium import machine
from nasturtium.search import (
    Observation,
    Optimizer,
    Proposal,
    halving_evolution,
    random_search,
    regularized_evolution,
)
from nasturtium.spaces import nb201
from nasturtium.testing import drive, sign_test

ROOT = Path(__file__).resolve().parents[2]
SCALES = {
    "table": (({"epochs": 12}, {"epochs": 200}), (10, 25, 50)),
    "small": (({"epochs": 3}, {"epochs": 9}), (20, 40, 80)),
}
SPACE = nb201()
METHODS: dict[str, Callable[..., Optimizer]] = {
    "random-search": random_search,
    "random-search (low rung)": lambda s, *, fidelities, **o: random_search(
        s, fidelities=fidelities[:1], **o
    ),
    "regularized-evolution": regularized_evolution,
    "regularized-evolution (20, 5)": lambda s, **o: regularized_evolution(
        s, population=20, sample=5, repeats=False, **o
    ),
    "halving-evolution": halving_evolution,
    "halving-evolution (eta 3)": lambda s, **o: halving_evolution(s, eta=3, **o),
    "halving-evolution (random only)": lambda s, **o: halving_evolution(s, initial=10**9, **o),
}


@dataclass(frozen=True)
class Table:
    """Accuracies by the benchmark's string; `low` are the epochs of the low rung."""

    rows: dict[str, tuple[float, float, float, float]]
    low: int

    def observe(self, number: int, proposal: Proposal) -> Observation:
        val_12, val_200, _, params = self.rows[str(proposal.arch).removeprefix("nb201:")]
        score = val_12 if proposal.fidelity["epochs"] == self.low else val_200
        return Observation(number, proposal, "ok", score, {"params": params})

    def test(self, seen: Iterable[Observation]) -> float:
        """Test accuracy of the best observation of the highest fidelity."""
        best = max(seen, key=lambda o: (o.proposal.fidelity["epochs"], o.score or 0.0))
        return self.rows[str(best.proposal.arch).removeprefix("nb201:")][2]


def read() -> dict[str, tuple[float, float, float, float]]:
    folder = Path(os.environ.get("NASTURTIUM_DATA", ROOT / ".." / "shared" / "data"))
    with gzip.open(folder / "nb201" / "nb201.csv.gz", "rt") as file:
        return {
            row["arch"]: (
                float(row["c10_val_12"]),
                float(row["c10_val_200"]),
                float(row["c10_test_200"]),
                float(row["params_m_c100"]),
            )
            for row in csv.DictReader(file)
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--out", type=Path, default=ROOT / "bench/results/search_nb201.csv")
    options = parser.parse_args()
    table = read()
    optimum = max(row[2] for row in table.values())
    where = {
        "hardware": f"{machine.processor()}, {machine.cores()} cores",
        "versions": f"nasturtium {nasturtium.__version__}, Python {platform.python_version()}, "
        f"numpy {np.__version__}",
        "commit": machine.commit(ROOT),
    }
    results = []
    for scale, (ladder, budgets) in SCALES.items():
        problem = Table(table, ladder[0]["epochs"])
        for budget in budgets:
            found: dict[str, list[float]] = {}
            for name, make in METHODS.items():
                start = time.process_time()
                found[name], trials = [], 0
                for seed in range(options.seeds):
                    search = make(SPACE, seed=seed, fidelities=ladder)
                    cost = budget * ladder[1]["epochs"]
                    seen = list(drive(search, problem, trials=10**6, lag=4, budget=cost))
                    found[name].append(problem.test(seen))
                    trials += len(seen)
                values = np.array(found[name])
                results.append(
                    {
                        "scale": scale,
                        "budget_full_evaluations": budget,
                        "method": name,
                        "seeds": options.seeds,
                        "mean_trials": round(trials / options.seeds, 1),
                        "mean_test": round(float(values.mean()), 3),
                        "standard_error": round(float(values.std(ddof=1)) / len(values) ** 0.5, 3),
                        "median_test": round(float(np.median(values)), 3),
                        "tenth_percentile": round(float(np.quantile(values, 0.1)), 3),
                        "mean_regret": round(optimum - float(values.mean()), 3),
                        "p_above_random": f"{sign_test(list(values), found['random-search']):.1e}",
                        "ms_per_trial": round(1e3 * (time.process_time() - start) / trials, 3),
                        **where,
                    }
                )
                print({k: v for k, v in results[-1].items() if k not in where}, file=sys.stderr)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with options.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(results[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(results)


if __name__ == "__main__":
    main()
