r"""kill -9 a search at random moments, resume it each time, and compare with an undisturbed run.

    kill_resume.py                        a search by the Python API (sleep_search.py)
    kill_resume.py --start "nasturtium search digits --trials 60 --seed 0 --out {folder}" \
                   --resume "nasturtium search digits --trials 60 --seed 0 --out {folder} --resume"

`{folder}` becomes the run's folder. The record is read through nasturtium.study.Store. What must
hold: nothing that was told is lost or changed, no trial is doubled or left unfinished, no process
is left, proposals and seeds are those of the undisturbed run, and the file is sound. The exit code
is 0 then. Writes bench/results/kill_resume.csv, one row a kill and one for the end.
"""

from __future__ import annotations

import argparse
import csv
import random
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nasturtium.errors import NasturtiumError
from nasturtium.machine import measured_with
from nasturtium.study import Store, TrialRecord

HERE = Path(__file__).parent
DEFAULT = f"{shlex.quote(sys.executable)} {shlex.quote(str(HERE / 'sleep_search.py'))} {{folder}}"


@dataclass(frozen=True)
class Plan:
    """What to run and how to read it."""

    start: str
    resume: str
    record: str
    study: str

    def launch(self, folder: Path) -> subprocess.Popen[bytes]:
        """Start the run in a folder, or resume it where there is a record."""
        text = self.resume if self.trials(folder) else self.start
        command = [part.replace("{folder}", str(folder)) for part in shlex.split(text)]
        with (folder / "log.txt").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log)

    def trials(self, folder: Path) -> list[TrialRecord]:
        """What the record holds; nothing where there is none yet."""
        if not (folder / self.record).exists():
            return []
        try:
            with Store.open(folder / self.record, self.study) as store:
                return store.trials()
        except NasturtiumError as error:
            if "there is no" in str(error):
                return []
            raise


def descendants(pid: int) -> Iterator[int]:
    """The processes that a process has started, and theirs."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and parent_of(int(entry.name)) == pid:
            yield int(entry.name)
            yield from descendants(int(entry.name))


def parent_of(pid: int) -> int | None:
    """The parent of a process; None where it is gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, parent = stat.rpartition(")")[2].split()[:2]
    return None if state in "ZX" else int(parent)


def kill_at(process: subprocess.Popen[bytes], seconds: float) -> tuple[bool, int]:
    """Kill after a while; whether it still ran, and how many of its processes stay for 5 s."""
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        family = list(descendants(process.pid))
        process.kill()
        process.wait()
        end = time.monotonic() + 5.0
        while (left := sum(parent_of(pid) is not None for pid in family)) > 0:
            if time.monotonic() > end:
                break
            time.sleep(0.02)
        return True, left
    if code != 0:
        raise SystemExit(f"the run ended by itself with exit code {code}; see its log.txt")
    return False, 0


def wait_for_progress(plan: Plan, folder: Path, process: subprocess.Popen[bytes]) -> float:
    """Return when the run has told a trial more than before; the seconds that took."""
    start = time.monotonic()
    before = sum(record.state == "told" for record in plan.trials(folder))
    while not plan.trials(folder) and process.poll() is None:
        time.sleep(0.01)
    # One connection for all looks, for they must be quick; it is closed before the kill, so that
    # nobody but the next run finds what the killed one left.
    with Store.open(folder / plan.record, plan.study) as store:
        while process.poll() is None:
            trials = store.trials(start=max(before - 8, 0))
            if len(trials) - len(store.unfinished()) > min(before, 8):
                break
            time.sleep(0.005)
    return time.monotonic() - start


def undisturbed(plan: Plan, folder: Path) -> tuple[list[TrialRecord], float]:
    """Run to the end; the trials and the seconds between the first and the last result."""
    folder.mkdir()
    if plan.launch(folder).wait() != 0:
        raise SystemExit(f"the undisturbed run failed; see {folder}/log.txt")
    records = plan.trials(folder)
    times = [record.told_at for record in records if record.told_at is not None]
    return records, max(times) - min(times)


def lost(before: list[TrialRecord], after: list[TrialRecord]) -> int:
    """How many results are not what they were."""
    now = {record.number: record for record in after}
    return sum(
        record.result is not None
        and (record.number not in now or repr(now[record.number].result) != repr(record.result))
        for record in before
    )


def disturb(
    plan: Plan, folder: Path, kills: int, count: int, work: float, rng: random.Random
) -> list[dict[str, object]]:
    """Kill the run until it was killed `kills` times, then let it end."""
    folder.mkdir()
    rows: list[dict[str, object]] = []
    before: list[TrialRecord] = []
    starting = 1.0
    while len(rows) < kills:
        process = plan.launch(folder)
        early = len(rows) % 4 == 3  # while it starts: before there is anything new
        if early:
            delay = rng.uniform(0.0, starting)
        else:
            starting = wait_for_progress(plan, folder, process)
            told = sum(record.state == "told" for record in plan.trials(folder))
            left_to_work = work * (count - told) / count
            delay = rng.uniform(0.0, 1.5 * left_to_work / (kills - len(rows) + 1))
        killed, left = kill_at(process, delay)
        after = plan.trials(folder)
        if not killed:
            raise SystemExit(f"the run ended after {len(rows)} kills; give it more trials")
        states = [record.state for record in after]
        rows.append(
            {
                "kill": len(rows) + 1,
                "early": int(early),
                "delay_s": f"{delay:.3f}",
                "trials": len(after),
                "told": states.count("told"),
                "unfinished": len(states) - states.count("told"),
                "lost": lost(before, after),
                "processes_left": left,
            }
        )
        print("  ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
        before = after
    if plan.launch(folder).wait() != 0:
        raise SystemExit(f"the last resume failed; see {folder}/log.txt")
    after = plan.trials(folder)
    states = [record.state for record in after]
    end = {"trials": len(after), "told": states.count("told"), "lost": lost(before, after)}
    end["unfinished"] = len(states) - states.count("told")
    return [*rows, {"kill": "end", **end, "processes_left": 0}]


def verdict(
    plan: Plan, folder: Path, calm: list[TrialRecord], rows: list[dict[str, object]]
) -> list[str]:
    """What is wrong with the disturbed run; empty where nothing is."""
    records = plan.trials(folder)
    with Store.open(folder / plan.record, plan.study) as store:
        found = store.check()
    totals = {name: sum(int(str(row[name])) for row in rows) for name in ("lost", "processes_left")}
    found += [f"{name}: {count}" for name, count in totals.items() if count]
    unfinished = [record.number for record in records if record.state != "told"]
    if unfinished:
        found.append(f"left unfinished: {unfinished}")
    if [record.number for record in records] != list(range(len(calm))):
        found.append(f"{len(records)} trials instead of {len(calm)}, or their numbers have gaps")
    pairs = list(zip(records, calm, strict=False))
    wrong = sum((a.seed, a.proposal_text) != (b.seed, b.proposal_text) for a, b in pairs)
    if wrong:
        found.append(f"{wrong} of {len(pairs)} proposals differ from the undisturbed run")
    return found


def main() -> None:
    """Run both, compare, write the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--start", default=DEFAULT, help="the command")
    parser.add_argument("--resume", help="the command that resumes (the same)")
    parser.add_argument("--record", default="study.db", help="the record in the run's folder")
    parser.add_argument("--study", default="search")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--folder", type=Path, help="to keep the runs in; it must not exist")
    parser.add_argument("--out", type=Path, default=HERE.parent / "results" / "kill_resume.csv")
    arguments = parser.parse_args()
    resume = arguments.resume or arguments.start
    plan = Plan(arguments.start, resume, arguments.record, arguments.study)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary) / "runs"
        folder.mkdir(parents=True)
        calm, work = undisturbed(plan, folder / "calm")
        print(f"undisturbed: {len(calm)} trials in {work:.1f} s", flush=True)
        rng = random.Random(arguments.seed)
        rows = disturb(plan, folder / "killed", arguments.kills, len(calm), work, rng)
        found = verdict(plan, folder / "killed", calm, rows)
    where = measured_with(("sqlalchemy", "nasturtium"), checkout=HERE)
    about = {
        "command": arguments.start.replace(sys.executable, "python").replace(f"{HERE}/", ""),
        **where,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with arguments.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*rows[0], "wrong", *about], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            last = {"wrong": "; ".join(found) or "nothing"} if row["kill"] == "end" else {}
            writer.writerow({**row, **last, **about})
    again = sum(record.attempt > 1 for record in calm)
    assert again == 0, "the undisturbed run was disturbed"
    print("; ".join(found) or f"nothing lost, doubled or left: {len(calm)} proposals are equal")
    raise SystemExit(bool(found))


if __name__ == "__main__":
    main()
