"""Search on 10,000 CIFAR-10 images, 12 minutes each, three seeds; test on 10,000 other images.

A network may have as many parameters as the usual hand-designed one: the images are hard and small
networks are soon at their limit. The found network is compared with the hand-designed network of
at least its size under the same training, and with random search at equal cost in the same run.
Differences carry bootstrap intervals that resample seeds and, within each, images. Writes
bench/results/cifar10.csv; what is done already is not done again.

    python bench/job/cifar10.py [--time 720] [--seeds 0,1,2] [--out runs/bench-cifar10]
"""

from __future__ import annotations

import argparse
import io
import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from runs import DATA, interval, read, write_page

from nasturtium.data import Split, from_arrays
from nasturtium.evaluators import Recipe
from nasturtium.job import SearchConfig, run_search
from nasturtium.job.contestants import Contestant
from nasturtium.job.finals import FinalEvaluator, contest
from nasturtium.job.run import pick_device
from nasturtium.job.tensors import Arrays
from nasturtium.job.tested import network_predictor
from nasturtium.networks import baselines, cost
from nasturtium.report.data import net_from_json
from nasturtium.report.statistics import wilson
from nasturtium.rng import derive
from nasturtium.study import Store, Study

ROWS = 10_000


def images(part: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The first 10,000 images [N, 3, 32, 32] and labels of a part, from their JPEG bytes."""
    with np.load(DATA / "cifar10_jpeg" / f"cifar10_{part}.npz") as stored:
        header, data = stored["header"].tobytes(), stored["data"]
        offsets, labels = stored["offsets"], stored["labels"]
        decoded = [
            np.asarray(Image.open(io.BytesIO(header + data[offsets[i] : offsets[i + 1]].tobytes())))
            for i in range(ROWS)
        ]
        return np.stack(decoded).transpose(0, 3, 1, 2).copy(), labels[:ROWS].astype(np.int64)


def run_seed(seed: int, *, time: float, out: Path, train: Any, test: Any) -> Path:
    """One search with its own random search; returns the run's folder."""
    folder = out / f"seed-{seed}"
    if (folder / "result.json").is_file():
        return folder
    x = np.concatenate([train[0], test[0]])
    y = np.concatenate([train[1], test[1]])
    dataset = from_arrays(x, y, name="cifar10")
    order = np.random.default_rng(seed).permutation(ROWS)
    parts = Split.from_indices(dataset, order[:8000], order[8000:], np.arange(ROWS, 2 * ROWS))
    usual = cost(baselines.residual_net((3, 32, 32), 10)).params
    config = SearchConfig(data="cifar10", time=time, baselines="full", max_params=usual, seed=seed)
    command = ["python", "bench/job/cifar10.py"]
    run = run_search(
        config, folder=folder, overwrite=True, command=command, dataset=dataset, parts=parts
    )
    print(f"seed {seed}\n{run.summary()}\n", flush=True)
    return folder


def hand_designed(folder: Path, test: Any) -> tuple[npt.NDArray[np.bool_], int]:
    """Which test images the hand-designed network of at least the found one's size gets right.

    It is trained on the same rows, with the same recipe and for the same epochs.
    """
    from nasturtium.data import Schema, Statistics

    result = read(folder)
    stored = json.loads((folder / "preprocess.json").read_text())
    found = net_from_json(result["network"])
    arrays = Arrays(
        search_path=folder / "work" / "search.npz",
        path=folder / "work" / "all.npz",
        schema=Schema.from_json(stored["schema"]),
        statistics=Statistics.from_json(stored["statistics"]),
        net_input=found.input_shape,
    )
    net = baselines.residual_net(found.input_shape, arrays.outputs, params=result["params"])
    rival = Contestant("same-training", "hand-designed", "hand-designed", net, result["epochs"])
    listed = contest([rival])
    with _store(folder) as store:
        study = Study(store, listed, seed=derive(result["seed"], "same-training"))
        recipe = Recipe.default_for("classification", arrays.net_input, result["data"]["train"])
        evaluator = FinalEvaluator(
            arrays, {rival.name: rival}, recipe, folder / "work", pick_device("cpu")
        )
        study.run(evaluator, workers=0, trials=1)
    predictions = network_predictor(rival, arrays, folder / "work")(test[0])
    return predictions.labels == test[1], cost(net).params


def _store(folder: Path) -> Store:
    name = "same_training"
    if name in Store.studies(folder / "study.db"):
        return Store.open(folder / "study.db", name)
    return Store.create(folder / "study.db", name, config={})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--time", type=float, default=720.0)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--out", type=Path, default=Path("runs/bench-cifar10"))
    args = parser.parse_args()
    train, test = images("train"), images("test")
    seeds = [int(s) for s in args.seeds.split(",")]
    folders = [run_seed(s, time=args.time, out=args.out, train=train, test=test) for s in seeds]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        trained = list(pool.map(hand_designed, folders, [test] * len(folders)))
    found, hand, random, rows = [], [], [], ["seed,network,params,epochs,accuracy,low,high"]
    for seed, folder, (right, params) in zip(seeds, folders, trained, strict=True):
        result = read(folder)
        rival = next(b for b in result["baselines"] if b["name"] == "random")
        with np.load(folder / "predictions.npz") as stored:
            found.append(stored["y_pred"] == stored["y_true"])
            random.append(stored["y_pred_random"] == stored["y_true"])
        hand.append(right)
        sizes = (result["params"], rival["params"], params)
        epochs = (result["epochs"], rival["epochs"], result["epochs"])
        for name, correct, size, e in zip(
            ("found", "random search", "hand-designed"),
            (found[-1], random[-1], right),
            sizes,
            epochs,
            strict=True,
        ):
            low, high = wilson(int(correct.sum()), len(correct))
            rows.append(f"{seed},{name},{size},{e},{correct.mean():.4f},{low:.4f},{high:.4f}")
            print(rows[-1], flush=True)
    ours = np.stack(found).astype(float)
    for name, other in (("hand-designed", hand), ("random search", random)):
        mean, low, high = interval(ours - np.stack(other))
        rows.append(f"all,found minus {name},,,{mean:.4f},{low:.4f},{high:.4f}")
    write_page("cifar10", rows, result, f"{args.time:g} s a search")


if __name__ == "__main__":
    main()
