"""The command, unchanged, on 10,000 MNIST images: three seeds, 5 minutes each.

Writes bench/results/mnist.csv; what is done already is not done again.

    python bench/job/mnist.py [--time 5m] [--seeds 0,1,2] [--out runs/bench-mnist]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from runs import DATA, searched, write_page


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--time", default="5m")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--out", type=Path, default=Path("runs/bench-mnist"))
    args = parser.parse_args()
    data = str(DATA / "mnist10k" / "mnist10k.npz")
    rows = ["seed,params,test_accuracy,low,high,seconds"]
    scores = []
    for seed in args.seeds.split(","):
        result = searched(args.out / f"seed-{seed}", [data], "--time", args.time, "--seed", seed)
        low, high = result["test_accuracy_interval"]
        scores.append(result["test_accuracy"])
        seconds = result["seconds"]["total"]
        rows.append(
            f"{seed},{result['params']},{scores[-1]:.4f},{low:.4f},{high:.4f},{seconds:.0f}"
        )
    rows.append(f"mean,,{np.mean(scores):.4f},,,")
    write_page("mnist", rows, result, f"{args.time} a search")


if __name__ == "__main__":
    main()
