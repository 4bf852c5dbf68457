"""The content of result.json: what was found, how it compares, and under which circumstances."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from nasturtium import machine
from nasturtium.job.contestants import Contestant
from nasturtium.job.finalists import Finalist, is_known
from nasturtium.job.record import FINAL, RANDOM, SEARCH
from nasturtium.job.run import Job
from nasturtium.job.score import Predictions, compare, metric_value, test_scores, verdict
from nasturtium.job.select import budget_of, expected_best, spent_on
from nasturtium.networks import cost
from nasturtium.report.data import fidelity_text, net_to_json
from nasturtium.report.verdict import handicap
from nasturtium.rng import derive
from nasturtium.version import version

RANDOM_LEAST = 3  # random trials at one fidelity from which random search is estimated


def result_of(
    job: Job,
    finalists: Sequence[Finalist],
    contestants: dict[str, Contestant],
    tested: tuple[npt.NDArray[Any], dict[str, Predictions]],
    exports: dict[str, Any],
    latencies: dict[str, Any],
) -> dict[str, Any]:
    """The content of result.json; its keys are documented in the README."""
    task, config = job.task, job.config
    found = finalists[0]
    spent = task.cost(found.arch)
    y, predictions = tested
    seed = derive(config.seed, "bootstrap")
    result: dict[str, Any] = {
        "version": version(),
        "task": task.kind,
        "data": _data(job),
        "space": task.space.name,
        "method": config.method,
        "seed": config.seed,
        "metric": task.metric,
        "architecture": str(found.arch),
        "trial": found.trial.number,
        "known_design": is_known(found.arch),
        "finalists": [_finalist(job, f) for f in finalists] if job.plan.finalist_ms else [],
        "params": spent.params,
        "macs": spent.macs,
        "validation_score": found.score,
        "epochs": contestants["found"].epochs,
        "baselines": [],
    }
    if predictions:
        result |= test_scores(task.kind, y, predictions["found"], seed=seed)
        result["test_metric"] = metric_value(task.metric, y, predictions["found"])
        result["baselines"] = [
            _baseline(job, contestants.get(name), name, y, predictions, result["epochs"], seed)
            for name in predictions
            if name != "found"
        ]
    if config.baselines == "quick":
        result["baselines"] += _estimated_random(job)
    result |= {
        "latency_ms": latencies,
        "exports": exports,
        "network": net_to_json(task.lower(found.arch)),
        "trials": _counts(job),
        "limits": {
            "max_params": task.max_params,
            "max_macs": config.max_macs,
            "max_training_step_ms": job.plan.max_step_ms,
            "max_latency_ms": config.max_latency_ms,
        },
        "budget": {"time": config.time, "trials": config.trials, "plan": job.plan.to_json()},
        "seconds": {**job.record.seconds, "total": job.clock.elapsed()},
        "environment": _environment(job),
        "command": job.command,
    }
    return result


def _baseline(
    job: Job,
    contestant: Contestant | None,
    name: str,
    y: npt.NDArray[Any],
    predictions: dict[str, Predictions],
    found_epochs: int,
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
    epochs = None if contestant is None else contestant.epochs
    handicapped = entry["title"] + handicap(epochs, found_epochs)
    entry["verdict"] = verdict(handicapped, entry)
    if contestant is None:
        entry["seconds"] = job.record.seconds.get("gradient_boosting")
        return entry
    entry["epochs"] = epochs
    if contestant.net is not None:
        spent = cost(contestant.net)
        entry |= {"params": spent.params, "macs": spent.macs}
    trial = next(t for t in job.record.trials(FINAL) if t.arch.endswith(f"network={name}"))
    entry["seconds"] = trial.seconds
    return entry


def _estimated_random(job: Job) -> list[dict[str, Any]]:
    """What random search would have found at the cost of the search, by validation score.

    The expected best of as many draws as that pays for, from the run's own random trials at
    the highest fidelity that has enough of them.
    """
    trials = job.record.trials(SEARCH)
    drawn = [t for t in trials if t.origin.startswith("random") and t.status == "ok"]
    scores: dict[int, list[float]] = {}
    for trial in drawn:
        if trial.score is not None:
            scores.setdefault(budget_of(trial.fidelity), []).append(trial.score)
    enough = [budget for budget, values in scores.items() if len(values) >= RANDOM_LEAST]
    if not enough:
        return []
    budget = max(enough)
    chosen = any(t.origin != "random" for t in drawn)
    draws = max(1.0, sum(spent_on(t) for t in trials) / budget_of(job.plan.fidelities[-1]))
    expected = expected_best(scores[budget], draws)
    level = [t for t in trials if budget_of(t.fidelity) == budget]
    rung = fidelity_text(level[0].fidelity)
    at_rung = [t.score for t in level if t.score is not None]
    ahead = max(at_rung) - expected
    return [
        {
            "name": "random_search",
            "kind": "random-search",
            "title": "random search at equal cost",
            "measured": False,
            "validation_score": expected,
            "difference_validation": ahead,
            "verdict": f"At {rung} the search's best validation score is {ahead:+.4f} "
            "against the estimate for random search.",
            "note": f"Estimated, not run: the expected best of {draws:.0f} draws from the "
            f"{len(scores[budget])} random trials of this run at {rung}"
            + (", which its zero-cost proxy had chosen: plain draws do worse." if chosen else "."),
        }
    ]


def _finalist(job: Job, finalist: Finalist) -> dict[str, Any]:
    return {
        "trial": finalist.trial.number,
        "searched_as": finalist.trial.arch,
        "architecture": str(finalist.arch),
        "params": job.task.cost(finalist.arch).params,
        "validation_score": finalist.score,
    }


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


def _counts(job: Job) -> dict[str, Any]:
    counts: dict[str, Any] = {"total": 0, "by_fidelity": {}}
    for trial in job.record.trials(SEARCH):
        counts["total"] += 1
        counts[trial.status] = counts.get(trial.status, 0) + 1
        rung = fidelity_text(trial.fidelity)
        counts["by_fidelity"][rung] = counts["by_fidelity"].get(rung, 0) + 1
    counts["random_search"] = len(job.record.trials(RANDOM))
    return counts


def _environment(job: Job) -> dict[str, Any]:
    packages = ("nasturtium", "torch", "numpy", "scikit-learn", "onnx", "onnxruntime")
    return {
        **machine.versions(packages),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": machine.processor(),
        "cores": machine.cores(),
        "device": job.device,
        "workers": job.config.workers,
    }
