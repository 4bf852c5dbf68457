"""The main job: from a data set to a found, trained, compared and exported network.

Each phase reads what the earlier ones left in the record, so that a run that was stopped goes on
where it was: what was decided from a measured time is an event, every training is a trial.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasturtium import registry
from nasturtium.errors import StudyError, UserError
from nasturtium.evaluators.recipe import Recipe
from nasturtium.job import plan as planning
from nasturtium.job.clock import Clock
from nasturtium.job.config import SearchConfig
from nasturtium.job.contestants import Contestant, contestants
from nasturtium.job.finalists import Finalist, finalists, judged, proposals
from nasturtium.job.finals import FinalEvaluator, Listed, contest
from nasturtium.job.prepare import Limited, Task, starts
from nasturtium.job.progress import Progress
from nasturtium.job.record import FINAL, RANDOM, SEARCH, Over, Record
from nasturtium.job.select import budget_of, ranked, spent_on
from nasturtium.job.tensors import Arrays, training_evaluator
from nasturtium.rng import derive
from nasturtium.search import Limits
from nasturtium.study import Store, Study

if TYPE_CHECKING:
    from nasturtium.evaluators.latency_model import LatencyModel
    from nasturtium.evaluators.training import TrainingEvaluator

LATENCY_NETS = 24  # networks that are timed to predict the latency of others
MARGIN = 3.0  # seconds kept free at the end


class Job:
    """One run in one folder; `go` works through the phases that are not done yet."""

    def __init__(
        self,
        config: SearchConfig,
        task: Task,
        folder: Path,
        store: Store,
        clock: Clock,
        progress: Progress,
        command: Sequence[str],
    ) -> None:
        self.config = config
        self.task = task
        self.folder = folder
        self.record = Record(store, clock, progress, config)
        self.clock = clock
        self.progress = progress
        self.command = list(command)
        self.device = pick_device(config.device)
        rows = len(task.parts.train)
        self.recipe = Recipe.default_for(task.kind, task.net_input, rows)
        self.limited = Limited(task, latency=self._latency_model())
        planned = self.record.once("plan", lambda: self._plan().to_json())
        self.plan = planning.Plan.from_json(planned)
        self.arrays = Arrays.save(task, folder / "work")

    def search(self) -> tuple[list[Finalist], list[Finalist]]:
        """Phase 1: the search, and random search at equal cost; who is left of each, best first."""
        planned = self.plan
        with self.record.phase("search", planned.search_seconds) as over:
            self._search(SEARCH, self.config.method, over, self.config.trials)
        found = self._finalists(SEARCH)
        if not found:
            detail = next(
                (t.detail for t in self.record.trials(SEARCH) if t.detail), "none was finished"
            )
            raise StudyError(f"no trial of the search succeeded: {detail.strip().splitlines()[-1]}")
        if self.config.baselines != "full":
            return found, []
        with self.record.phase("random search", planned.random_seconds) as over:
            self._search(RANDOM, "random_search", over, self._equal_trials())
        return found, self._finalists(RANDOM)

    def _finalists(self, name: str) -> list[Finalist]:
        """The best of the search of that name, best first; with a clock those of a last round."""
        trials, space = ranked(self.record.trials(name)), self.task.space
        ms = self.plan.finalist_ms
        if ms is None or not trials:
            return [Finalist(t, space.parse(t.arch), t.score) for t in trials[:1]]
        limits = self.limited.limits(self.config, plan=self.plan, final=True)
        chosen = finalists(trials, space, limits)
        label = f"{name}_finalists"
        with self.record.phase(label.replace("_", " "), 1e-3 * ms):
            study = self.record.study(label, Listed(space, proposals(chosen, ms)))
            workers = min(self.config.workers, len(chosen))
            self.record.run(study, self._training(), workers=workers, trials=len(chosen))
        return judged(chosen, study.trials())

    def train(self, found: Finalist, rival: Finalist | None) -> dict[str, Contestant]:
        """Phase 2: train the found network and its rivals to the end; returns who finished."""
        epochs = self.record.once("final_epochs", lambda: self._final_epochs(found))
        second = None if rival is None else rival.arch
        entries = contestants(self.config, self.task, self.plan, found.arch, second, epochs)
        with self.record.phase("final training", self.plan.final_seconds):
            study = self._finals(entries)
        done = {
            c.name: dataclasses.replace(c, epochs=max(1, round(trial.values["epochs"])))
            for c, trial in zip(entries, study.trials(), strict=True)
            if trial.status == "ok"
        }
        if "found" not in done:
            failed = study.trials()[[c.name for c in entries].index("found")]
            raise StudyError(f"the final training failed: {failed.detail}")
        return done

    def _finals(self, entries: Sequence[Contestant]) -> Study:
        """Train contestants in their order; with a clock, a found one that is last is alone."""
        study = self.record.study(FINAL, contest(entries))
        last = len(entries)
        alone = self.config.time is not None and entries[-1].name == "found"
        if alone and last > 1:
            self._final(study, entries, trials=last - 1, seconds=None)
        seconds = self.record.once("final_seconds", self._final_seconds)
        threads = max(1, self.config.workers) if alone else 1
        self._final(study, entries, trials=last, seconds=seconds, threads=threads)
        return study

    def _final(
        self,
        study: Study,
        entries: Sequence[Contestant],
        *,
        trials: int,
        seconds: float | None,
        threads: int = 1,
    ) -> None:
        """Train the first `trials` contestants; `seconds` for those that have no time of their own.

        With several threads the training is done here, else in the workers.
        """
        timed = [dataclasses.replace(c, seconds=c.seconds or seconds) for c in entries]
        evaluator = FinalEvaluator(
            arrays=self.arrays,
            contestants={c.name: c for c in timed},
            recipe=self.recipe,
            folder=self.folder / "work",
            device=self.device,
            threads=threads,
        )
        workers = 0 if threads > 1 else min(self.config.workers, trials)
        self.record.run(study, evaluator, workers=workers, trials=trials, total=len(entries))

    def _search(self, name: str, method: str, over: Over | None, trials: int | None) -> None:
        optimizer = registry.create(
            method,
            "method",
            space=self.task.space,
            seed=derive(self.config.seed, name),
            allowed=self._limits(),
            fidelities=self.plan.fidelities,
            proxy=self.limited.proxy(self.plan),
            starts=starts(self.task.space, self._limits()),
        )
        lag = 2 * max(1, self.config.workers)
        study = self.record.study(name, optimizer, lag=lag, space=self.task.space)
        overhang = self.plan.overhang()
        waited = False

        def ends(ahead: float) -> bool:
            # However short the time is, one result is waited for.
            nonlocal waited
            if over is None or not over(ahead):
                return False
            waited = waited or any(trial.state == "told" for trial in study.trials())
            return waited

        if ends(overhang):
            return
        self.record.run(
            study,
            self._training(),
            workers=self.config.workers,
            trials=trials,
            until=None if over is None else lambda: ends(-overhang),
            closing=None if over is None else lambda: ends(overhang),
        )

    def _training(self) -> TrainingEvaluator:
        return training_evaluator(self.arrays, self.task, self.recipe, self.plan, self.device)

    def _limits(self) -> Limits:
        return self.limited.limits(self.config, plan=self.plan)

    def _equal_trials(self) -> int | None:
        """Random search's trials for the search's epochs; None where the clock decides."""
        if self.plan.random_seconds is not None:
            return None
        spent = sum(spent_on(t) for t in self.record.trials(SEARCH))
        return max(1, round(spent / budget_of(self.plan.fidelities[-1])))

    def _final_seconds(self) -> float | None:
        """The time of the found network's final training: what is left but for what follows."""
        planned, left = self.plan.final_seconds, self.clock.left()
        if planned is None or left is None:
            return None
        return max(left - MARGIN - self.plan.after_seconds, 0.5 * planned)

    def _final_epochs(self, found: Finalist) -> int:
        """How long the final training is, from what the found trial took."""
        trial = found.trial
        rows = len(self.task.parts.train) + len(self.task.parts.validation)
        each = trial.seconds / trial.values["epochs"] * rows / len(self.task.parts.train)
        pace = self.plan.pace()
        if pace is not None:
            tried = self.task.space.parse(trial.arch)
            each *= pace.predict(self.task.lower(found.arch)) / pace.predict(self.task.lower(tried))
        return self.plan.epochs_within(max(each, 1e-6))

    def _plan(self) -> planning.Plan:
        if self.config.time is None:
            return planning.plan_trials(self.config, self.task, self.recipe)
        left = self.clock.left()
        assert left is not None
        return planning.plan_time(
            self.config,
            self.task,
            self.recipe,
            left=left - MARGIN,
            keep=self.limited.limits(self.config),
            measure=lambda nets: planning.measure_steps(
                self.task, self.recipe, nets, device=self.device
            ),
        )

    def _latency_model(self) -> LatencyModel | None:
        if self.config.max_latency_ms is None:
            return None
        from nasturtium.evaluators.latency_model import LatencyModel

        def measured() -> dict[str, Any]:
            space = self.task.space
            codes = space.sample(LATENCY_NETS, seed=derive(self.config.seed, "latency"))
            self.progress.phase("measuring latencies", None)
            nets = [self.task.lower(space.architecture(code)) for code in codes]
            return LatencyModel.measure(nets).to_json()

        return LatencyModel.from_json(self.record.once("latency_model", measured))


def pick_device(device: str) -> str:
    """The device "cuda" where asked for or, with "auto", where there is one; else "cpu"."""
    if device == "cpu":
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if device == "cuda":
        raise UserError("--device cuda: torch sees no CUDA device here; use --device cpu")
    return "cpu"
