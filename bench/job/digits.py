"""The demo's search on five stratified outer folds of digits, so that every sample is tested once.

Writes bench/results/digits.csv, a row for each network, and prints the pooled accuracies with exact
McNemar tests. The rivals are the run's own, and the hand-designed network, whole and thinned,
trained for ten epochs. A single training decides little where all make some ten errors: the found
network and the thinned one are trained again from other seeds, for the same epochs. Resumable: a
fold whose result is there is not run again.

    python bench/job/digits.py [--time 180] [--again 4] [--out runs/bench-digits]
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from runs import interval, read, write_page
from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit

from nasturtium.data import Dataset, Split, Statistics, load
from nasturtium.evaluators import Recipe
from nasturtium.evaluators.trainer import fit, predict
from nasturtium.job import SearchConfig, run_search
from nasturtium.networks import Net, baselines, cost, module
from nasturtium.networks.preprocess import as_tensors, preprocessed
from nasturtium.report.data import net_from_json
from nasturtium.report.statistics import mcnemar_exact, wilson

LARGE = 37_802  # parameters of a hand-written residual network
SHORT = 10  # epochs


def outer_folds(dataset: Dataset) -> list[tuple[Any, Any]]:
    """Rows to learn from and rows to test on, of each fold."""
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return list(folds.split(dataset.x, dataset.y))


def run_fold(fold: int, *, time: float, out: Path) -> Path:
    """Search on one outer fold with the fold as seed; returns the run's folder."""
    folder = out / f"fold-{fold}"
    if (folder / "result.json").is_file():
        return folder
    dataset = load("digits")
    rest, test = outer_folds(dataset)[fold]
    inner = StratifiedShuffleSplit(1, test_size=0.2, random_state=fold)
    train, validation = next(inner.split(dataset.x[rest], dataset.y[rest]))
    parts = Split.from_indices(dataset, rest[train], rest[validation], test)
    config = SearchConfig(data="digits", time=time, baselines="full", seed=fold)
    run = run_search(
        config,
        folder=folder,
        overwrite=True,
        command=["python", "bench/job/digits.py"],
        dataset=dataset,
        parts=parts,
    )
    print(f"fold {fold}\n{run.summary()}\n", flush=True)
    return folder


def trained(fold: int, net: Net, epochs: int, seed: int) -> Any:
    """Which test rows of a fold a network gets right after so many epochs."""
    torch.set_num_threads(1)
    dataset = load("digits")
    rest, test = outer_folds(dataset)[fold]
    statistics = Statistics.fit(dataset.x[rest], dataset.y[rest], dataset.schema)
    x, y = as_tensors(dataset, rest, statistics)
    network = module(net, seed=seed)
    recipe = Recipe.default_for("classification", net.input_shape, len(rest))
    fit(network, x, y, recipe, task="classification", outputs=10, epochs=epochs, seed=seed)
    labels = predict(network, preprocessed(dataset.x[test], statistics)).argmax(1).numpy()
    return labels == dataset.y[test]


def usual(params: int | None = None) -> Net:
    """The hand-designed network, or one thinned to at least so many parameters."""
    return baselines.residual_net((1, 8, 8), 10, params=params)


def trained_again(results: list[dict[str, Any]], folds: list[int], seeds: int) -> list[str]:
    """A row for the found and for the thinned network, and one for their difference."""
    found = [(net_from_json(r["network"]), r["epochs"]) for r in results]
    thinned = [(usual(r["params"]), r["epochs"]) for r in results]
    jobs = [
        (fold, *nets[i], 1 + fold + 5 * seed)
        for nets in (found, thinned)
        for seed in range(seeds)
        for i, fold in enumerate(folds)
    ]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        right = list(pool.map(trained, *zip(*jobs, strict=True)))
    each = len(folds)
    grouped = [np.concatenate(right[i : i + each]) for i in range(0, len(right), each)]
    ours, theirs = (np.stack(part).astype(float) for part in (grouped[:seeds], grouped[seeds:]))
    rows = [f"network,trainings of {each} folds,errors of each,accuracy,low,high"]
    for name, correct in (("found again", ours), ("thinned again", theirs)):
        errors = " ".join(str(int(n)) for n in (1 - correct).sum(1))
        rows.append(f"{name},{seeds},{errors},{correct.mean():.5f},,")
    mean, low, high = interval(ours - theirs)
    return [*rows, f"found minus thinned,{seeds},,{mean:.5f},{low:.5f},{high:.5f}"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--time", type=float, default=180.0)
    parser.add_argument("--again", type=int, default=4, help="seeds of further trainings")
    parser.add_argument("--out", type=Path, default=Path("runs/bench-digits"))
    parser.add_argument("--folds", default="0,1,2,3,4")
    args = parser.parse_args()
    folds = [int(f) for f in args.folds.split(",")]
    folders = [run_fold(fold, time=args.time, out=args.out) for fold in folds]
    results = [read(folder) for folder in folders]
    right: dict[str, list[Any]] = {}
    params: dict[str, list[int]] = {"found": [r["params"] for r in results]}
    for fold, folder, result in zip(folds, folders, results, strict=True):
        with np.load(folder / "predictions.npz") as stored:
            y = stored["y_true"]
            right.setdefault("found", []).append(stored["y_pred"] == y)
            for baseline in result["baselines"]:
                name = baseline["name"]
                right.setdefault(name, []).append(stored[f"y_pred_{name}"] == y)
                if "params" in baseline:
                    params.setdefault(name, []).append(baseline["params"])
        for name, size in {"hand": None, "thinned": result["params"]}.items():
            net = usual(size)
            right.setdefault(f"{name} {SHORT} epochs", []).append(trained(fold, net, SHORT, fold))
            params.setdefault(f"{name} {SHORT} epochs", []).append(cost(net).params)
    pooled = {name: np.concatenate(parts) for name, parts in right.items()}
    rows = ["network,samples,errors,accuracy,low,high,params_max,only_found,only_other,mcnemar_p"]
    for name, correct in pooled.items():
        k, n = int(correct.sum()), len(correct)
        low, high = wilson(k, n)
        p, only_found, only_other = mcnemar_exact(pooled["found"], correct)
        rows.append(
            f"{name},{n},{n - k},{k / n:.5f},{low:.5f},{high:.5f},{max(params.get(name, [0]))},"
            f"{only_found},{only_other},{p:.4g}"
        )
    rows += trained_again(results, folds, args.again) if args.again else []
    seconds = [r["seconds"]["total"] for r in results]
    write_page("digits", rows, results[0], f"{args.time:g} s a search, folds {args.folds}")
    print(f"seconds of each search: {', '.join(f'{s:.0f}' for s in seconds)}")
    print(f"largest found network: {max(params['found']):,} of {LARGE:,} parameters")


if __name__ == "__main__":
    main()
