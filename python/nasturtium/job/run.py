"""The main job: from a data set to a found, trained, compared and exported network.

Each phase reads what the earlier ones left in the record, so that a run that was stopped goes on
where it was: what was decided from a measured time is an event, every training is a trial.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from nasturtium import registry
from nasturtium.errors import StudyError, UserError
from nasturtium.evaluators.recipe import Recipe
from nasturtium.job import plan as planning
from nasturtium.job.clock import Clock
from nasturtium.job.config import SearchConfig
from nasturtium.job.finalists import Finalist, finalists, judged, proposals
from nasturtium.job.finals import Contestant, FinalEvaluator, Listed, contest
from nasturtium.job.prepare import Limited, Task, starts
from nasturtium.job.progress import Progress, TrialSeen
from nasturtium.job.select import best_trial, budget_of, ranked, spent_on
from nasturtium.job.tensors import Arrays, training_evaluator
from nasturtium.report.data import fidelity_text
from nasturtium.rng import derive
from nasturtium.search import Limits, Optimizer
from nasturtium.spaces import Architecture
from nasturtium.study import RunEvent, Store, Study, TrialRecord

if TYPE_CHECKING:
    from nasturtium.evaluators.latency_model import LatencyModel
    from nasturtium.evaluators.training import TrainingEvaluator

Over = Callable[[float], bool]
T = TypeVar("T")

SEARCH, RANDOM, FINAL = "search", "random_search", "final"
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
        self.store = store
        self.clock = clock
        self.progress = progress
        self.command = list(command)
        self.device = pick_device(config.device)
        rows = len(task.parts.train)
        self.recipe = Recipe.default_for(task.kind, task.net_input, rows)
        self.seconds: dict[str, float] = {}
        self.limited = Limited(task, latency=self._latency_model())
        self.plan = self._plan()
        self.arrays = Arrays.save(task, folder / "work")

    def search(self) -> tuple[list[Finalist], list[Finalist]]:
        """Phase 1: the search, and random search at equal cost; who is left of each, best first."""
        planned = self.plan
        with self.phase("search", planned.search_seconds) as over:
            self._study(SEARCH, self.config.method, over, self.config.trials)
        found = self._finalists(SEARCH)
        if not found:
            detail = next((t.detail for t in self.trials(SEARCH) if t.detail), "none was finished")
            raise StudyError(f"no trial of the search succeeded: {detail.strip().splitlines()[-1]}")
        if self.config.baselines != "full":
            return found, []
        with self.phase("random search", planned.random_seconds) as over:
            self._study(RANDOM, "random_search", over, self._equal_trials())
        return found, self._finalists(RANDOM)

    def _finalists(self, name: str) -> list[Finalist]:
        """The best of the search of that name, best first; with a clock those of a last round."""
        trials, space = ranked(self.trials(name)), self.task.space
        ms = self.plan.finalist_ms
        if ms is None or not trials:
            return [Finalist(t, space.parse(t.arch), t.score) for t in trials[:1]]
        limits = self.limited.limits(self.config, plan=self.plan, final=True)
        chosen = finalists(trials, space, limits)
        label = f"{name}_finalists"
        with self.phase(label.replace("_", " "), 1e-3 * ms):
            listed = Listed(space, proposals(chosen, ms))
            study = self._opened(label, listed)
            study.run(
                self._training(),
                workers=min(self.config.workers, len(chosen)),
                trials=len(chosen),
                on_event=self._listener(label, study, len(chosen)),
            )
        return judged(chosen, study.trials())

    def train(self, found: Finalist, rival: Finalist | None) -> dict[str, Contestant]:
        """Phase 2: train the found network and its rivals to the end; returns who finished."""
        epochs = self._once("final_epochs", lambda: self._final_epochs(found))
        contestants = self._contestants(found.arch, None if rival is None else rival.arch, epochs)
        with self.phase("final training", self.plan.final_seconds):
            study = self._finals(contestants)
        done = {
            c.name: dataclasses.replace(c, epochs=max(1, round(trial.values["epochs"])))
            for c, trial in zip(contestants, study.trials(), strict=True)
            if trial.status == "ok"
        }
        if "found" not in done:
            failed = study.trials()[[c.name for c in contestants].index("found")]
            raise StudyError(f"the final training failed: {failed.detail}")
        return done

    def _finals(self, contestants: Sequence[Contestant]) -> Study:
        """Train contestants in their order; with a clock, a found one that is last is alone."""
        study = self._opened(FINAL, contest(contestants))
        last = len(contestants)
        alone = self.config.time is not None and contestants[-1].name == "found"
        if alone and last > 1:
            self._final(study, contestants, trials=last - 1, seconds=None)
        seconds = self._once("final_seconds", self._final_seconds)
        threads = max(1, self.config.workers) if alone else 1
        self._final(study, contestants, trials=last, seconds=seconds, threads=threads)
        return study

    def _final(
        self,
        study: Study,
        contestants: Sequence[Contestant],
        *,
        trials: int,
        seconds: float | None,
        threads: int = 1,
    ) -> None:
        """Train the first `trials` contestants; `seconds` for those that have no time of their own.

        With several threads the training is done here, else in the workers.
        """
        timed = [dataclasses.replace(c, seconds=c.seconds or seconds) for c in contestants]
        evaluator = FinalEvaluator(
            arrays=self.arrays,
            contestants={c.name: c for c in timed},
            recipe=self.recipe,
            folder=self.folder / "work",
            device=self.device,
            threads=threads,
        )
        study.run(
            evaluator,
            workers=0 if threads > 1 else min(self.config.workers, trials),
            trials=trials,
            on_event=self._listener(FINAL, study, len(contestants)),
        )

    def trials(self, study: str) -> list[TrialRecord]:
        """The trials of one of the run's studies; none where it was not begun."""
        if study not in Store.studies(self.store.path):
            return []
        with Store.open(self.store.path, study) as store:
            return store.trials()

    @contextmanager
    def phase(self, name: str, seconds: float | None = None) -> Iterator[Over | None]:
        """A phase that may take `seconds` from when it first began; yields its clock.

        The clock says whether the phase is over, or will be in so many seconds, or was before.
        """
        key = name.replace(" ", "_")
        begun = next(
            (e.payload["elapsed"] for e in self.store.events("phase") if e.payload["name"] == key),
            None,
        )
        if begun is None:
            begun = self.clock.elapsed()
            self.store.event("phase", {"name": key, "elapsed": begun})
        ended = self._ended(key)
        self.progress.phase(name, seconds)
        ends = None if seconds is None else begun + seconds
        if ended is not None:
            yield lambda _: True
        else:
            yield None if ends is None else lambda ahead: self.clock.elapsed() + ahead >= ends
            ended = self.clock.elapsed()
            self.store.event("phase_end", {"name": key, "elapsed": ended})
        self.seconds[key] = ended - begun

    def _ended(self, key: str) -> float | None:
        for event in self.store.events("phase_end"):
            if event.payload["name"] == key and self.config.trials is None:
                return float(event.payload["elapsed"])
        return None

    def _study(self, name: str, method: str, over: Over | None, trials: int | None) -> None:
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
        study = self._opened(name, optimizer, lag=lag, space=self.task.space)
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
        study.run(
            self._training(),
            workers=self.config.workers,
            trials=trials,
            until=None if over is None else lambda: ends(-overhang),
            closing=None if over is None else lambda: ends(overhang),
            on_event=self._listener(name, study, trials),
        )

    def _training(self) -> TrainingEvaluator:
        return training_evaluator(self.arrays, self.task, self.recipe, self.plan, self.device)

    def _opened(self, name: str, optimizer: Optimizer, **more: Any) -> Study:
        """The run's study of that name: as it was left, or a new one."""
        if name in Store.studies(self.store.path):
            store = Store.open(self.store.path, name)
        else:
            store = Store.create(self.store.path, name, config={})
        return Study(store, optimizer, seed=derive(self.config.seed, name), **more)

    def _listener(self, name: str, study: Study, total: int | None) -> Callable[[RunEvent], None]:
        best: list[TrialRecord | None] = [best_trial(study.trials())]

        def listen(event: RunEvent) -> None:
            if event.kind != "told" or event.result is None:
                return
            score, old = event.result.score, best[0]
            if score is not None and (old is None or score > (old.score or -float("inf"))):
                best[0] = best_trial(study.trials())
            seen = TrialSeen(
                study=name.replace("_", " "),
                number=event.number,
                status=event.result.status,
                score=score if name != FINAL else None,
                best=None if best[0] is None or name == FINAL else best[0].score,
                fidelity=fidelity_text(event.proposal.fidelity),
                total=total,
            )
            self.progress.trial(seen, self.clock.left())

        return listen

    def _limits(self) -> Limits:
        return self.limited.limits(self.config, plan=self.plan)

    def _equal_trials(self) -> int | None:
        """Random search's trials for the search's epochs; None where the clock decides."""
        if self.plan.random_seconds is not None:
            return None
        spent = sum(spent_on(t) for t in self.trials(SEARCH))
        return max(1, round(spent / budget_of(self.plan.fidelities[-1])))

    def _once(self, name: str, decide: Callable[[], T]) -> T:
        """What an earlier session decided, or what is decided now and recorded."""
        stored = self.store.last_event(name)
        if stored is not None:
            decided: T = stored.payload
            return decided
        value = decide()
        self.store.event(name, value)
        return value

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

    def _contestants(
        self, found: Architecture, rival: Architecture | None, epochs: int
    ) -> list[Contestant]:
        """Who is trained to the end, in that order."""
        lower = self.task.lower
        entry = Contestant("found", "found", "the found network", lower(found), epochs)
        hand = self._hand_designed(self.task.cost(found).params, epochs)
        if rival is None:
            return [*hand, entry]
        title = "the network that random search found"
        return [entry, Contestant("random", "random-search", title, lower(rival), epochs), *hand]

    def _hand_designed(self, params: int, epochs: int) -> list[Contestant]:
        """The hand-designed network, for images also at `params` parameters, and the user's."""
        if self.config.baselines == "none":
            return []
        planned = self.plan.baseline_seconds
        share = None if planned is None else planning.HAND_SHARE * planned
        net = self.task.hand_designed()
        title = "the hand-designed network"
        entries = [Contestant("hand", "hand-designed", title, net, epochs, share)]
        if len(self.task.net_input) == 3:
            thin = self.task.hand_designed(params)
            title += " at the found one's size"
            entries.append(Contestant("thinned", "thinned", title, thin, epochs, share))
        if self.config.baseline is not None:
            file = self.config.baseline
            entries.append(Contestant("user", "user", file, None, epochs, share, file))
        return entries

    def _plan(self) -> planning.Plan:
        """The plan of the record, or a new one that is put there."""
        stored = self.store.last_event("plan")
        if stored is not None:
            return planning.Plan.from_json(stored.payload)
        if self.config.time is None:
            made = planning.plan_trials(self.config, self.task, self.recipe)
        else:
            left = self.clock.left()
            assert left is not None
            made = planning.plan_time(
                self.config,
                self.task,
                self.recipe,
                left=left - MARGIN,
                keep=self.limited.limits(self.config),
                measure=lambda nets: planning.measure_steps(
                    self.task, self.recipe, nets, device=self.device
                ),
            )
        self.store.event("plan", made.to_json())
        return made

    def _latency_model(self) -> LatencyModel | None:
        if self.config.max_latency_ms is None:
            return None
        from nasturtium.evaluators.latency_model import LatencyModel

        stored = self.store.last_event("latency_model")
        if stored is not None:
            return LatencyModel.from_json(stored.payload)
        space = self.task.space
        codes = space.sample(LATENCY_NETS, seed=derive(self.config.seed, "latency"))
        self.progress.phase("measuring latencies", None)
        model = LatencyModel.measure([self.task.lower(space.architecture(code)) for code in codes])
        self.store.event("latency_model", model.to_json())
        return model


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
