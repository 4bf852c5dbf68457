"""A search in a process of its own, for tests that end it: FOLDER TRIALS SECONDS."""

from __future__ import annotations

import sys
from pathlib import Path

from study_toys import Chain, Scored

from nasturtium.errors import StudyError
from nasturtium.study import RunEvent, Store, Study

if __name__ == "__main__":
    folder, trials, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    try:
        store = Store.create(folder / "study.db", "search", config={})
    except StudyError:
        store = Store.open(folder / "study.db", "search")
    study = Study(store, Chain(5), seed=11, lag=4)

    def acknowledge(event: RunEvent) -> None:
        if event.result is not None:
            sys.stdout.write(f"{event.number} {event.result.score}\n")
            sys.stdout.flush()

    study.run(Scored(seconds), workers=2, trials=trials, on_event=acknowledge)
