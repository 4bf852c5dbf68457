"""How a run begins, or is taken up again: nothing is written before the input is sound."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nasturtium.data import Dataset, Split
from nasturtium.errors import StudyError
from nasturtium.job.clock import SESSION, Clock, seconds_used
from nasturtium.job.config import SearchConfig
from nasturtium.job.contestants import user_network
from nasturtium.job.folder import RECORD, check_folder, make_folder
from nasturtium.job.prepare import check_search, prepare
from nasturtium.job.progress import Progress, Silent
from nasturtium.job.record import SEARCH
from nasturtium.job.run import Job
from nasturtium.study import Store


def open_job(
    config: SearchConfig,
    *,
    folder: Path,
    resume: bool,
    overwrite: bool,
    explicit: Mapping[str, Any],
    command: Sequence[str],
    progress: Progress | None = None,
    dataset: Dataset | None = None,
    parts: Split | None = None,
) -> Job:
    """Begin a run in `folder`, or take it up again; nothing is written before the input is sound.

    Raises:
        UserError: anything about the input, the folder or the record that makes the run impossible.
    """
    begun = time.monotonic()
    check_folder(folder, resume=resume, overwrite=overwrite)
    record = folder / RECORD
    store = None
    if resume:
        store = Store.open(record, SEARCH)
        config = SearchConfig.from_json(store.config["search"]).resumed_with(explicit)
    task = prepare(config, dataset=dataset, parts=parts)
    check_search(task, config)
    if config.baseline is not None:
        user_network(config.baseline, task.net_input, task.outputs)
    fingerprint = task.fingerprint()
    if store is None:
        make_folder(folder, overwrite=overwrite)
        kept = {"search": config.to_json(), "data": fingerprint, "space": task.space.fingerprint}
        store = Store.create(record, SEARCH, config=kept)
        used = 0.0
    else:
        if store.config["data"] != fingerprint or store.config["space"] != task.space.fingerprint:
            raise StudyError(
                f"{folder}: the data or the space differ from those that the run was begun with"
            )
        used = seconds_used(record)
    clock = Clock(config.time, used=used + time.monotonic() - begun)
    store.event(SESSION, {"command": list(command), "config": config.to_json(), "pid": os.getpid()})
    if progress is not None:
        for note in task.dataset.notes:
            progress.note(note)
    return Job(config, task, folder, store, clock, progress or Silent(), command)
