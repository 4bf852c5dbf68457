"""How the time is spent: measured once, decided once, and kept in the record as an event.

The time of a training step is measured for a few networks of the space and predicted for all others
as a sum over layers: multiply-adds alone say little where moving numbers costs more than adding
them. The rungs of a `--time` run are times, not epochs: architectures are compared after equally
long trainings, as the final one will be, and a quick network may show what more epochs do for it.
A rung costs as much as the one below it, so the lowest follows from the seconds of the search, the
workers and the number of architectures that is wanted.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nasturtium.errors import UserError
from nasturtium.evaluators.latency_model import LatencyModel
from nasturtium.evaluators.recipe import Recipe
from nasturtium.job.config import SearchConfig
from nasturtium.job.finalists import MOST
from nasturtium.job.prepare import SAMPLED, Task
from nasturtium.networks import Net, cost
from nasturtium.rng import derive
from nasturtium.search import Limits

ETA = {"epochs": 3, "ms": 4}  # how much more thorough a rung is than the one below it
RUNGS = 3  # at most
LEAST_ENTRIES = {3: 40, 2: 10}  # architectures at the lowest of so many rungs, or there are fewer
CONFIGURATIONS = 40  # architectures a search should see at the lowest rung
LEAST_STEPS = 160  # training steps of a typical network at the lowest rung: fewer tell little
FINAL_EPOCHS = (15, 160)  # epochs: what the final training must be able to do, and does at most
NARROWER = 2.0  # a search's networks take so much less for a step than the final training affords
FINALIST_SHARE = 0.5  # of a search's time, for training its best at their largest
BASELINE_SHARE = 0.15  # of all time, for boosting and the hand-designed network
HAND_SHARE = 0.55  # of that, for each hand-designed network: two are trained side by side
BOOSTING_SHARE = 0.35  # of that
SEARCH_SHARE = {"quick": 0.45, "none": 0.45, "full": 0.32}  # of the time that is free to divide
EXPORT_SECONDS = 9.0
CLOSING_SECONDS = 6.0  # starting workers, test, latency, report
TIMED = 16  # networks whose training steps are timed
TIMED_SECONDS = 0.25  # for each, after a first step
TIMED_BATCHES = 8
CONTENTION = 1.2  # two processes share caches and memory: each is slower than alone
OPTIMISM = 2.0  # the final training may be alone on the machine, and is not validated


@dataclasses.dataclass(frozen=True)
class Plan:
    """What was decided about the budget; all times in seconds.

    `fidelities` are the rungs, in `epochs` or in `ms` of training; `max_step_ms` keeps out networks
    that could not be trained to the end in the time, as `step_model` (a `LatencyModel` of training
    steps) predicts it. `search_step_ms` is the same for the search, and `finalist_ms` the training
    of each of its best at their largest, where what is found is trained at a larger scale in the
    end. `after_seconds` is what comes after the final training.
    """

    fidelities: tuple[Mapping[str, int], ...]
    search_seconds: float | None
    random_seconds: float | None
    final_seconds: float | None
    after_seconds: float
    baseline_seconds: float | None
    final_epochs: int
    max_step_ms: float | None
    search_step_ms: float | None
    finalist_ms: int | None
    step_model: Mapping[str, Any] | None
    batch_size: int

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        values: dict[str, Any] = dict(data)
        values["fidelities"] = tuple(values["fidelities"])
        return cls(**values)

    def pace(self) -> LatencyModel | None:
        """The milliseconds of a network's training step while all workers work."""
        return None if self.step_model is None else LatencyModel.from_json(self.step_model)

    def steps(self, rows: int) -> int:
        """Training steps of one epoch over `rows` rows."""
        return math.ceil(rows / self.batch_size)

    def epochs_within(self, epoch_seconds: float) -> int:
        """Epochs of the final training, each taking `epoch_seconds`: at most `final_epochs`.

        Rather too many than too few: with a deadline the schedule follows the time.
        """
        if self.final_seconds is None:
            return self.final_epochs
        wanted = int(OPTIMISM * self.final_seconds / epoch_seconds)
        return max(1, min(wanted, self.final_epochs))

    def overhang(self) -> float:
        """Seconds before the end of a search from which no evaluation is begun any more, and
        after it until which one may go on: half of what the highest rung takes.
        """
        if self.search_seconds is None:
            return 0.0
        return min(0.5e-3 * self.fidelities[-1]["ms"], 0.2 * self.search_seconds)


def plan_trials(config: SearchConfig, task: Task, recipe: Recipe) -> Plan:
    """The plan of a `--trials` run: nothing in it depends on a clock."""
    rows = len(task.parts.train)
    top = config.max_epochs or FINAL_EPOCHS[1]
    lowest = max(1, min(round(60_000 / rows), 4, top))
    rungs = [e for e in (lowest * ETA["epochs"] ** i for i in range(RUNGS)) if e <= top]
    return Plan(
        fidelities=tuple({"epochs": e} for e in rungs),
        search_seconds=None,
        random_seconds=None,
        final_seconds=None,
        after_seconds=0.0,
        baseline_seconds=None,
        final_epochs=min(top, 2 * rungs[-1]),
        max_step_ms=None,
        search_step_ms=None,
        finalist_ms=None,
        step_model=None,
        batch_size=recipe.batch_size,
    )


def plan_time(
    config: SearchConfig,
    task: Task,
    recipe: Recipe,
    *,
    left: float,
    keep: Limits,
    measure: Callable[[Sequence[Net]], list[float]],
) -> Plan:
    """The plan of a `--time` run that has `left` seconds left.

    Args:
        keep: the user's limits, on batches of codes.
        measure: gives the milliseconds of a training step of each network.
    """
    codes = task.space.sample(SAMPLED, seed=derive(config.seed, "limits"))
    kept = codes[keep(codes)]
    if len(kept) == 0:
        raise UserError(keep.explain(codes))
    nets = [task.lower(task.space.architecture(code)) for code in kept]
    by_size = sorted(nets, key=_macs)
    places = np.linspace(0.05, 0.95, TIMED) * (len(nets) - 1)
    spread = [by_size[round(place)] for place in places]
    model = LatencyModel.fit(spread, measure(spread))
    full = config.baselines == "full"
    baseline = BASELINE_SHARE * left if config.baselines != "none" else 0.0
    # Where random search is run, the hand-designed networks follow the found ones, else they are
    # first, so that the found one has the machine to itself.
    hand = HAND_SHARE * baseline
    after = BOOSTING_SHARE * baseline + (hand if full else 0.0)
    after += CLOSING_SECONDS + (EXPORT_SECONDS if config.export else 0.0)
    free = max(left - after - (0.0 if full else hand), 5.0)
    search = SEARCH_SHARE[config.baselines] * free
    final = free - search * (2 if full else 1)
    scaled = bool(task.space.scale)
    finalists = FINALIST_SHARE * search if scaled else 0.0
    final_rows = len(task.parts.train) + len(task.parts.validation)
    draft = Plan(
        fidelities=(),
        search_seconds=search - finalists,
        random_seconds=search - finalists if full else None,
        final_seconds=final,
        after_seconds=after,
        baseline_seconds=baseline,
        final_epochs=config.max_epochs or FINAL_EPOCHS[1],
        max_step_ms=None,
        search_step_ms=None,
        finalist_ms=None,
        step_model=model.to_json(),
        batch_size=recipe.batch_size,
    )
    steps = np.array([model.predict(net) for net in nets])
    # Networks that cannot be trained to the end are left out, but never all of them.
    affordable = 1e3 * final / (FINAL_EPOCHS[0] * draft.steps(final_rows))
    limit = max(affordable, float(np.quantile(steps, 0.2)))
    narrow = max(limit / NARROWER, float(np.quantile(steps, 0.2))) if scaled else limit
    typical = float(np.median(steps[steps <= narrow]))
    workers = max(1, config.workers)
    fidelities = _rungs_of_time(1e3 * (search - finalists) * workers, LEAST_STEPS * typical)
    at_once = min(workers, MOST) / MOST
    return dataclasses.replace(
        draft,
        fidelities=fidelities,
        max_step_ms=limit,
        search_step_ms=narrow,
        finalist_ms=round(1e3 * at_once * finalists) if scaled else None,
    )


def measure_steps(task: Task, recipe: Recipe, nets: Sequence[Net], *, device: str) -> list[float]:
    """Milliseconds of a training step of each network, in one of two processes side by side."""
    import torch

    from nasturtium.evaluators.trainer import fit, speed
    from nasturtium.networks import module
    from nasturtium.networks.preprocess import as_tensors

    rows = task.parts.train[: TIMED_BATCHES * recipe.batch_size]
    x, y = as_tensors(task.dataset, rows, task.statistics)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    train = functools.partial(
        fit,
        recipe=recipe,
        task=task.kind,
        outputs=task.outputs,
        seed=0,
        device=device,
    )
    found = []
    batches = math.ceil(len(rows) / recipe.batch_size)
    for net in nets:
        epochs = speed(train, module(net), x, y, TIMED_SECONDS)
        found.append(1e3 * CONTENTION / (epochs * batches))
    torch.set_num_threads(threads)
    return found


def _rungs_of_time(budget: float, least: float) -> tuple[dict[str, int], ...]:
    """Rungs that share `budget` ms, the lowest of at least `least`; few where it is short."""
    eta = ETA["ms"]
    rungs = next((r for r, n in LEAST_ENTRIES.items() if budget / (r * least) >= n), 1)
    lowest = round(max(budget / (rungs * CONFIGURATIONS), least))
    return tuple({"ms": lowest * eta**i} for i in range(rungs))


def _macs(net: Net) -> int:
    return cost(net).macs
