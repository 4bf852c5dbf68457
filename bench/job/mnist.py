"""The command, unchanged, on 10,000 MNIST images: three seeds, 5 minutes each.

Writes bench/results/mnist.csv; what is done already is not done again.

    python bench/job/mnist.py [--time 5m] [--seeds 0,1,2] [--out runs/bench-mnist]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--time", default="5m")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--out", type=Path, default=Path("runs/bench-mnist"))
    args = parser.parse_args()
    data = Path(os.environ.get("NASTURTIUM_DATA", "../shared/data")) / "mnist10k" / "mnist10k.npz"
    rows = ["seed,params,test_accuracy,low,high,seconds"]
    scores = []
    for seed in args.seeds.split(","):
        folder = args.out / f"seed-{seed}"
        if not (folder / "result.json").is_file():
            command = [sys.executable, "-m", "nasturtium", "search", str(data), "--time", args.time]
            subprocess.run(
                [*command, "--seed", seed, "--out", str(folder), "--overwrite"], check=True
            )
        result = json.loads((folder / "result.json").read_text())
        low, high = result["test_accuracy_interval"]
        scores.append(result["test_accuracy"])
        seconds = result["seconds"]["total"]
        rows.append(
            f"{seed},{result['params']},{scores[-1]:.4f},{low:.4f},{high:.4f},{seconds:.0f}"
        )
    rows.append(f"mean,,{np.mean(scores):.4f},,,")
    environment = result["environment"]
    head = f"# {environment['cpu']}, {environment['cores']} cores, torch {environment['torch']}, "
    head += f"python {environment['python']}, {args.time} a search"
    page = Path(__file__).parents[1] / "results" / "mnist.csv"
    page.parent.mkdir(exist_ok=True)
    page.write_text("\n".join([head, *rows]) + "\n")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
