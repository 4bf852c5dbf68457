"""Times the fused mixed operation beside plain torch and writes a table.

    python bench/kernels/bench_mixed_op.py [--threads 1 2] [--compile] [--networks] [--first]
                                           [--out FILE]

Results are checked first. The rows are those of `nasturtium bench kernels`, once for each number of
threads, with the machine and the versions beside them; `--first`: of the first size of each edge.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import torch

from nasturtium.bench.kernels import measure
from nasturtium.kernels import available
from nasturtium.machine import measured_with


def write(out: Path, rows: list[dict[str, object]]) -> None:
    """The table so far."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


def main() -> None:
    """Measure the grid of the specification and write it down."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--networks", action="store_true")
    parser.add_argument("--first", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("bench/results/mixed_op.csv"))
    options = parser.parse_args()
    about = measured_with(("nasturtium", "torch"), checkout=Path(__file__).parent)
    about["isa"] = available()[-1]
    rows = []
    for threads in options.threads:
        torch.set_num_threads(threads)
        for row in measure(
            options.runs,
            compiled=options.compile,
            networks=options.networks,
            sizes=1 if options.first else None,
        ):
            found = row.as_dict()
            peers = "; ".join(f"{name} {value}" for name, value in found["peers"].items())
            columns = ("operation", "ours", "unit", "ratio", "bar", "met")
            rows.append({**{name: found[name] for name in columns}, "peers": peers, **about})
            print(f"{found['operation']:64} {found['ours']} {row.unit} {peers}", flush=True)
            write(options.out, rows)


if __name__ == "__main__":
    main()
