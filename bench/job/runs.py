"""What the scripts of this folder share: the command run once, and the page of results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nasturtium.machine import commit

DATA = Path(os.environ.get("NASTURTIUM_DATA", "../shared/data"))
RESULTS = Path(__file__).parents[1] / "results"
RESAMPLES = 10_000


def searched(folder: Path, data: Sequence[str], *options: str) -> dict[str, Any]:
    """The result of `nasturtium search DATA OPTIONS --out FOLDER`; what is done is not repeated."""
    if not (folder / "result.json").is_file():
        command = [sys.executable, "-m", "nasturtium", "search", *data, *options]
        subprocess.run([*command, "--out", str(folder), "--overwrite"], check=True)
    return read(folder)


def read(folder: Path) -> dict[str, Any]:
    """A run's result.json."""
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return result


def interval(differences: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean and 95 % interval of differences [seeds, images], resampling seeds and images."""
    generator = np.random.Generator(np.random.Philox(key=0))
    seeds, n = differences.shape
    means = []
    for _ in range(RESAMPLES):
        rows = generator.integers(seeds, size=seeds)
        columns = generator.integers(n, size=n)
        means.append(differences[rows][:, columns].mean())
    low, high = np.quantile(means, [0.025, 0.975])
    return float(differences.mean()), float(low), float(high)


def write_page(name: str, rows: Sequence[str], result: dict[str, Any], about: str) -> None:
    """Write bench/results/`name`.csv: machine, commit and `about` in a comment, then the rows."""
    known = result["environment"]
    head = f"# {known['cpu']}, {known['cores']} cores, torch {known['torch']}, "
    head += f"python {known['python']}, commit {commit(RESULTS)}, {about}"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.csv").write_text("\n".join([head, *rows]) + "\n")
    print("\n".join(rows))
