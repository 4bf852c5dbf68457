"""The command, unchanged, on data of other kinds: tables, a folder of PNGs, a CSV, a regression.

Writes bench/results/data_sets.csv; what is done already is not done again.

    python bench/job/data_sets.py [--time 90s] [--out runs/bench-data-sets]
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from runs import DATA, searched, write_page
from sklearn.datasets import load_diabetes


def table(name: str) -> Callable[[Path], list[str]]:
    """A table of the UCI repository, as it is."""
    return lambda _: [str(DATA / "tabular_mlbench" / f"{name}.npz")]


def folder_of_pngs(place: Path) -> list[str]:
    """3,000 handwritten digits as PNG files, a folder for each class."""
    folder = place / "digits_png"
    with np.load(DATA / "mnist10k" / "mnist10k.npz") as stored:
        x, y = stored["x"][:3000], stored["y"][:3000]
    for i, (image, label) in enumerate(zip(x, y, strict=True)):
        target = folder / f"digit_{label}"
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(image, dtype=np.uint8).reshape(28, 28)).save(target / f"{i}.png")
    return [str(folder)]


def csv_with_gaps_and_words(place: Path) -> list[str]:
    """Diabetes among Pima women: impossible zeros become gaps, body mass and age become words."""
    with np.load(DATA / "tabular_mlbench" / "PimaIndiansDiabetes.npz") as stored:
        x, y, classes = stored["x"], stored["y"], stored["classes"]
    names = ["pregnant", "glucose", "pressure", "triceps", "insulin", "mass", "pedigree", "age"]
    place.mkdir(parents=True, exist_ok=True)
    path = place / "pima.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*names, "diabetes"])
        for row, label in zip(x, y, strict=True):
            cells: list[Any] = ["" if 1 <= i <= 5 and v == 0 else v for i, v in enumerate(row)]
            if cells[5] != "":
                bounds = (18.5, 25, 30, 35)
                words = ("thin", "usual", "heavy", "obese", "very obese")
                cells[5] = words[int(np.searchsorted(bounds, cells[5]))]
            cells[7] = ("young", "middle", "old")[int(np.searchsorted((30, 50), cells[7]))]
            writer.writerow([*cells, classes[label]])
    return [str(path), "--target", "diabetes"]


def regression(place: Path) -> list[str]:
    """Disease progression of 442 diabetes patients (Efron et al. 2004)."""
    data = load_diabetes(scaled=False)
    place.mkdir(parents=True, exist_ok=True)
    path = place / "progression.csv"
    header = ",".join([*data.feature_names, "progression"])
    rows = np.column_stack([data.data, data.target])
    np.savetxt(path, rows, delimiter=",", header=header, comments="", fmt="%.6g")
    return [str(path), "--target", "progression"]


CASES: dict[str, Callable[[Path], list[str]]] = {
    "satellite": table("Satellite"),
    "vehicle": table("Vehicle"),
    "png_folder": folder_of_pngs,
    "csv_gaps_words": csv_with_gaps_and_words,
    "regression": regression,
}


def row_of(name: str, result: dict[str, Any]) -> dict[str, Any]:
    metric = "test_accuracy" if "test_accuracy" in result else "test_rmse"
    low, high = result[f"{metric}_interval"]
    by_kind = {entry["kind"]: entry.get(metric) for entry in result["baselines"]}
    return {
        "data": name,
        "metric": metric,
        "found": round(result[metric], 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "params": result["params"],
        "hand_designed": round(by_kind["hand-designed"], 4),
        "boosting": round(by_kind["boosting"], 4),
        "test_rows": result["data"]["test"],
        "seconds": round(result["seconds"]["total"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--time", default="90s")
    parser.add_argument("--out", type=Path, default=Path("runs/bench-data-sets"))
    args = parser.parse_args()
    rows = []
    for name, make in CASES.items():
        result = searched(args.out / name, make(args.out / "data"), "--time", args.time)
        rows.append(row_of(name, result))
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    write_page("data_sets", lines, result, f"{args.time} a search")


if __name__ == "__main__":
    main()
