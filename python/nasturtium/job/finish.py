"""After the trainings: the test, the files, the latency, the result and the report."""

from __future__ import annotations

import importlib.util
import json
from typing import Any

import numpy as np
import numpy.typing as npt

from nasturtium.errors import MissingExtra
from nasturtium.export import Converter, weights, write
from nasturtium.export.files import write_atomic
from nasturtium.job.boosting import fit_boosting, predict_boosting
from nasturtium.job.contestants import Contestant
from nasturtium.job.folder import RESULT
from nasturtium.job.plan import BOOSTING_SHARE
from nasturtium.job.run import Job
from nasturtium.job.score import Predictions
from nasturtium.job.tested import Predictor, look_once, network_predictor
from nasturtium.rng import derive
from nasturtium.spaces import Architecture

SAMPLES = 64  # validation rows on which the exported files are checked


def predictors(job: Job, contestants: dict[str, Contestant]) -> dict[str, Predictor]:
    """Everyone who takes the test: the trained networks, and boosting, which is fitted here."""
    found = {
        name: network_predictor(contestant, job.arrays, job.folder / "work")
        for name, contestant in contestants.items()
    }
    if job.config.baselines != "none":
        with job.record.phase("gradient boosting"):
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
    with job.record.phase("test"):
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
    with job.record.phase("export"):
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
    with job.record.phase("latency"):
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


def write_result(job: Job, result: dict[str, Any]) -> None:
    """Write result.json and report.html."""
    write_atomic(job.folder / RESULT, json.dumps(result, indent=2) + "\n")
    if job.config.export:
        from nasturtium.report import render

        with job.record.phase("report"):
            render(job.folder)


def _missing_for_onnx() -> str | None:
    """The first package that is missing for model.onnx; None where it can be written."""
    packages = ("onnx", "onnxscript", "onnxruntime")
    return next((p for p in packages if importlib.util.find_spec(p) is None), None)
