"""After the trainings: the test, the files, the latency, the result and the report."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nasturtium.errors import MissingExtra
from nasturtium.export import Converter, weights, write
from nasturtium.export.files import write_atomic
from nasturtium.job.boosting import fit_boosting, predict_boosting
from nasturtium.job.finals import Contestant
from nasturtium.job.folder import RESULT
from nasturtium.job.run import FINAL, RANDOM, SEARCH, Job
from nasturtium.job.score import Predictions, compare, metric_value, test_scores, verdict
from nasturtium.job.select import epochs_of, expected_best
from nasturtium.job.tested import Predictor, look_once, network_predictor
from nasturtium.rng import derive
from nasturtium.spaces import Architecture
from nasturtium.study import TrialRecord

BOOSTING_SHARE = 0.35  # of the baselines' time
SAMPLES = 64  # validation rows on which the exported files are checked
RANDOM_LEAST = 3  # random trials at one fidelity from which random search is estimated


def predictors(job: Job, contestants: dict[str, Contestant]) -> dict[str, Predictor]:
    """Everyone who takes the test: the trained networks, and boosting, which is fitted here."""
    found = {
        name: network_predictor(contestant, job.arrays, job.folder / "work")
        for name, contestant in contestants.items()
    }
    if job.config.baselines != "none":
        with job.phase("gradient boosting"):
            x, y = job.arrays.raw()
            seconds = job.plan.baseline_seconds
            model = fit_boosting(
                x,
                y,
                task=job.task.kind,
                seed=derive(job.config.seed, "boosting"),
                seconds=None if seconds is None else BOOSTING_SHARE * seconds,
            )
            found["boosting"] = lambda rows: predict_boosting(model, rows, task=job.task.kind)
    return found


def test(
    job: Job, everyone: dict[str, Predictor]
) -> tuple[npt.NDArray[Any], dict[str, Predictions]]:
    """Open the test part once; nothing without one."""
    if job.task.parts.test.size == 0:
        return np.zeros(0), {}
    with job.phase("test"):
        return look_once(job.folder, job.task.parts.test, everyone)


def converter(job: Job) -> Converter | None:
    """The process that will export, started early so that its imports cost no time later."""
    return Converter(prepare=("onnx",)) if job.config.export and not _missing_for_onnx() else None


def export(job: Job, found: Architecture, process: Converter | None) -> dict[str, Any]:
    """Write and check the network's files; the differences found, for the result."""
    if not job.config.export:
        return {}
    missing = _missing_for_onnx()
    if missing is not None:
        job.progress.note(f"model.onnx is not written: {MissingExtra(missing, 'onnx')}")
    with job.phase("export"):
        x, _ = job.arrays.raw()
        formats: tuple[str, ...] = ("source",) if missing else ("source", "onnx")
        summary = write(
            job.folder,
            job.task.lower(found),
            job.task.statistics,
            job.task.dataset.schema,
            weights.read_weights(job.folder / "work" / "found.safetensors"),
            x[:SAMPLES],
            formats=formats,
            architecture=str(found),
            converter=process,
        )
    return {**summary.checks.to_json(), "rows": summary.checks.rows, "files": list(summary.files)}


def latency(job: Job) -> dict[str, Any]:
    """Milliseconds of one prediction, batch 1 and one thread, for torch and ONNX Runtime."""
    if not job.config.export:
        return {}
    from nasturtium.evaluators.latency import measure

    measured = {}
    example = job.arrays.raw()[0][:1]
    with job.phase("latency"):
        for name, file in (("torch", "model.py"), ("onnxruntime", "model.onnx")):
            if (job.folder / file).is_file():
                measured[name] = measure(job.folder / file, example).to_json()
    limit = job.config.max_latency_ms
    if limit is not None and measured["torch"]["median"] > limit:
        job.progress.note(
            f"the measured latency {measured['torch']['median']:.3g} ms is above the limit of "
            f"{limit:g} ms: what limits the search is predicted"
        )
    return measured


def result_of(
    job: Job,
    found_trial: TrialRecord,
    contestants: dict[str, Contestant],
    tested: tuple[npt.NDArray[Any], dict[str, Predictions]],
    exports: dict[str, Any],
    latencies: dict[str, Any],
) -> dict[str, Any]:
    """The content of result.json; its keys are documented in the README."""
    task, config = job.task, job.config
    found = job.architecture(found_trial)
    spent = task.cost(found)
    y, predictions = tested
    seed = derive(config.seed, "bootstrap")
    result: dict[str, Any] = {
        "version": importlib.metadata.version("nasturtium"),
        "task": task.kind,
        "data": _data(job),
        "space": task.space.name,
        "method": config.method,
        "seed": config.seed,
        "metric": task.metric,
        "architecture": str(found),
        "trial": found_trial.number,
        "params": spent.params,
        "macs": spent.macs,
        "validation_score": found_trial.score,
        "epochs": contestants["found"].epochs,
        "baselines": [],
    }
    if predictions:
        result |= test_scores(task.kind, y, predictions["found"], seed=seed)
        result["test_metric"] = metric_value(task.metric, y, predictions["found"])
        result["baselines"] = [
            _baseline(job, contestants.get(name), name, y, predictions, seed)
            for name in predictions
            if name != "found"
        ]
    if config.baselines == "quick":
        result["baselines"] += _estimated_random(job, found_trial)
    result |= {
        "latency_ms": latencies,
        "exports": exports,
        "network": _network(job, found),
        "trials": _counts(job),
        "limits": {
            "max_params": task.max_params,
            "max_macs": config.max_macs,
            "affordable_macs": job.plan.max_macs,
            "max_latency_ms": config.max_latency_ms,
        },
        "budget": {"time": config.time, "trials": config.trials, "plan": job.plan.to_json()},
        "seconds": {**job.seconds, "total": job.clock.elapsed()},
        "environment": _environment(job),
        "command": job.command,
    }
    return result


def write_result(job: Job, result: dict[str, Any]) -> None:
    """Write result.json and report.html, and remove what only the run itself needed."""
    write_atomic(job.folder / RESULT, json.dumps(result, indent=2) + "\n")
    if job.config.export:
        from nasturtium.report import render

        with job.phase("report"):
            render(job.folder)


def _baseline(
    job: Job,
    contestant: Contestant | None,
    name: str,
    y: npt.NDArray[Any],
    predictions: dict[str, Predictions],
    seed: int,
) -> dict[str, Any]:
    task = job.task
    entry: dict[str, Any] = {
        "name": name,
        "kind": "boosting" if contestant is None else contestant.kind,
        "title": "gradient boosting" if contestant is None else contestant.title,
        "measured": True,
    }
    entry |= test_scores(task.kind, y, predictions[name], seed=seed)
    entry["test_metric"] = metric_value(task.metric, y, predictions[name])
    entry |= compare(task.kind, y, predictions["found"], predictions[name], seed=seed)
    entry["verdict"] = verdict(entry["title"], entry)
    if contestant is None:
        entry["seconds"] = job.seconds.get("gradient_boosting")
        return entry
    entry["epochs"] = contestant.epochs
    if contestant.net is not None:
        from nasturtium.networks import cost

        spent = cost(contestant.net)
        entry |= {"params": spent.params, "macs": spent.macs}
    trial = next(t for t in job.trials(FINAL) if t.arch.endswith(f"network={name}"))
    entry["seconds"] = trial.seconds
    return entry


def _estimated_random(job: Job, found: TrialRecord) -> list[dict[str, Any]]:
    """What random search would have found for the epochs of the search, by validation score.

    The expected best of as many draws as the epochs pay for, from the run's own random trials at
    the highest fidelity that has enough of them.
    """
    trials = job.trials(SEARCH)
    drawn = [t for t in trials if t.origin.startswith("random") and t.status == "ok"]
    scores: dict[int, list[float]] = {}
    for trial in drawn:
        if trial.score is not None:
            scores.setdefault(epochs_of(trial), []).append(trial.score)
    enough = [epochs for epochs, values in scores.items() if len(values) >= RANDOM_LEAST]
    if not enough:
        return []
    epochs = max(enough)
    spent = sum(len(t.curve) or epochs_of(t) for t in trials)
    draws = max(1.0, spent / job.plan.rungs[-1])
    expected = expected_best(scores[epochs], draws)
    at_rung = [t.score for t in trials if epochs_of(t) == epochs and t.score is not None]
    ahead = max(at_rung) - expected
    return [
        {
            "name": "random_search",
            "kind": "random-search",
            "title": "random search at equal cost",
            "measured": False,
            "validation_score": expected,
            "difference_validation": ahead,
            "verdict": f"At {epochs} epochs the search's best validation score is {ahead:+.4f} "
            "against the estimate for random search.",
            "note": f"Estimated, not run: the expected best of {draws:.0f} draws from the "
            f"{len(scores[epochs])} random trials of this run at {epochs} epochs.",
        }
    ]


def _data(job: Job) -> dict[str, Any]:
    dataset, parts = job.task.dataset, job.task.parts
    return {
        "name": dataset.name,
        "rows": len(dataset.x),
        "train": len(parts.train),
        "validation": len(parts.validation),
        "test": parts.test.size,
        "input_shape": list(dataset.x.shape[1:]),
        "classes": list(dataset.schema.classes),
        "target": dataset.schema.target,
        "notes": list(dataset.notes),
    }


def _network(job: Job, found: Architecture) -> dict[str, Any]:
    from nasturtium.report.data import net_to_json

    return net_to_json(job.task.lower(found))


def _counts(job: Job) -> dict[str, Any]:
    counts: dict[str, Any] = {"total": 0, "by_fidelity": {}}
    for trial in job.trials(SEARCH):
        counts["total"] += 1
        counts[trial.status] = counts.get(trial.status, 0) + 1
        rung = f"{epochs_of(trial)} epochs"
        counts["by_fidelity"][rung] = counts["by_fidelity"].get(rung, 0) + 1
    counts["random_search"] = len(job.trials(RANDOM))
    return counts


def _environment(job: Job) -> dict[str, Any]:
    versions: dict[str, str | None] = {}
    for package in ("nasturtium", "torch", "numpy", "scikit-learn", "onnx", "onnxruntime"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return {
        **versions,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "device": job.device,
        "workers": job.config.workers,
    }


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _missing_for_onnx() -> str | None:
    """The first package that is missing for model.onnx; None where it can be written."""
    packages = ("onnx", "onnxscript", "onnxruntime")
    return next((p for p in packages if importlib.util.find_spec(p) is None), None)


def remove_work(job: Job) -> None:
    """Remove the arrays that the workers read; the weights of the rivals stay."""
    shutil.rmtree(job.folder / "work" / "arrays", ignore_errors=True)
