"""How many trials a second one process asks and tells, each ask and each tell durable by itself.

Figures side by side, in turns, because the disk is the limit and differs by the minute: trials/s of
a study, the same in memory (/dev/shm: what the program costs without the disk), trials/s of the
driver alone (two one-row transactions with the same settings), and the time of one fsync. Writes
bench/results/study.csv.
"""

from __future__ import annotations

import argparse
import csv
import os
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from nasturtium.evaluators.base import Result
from nasturtium.machine import measured_with
from nasturtium.search.methods import random_search
from nasturtium.spaces import nb201
from nasturtium.study import Store, Study

MEMORY = Path("/dev/shm")
RESULTS = Path(__file__).parents[1] / "results" / "study.csv"


def study_rate(folder: Path, trials: int) -> tuple[float, float, float]:
    """Trials/s, processor seconds a trial, and bytes a trial, of a study with random search."""
    store = Store.create(folder / "study.db", "search", config={})
    study = Study(store, random_search(nb201(), seed=0, repeats=True), seed=0)
    result = Result("ok", 0.5, {"params": 37802.0}, (0.25, 0.5), 1.0)
    clock, processor = time.perf_counter(), time.process_time()
    for _ in range(trials):
        trial = study.ask()
        assert trial is not None
        study.tell(trial, result)
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    assert len(study.trials()) == trials
    assert store.check() == []
    store.close()
    size = (folder / "study.db").stat().st_size
    return trials / clock, processor / trials, size / trials


def driver_rate(folder: Path, trials: int) -> float:
    """Trials/s where a trial is an INSERT and an UPDATE of one row, each committed."""
    connection = sqlite3.connect(folder / "plain.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE trial (number INTEGER PRIMARY KEY, asked TEXT, told TEXT)")
    start = time.perf_counter()
    for number in range(trials):
        connection.execute("INSERT INTO trial VALUES (?, ?, NULL)", (number, "x" * 150))
        connection.execute("UPDATE trial SET told = ? WHERE number = ?", ("x" * 100, number))
    seconds = time.perf_counter() - start
    connection.close()
    return trials / seconds


def fsync_seconds(folder: Path, count: int) -> float:
    """Mean time of writing and flushing one page."""
    file = os.open(folder / "page", os.O_CREAT | os.O_WRONLY)
    start = time.perf_counter()
    for number in range(count):
        os.pwrite(file, b"x" * 4096, 4096 * number)
        os.fsync(file)
    seconds = time.perf_counter() - start
    os.close(file)
    return seconds / count


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="on the disk to measure; a temporary one")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    rows = []
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
            folder = Path(name)
            rate, processor, size = study_rate(folder, arguments.trials)
            plain = driver_rate(folder, arguments.trials)
            flush = fsync_seconds(folder, arguments.trials // 4)
        with tempfile.TemporaryDirectory(dir=MEMORY) as name:
            memory, _, _ = study_rate(Path(name), arguments.trials)
        rows.append((rate, memory, plain, flush * 1e6, processor * 1e6, size))
        print(
            f"{rate:7.0f} trials/s   in memory {memory:7.0f}   driver alone {plain:7.0f}   "
            f"fsync {flush * 1e6:6.0f} us",
            flush=True,
        )
    median = [statistics.median(column) for column in zip(*rows, strict=True)]
    names = (
        "trials_per_s",
        "memory_trials_per_s",
        "driver_trials_per_s",
        "fsync_us",
        "cpu_us_per_trial",
        "bytes_per_trial",
    )
    figures = dict(zip(names, (f"{value:.0f}" for value in median), strict=True))
    row = {
        "trials": str(arguments.trials),
        "rounds": str(arguments.rounds),
        **figures,
        "best_trials_per_s": f"{max(rate for rate, *_ in rows):.0f}",
        **measured_with(("sqlalchemy", "nasturtium"), checkout=Path(__file__).parent),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with arguments.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(row), lineterminator="\n")
        writer.writeheader()
        writer.writerow(row)
    print(", ".join(f"{name} {value}" for name, value in figures.items()), f"-> {arguments.out}")


if __name__ == "__main__":
    main()
