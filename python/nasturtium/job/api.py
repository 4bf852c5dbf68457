"""The main job as functions: for the command line, for arrays, for an existing run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from nasturtium.data import Dataset, Split, from_arrays, split
from nasturtium.errors import StudyError, UserError
from nasturtium.job import finish
from nasturtium.job.begin import open_job
from nasturtium.job.config import SearchConfig, parse_seconds
from nasturtium.job.functional import Found, search_function
from nasturtium.job.outcome import Run
from nasturtium.job.progress import Progress, Silent
from nasturtium.job.result import result_of
from nasturtium.job.run import Job
from nasturtium.rng import derive
from nasturtium.spaces import Architecture, Space


def search(
    x: ArrayLike | None = None,
    y: ArrayLike | None = None,
    *,
    space: Space | str | None = None,
    evaluate: Callable[[Architecture], Any] | None = None,
    time: str | float | None = None,
    trials: int | None = None,
    out: str | Path | None = None,
    **options: Any,
) -> Run | Found:
    """Search a network for arrays, or anything that a function can score.

    `search(x, y, time="2m")` is the command `nasturtium search` on arrays: `x` [N, F] numbers or
    [N, H, W], [N, H, W, C], [N, C, H, W] images, `y` [N] classes or values; it returns a `Run`.
    `search(space=space, evaluate=score, trials=100)` maximizes `score(architecture) -> float`
    over a space and returns a `Found`.

    Args:
        time: seconds, or text such as "90s" or "2m", for everything; 2 minutes without `trials`.
        trials: number of trials instead.
        out: folder of the run; a temporary one, removed with the returned object, without it.
        options: further fields of `SearchConfig`, or arguments of `search_function`.

    Raises:
        UserError: the input makes no search possible.
    """
    if evaluate is not None:
        if space is None or isinstance(space, str) or x is not None or y is not None:
            raise UserError(
                "search(space=..., evaluate=...) takes a Space and a function, and no x and y"
            )
        return search_function(
            space, evaluate, time=_seconds(time), trials=trials, out=out, **options
        )
    if x is None or y is None:
        raise UserError("give x and y, or space= and evaluate=")
    limit = _seconds(time)
    if limit is None and trials is None:
        limit = 120.0
    if isinstance(space, Space):
        space = space.name
    return search_arrays(x, y, time=limit, trials=trials, out=out, space=space, **options)


def search_arrays(
    x: ArrayLike,
    y: ArrayLike,
    *,
    task: str | None = None,
    test_fraction: float = 0.20,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    strict: bool = True,
    progress: Progress | None = None,
    **options: Any,
) -> Run:
    """The main job on arrays; with `test_fraction` 0 all rows serve the search and the training.

    Further `options` are fields of `SearchConfig`.
    """
    dataset = from_arrays(x, y, task=task, strict=strict)
    config = SearchConfig(data=dataset.name, task=task, **options)
    fractions = (0.8 * (1 - test_fraction), 0.2 * (1 - test_fraction), test_fraction)
    parts = split(dataset, seed=derive(config.seed, "split"), fractions=fractions)
    return run_search(
        config,
        folder=out,
        resume=resume,
        overwrite=overwrite,
        explicit=config.to_json() if resume else {},
        command=["nasturtium.search(x, y)"],
        progress=progress,
        dataset=dataset,
        parts=parts,
    )


def run_search(
    config: SearchConfig,
    *,
    folder: str | Path | None,
    resume: bool = False,
    overwrite: bool = False,
    explicit: Mapping[str, Any] | None = None,
    command: Sequence[str] = (),
    progress: Progress | None = None,
    dataset: Dataset | None = None,
    parts: Split | None = None,
) -> Run:
    """Run the main job to its end, or take up the run in `folder`.

    Args:
        folder: where everything goes; None makes a temporary one that lives as long as the `Run`.
        explicit: on a resume, what is asked for this time; only `time` and `trials` may differ.
        command: how the run was started, for the report.
        dataset, parts: data and split from Python instead of those that `config` names.

    Raises:
        UserError: see `open_job`.
        KeyboardInterrupt: the run was stopped; it can be resumed.
    """
    temporary = tempfile.TemporaryDirectory(prefix="nasturtium-") if folder is None else None
    place = Path(temporary.name) if temporary is not None else Path(folder or "")
    job = open_job(
        config,
        folder=place,
        resume=resume,
        overwrite=overwrite,
        explicit=explicit or {},
        command=command,
        progress=progress or Silent(),
        dataset=dataset,
        parts=parts,
    )
    return complete(job, temporary)


def complete(job: Job, temporary: Any = None) -> Run:
    """Work through all phases of a job."""
    found, rivals = job.search()
    contestants = job.train(found[0], next(iter(rivals), None))
    process = finish.converter(job)
    tested = finish.test(job, finish.predictors(job, contestants))
    exports = finish.export(job, found[0].arch, process)
    latencies = finish.latency(job)
    result = result_of(job, found, contestants, tested, exports, latencies)
    finish.write_result(job, result)
    return Run(job.folder, result, job.arrays, contestants["found"], temporary)


def export_run(folder: Path, *, format: str, trial: int | None, out: Path | None) -> list[Path]:
    """Write a run's network in `format` (source, onnx, torch-export); returns the files.

    A trial other than the found one is trained first, as the found one was.

    Raises:
        UserError: the folder holds no run, or no such trial.
    """
    from nasturtium.job.refit import export_trial

    if not (folder / "study.db").is_file():
        raise StudyError(f"{folder} holds no run")
    return export_trial(folder, format=format, trial=trial, out=out)


def _seconds(time: str | float | None) -> float | None:
    return parse_seconds(time) if isinstance(time, str) else time
