"""Files of a finished run's network in another format, or of another trial's network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nasturtium import registry
from nasturtium.data import Schema, Statistics
from nasturtium.errors import StudyError, UserError
from nasturtium.evaluators import Recipe
from nasturtium.export import weights, write
from nasturtium.job.contestants import Contestant
from nasturtium.job.finals import FinalEvaluator, contest, weights_path
from nasturtium.job.folder import RECORD, RESULT
from nasturtium.job.record import SEARCH
from nasturtium.job.run import pick_device
from nasturtium.job.tensors import Arrays
from nasturtium.networks import Net, for_space
from nasturtium.report.data import net_from_json
from nasturtium.rng import derive
from nasturtium.study import Store, TrialRecord

SAMPLES = 64  # rows on which the files are checked


def export_trial(folder: Path, *, format: str, trial: int | None, out: Path | None) -> list[Path]:
    """Write the files of `format` for the found network, or for the network of a trial.

    Raises:
        StudyError: the folder holds no finished run.
        UserError: no such trial.
    """
    if not (folder / RESULT).is_file():
        raise StudyError(f"{folder} holds a run that is not finished: continue it with --resume")
    result = json.loads((folder / RESULT).read_text())
    stored = json.loads((folder / "preprocess.json").read_text())
    schema, statistics = (
        Schema.from_json(stored["schema"]),
        Statistics.from_json(stored["statistics"]),
    )
    network = net_from_json(result["network"])
    arrays = Arrays(
        search_path=folder / "work" / "search.npz",
        path=folder / "work" / "all.npz",
        schema=schema,
        statistics=statistics,
        net_input=network.input_shape,
    )
    name, text = "found", str(result["architecture"])
    if trial is not None and trial != result["trial"]:
        record = _trial(folder, trial)
        name, text = f"trial-{trial}", record.arch
        network = _train(folder, result, arrays, record, name)
        out = folder / name if out is None else out
    target = folder if out is None else out
    target.mkdir(parents=True, exist_ok=True)
    x, _ = arrays.raw()
    summary = write(
        target,
        network,
        statistics,
        schema,
        weights.read_weights(weights_path(folder / "work", name)),
        x[:SAMPLES],
        formats=(format,),
        architecture=text,
    )
    return [target / file for file in summary.files]


def _trial(folder: Path, number: int) -> TrialRecord:
    with Store.open(folder / RECORD, SEARCH) as store:
        found = store.trials(start=number, most=1)
        if not found or found[0].number != number:
            raise UserError(f"--trial {number}: the run has trials 0 to {len(store.trials()) - 1}")
        return found[0]


def _train(
    folder: Path, result: dict[str, Any], arrays: Arrays, record: TrialRecord, name: str
) -> Net:
    """Train the network of a trial as the found one was; its weights go to the run's folder."""
    space = registry.create(result["space"], "space")
    network = for_space(space.name)(space.parse(record.arch), arrays.net_input, arrays.outputs)
    contestant = Contestant(name, "found", name, network, int(result["epochs"]))
    proposal = contest([contestant]).ask()[0]
    evaluator = FinalEvaluator(
        arrays=arrays,
        contestants={name: contestant},
        recipe=Recipe.default_for(arrays.task, arrays.net_input, result["data"]["train"]),
        folder=folder / "work",
        device=pick_device("auto"),
    )
    done = evaluator.evaluate(
        proposal.arch, proposal.fidelity, derive(result["seed"], "refit", record.number)
    )
    if done.status != "ok":
        raise StudyError(f"training trial {record.number} failed: {done.detail}")
    return network
