"""How the time is spent: measured once, decided once, and kept in the record as an event.

Let `s(m) = a + b m` be the seconds of one training step of a network of `m` multiply-adds, fitted
to a few networks of the space. A configuration that climbs rungs `e, 3e, 9e` by successive halving
costs `3e` epochs on average, so `e` follows from the seconds of the search, the workers and the
number of configurations that is wanted.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nasturtium.errors import UserError
from nasturtium.evaluators.recipe import Recipe
from nasturtium.job.config import SearchConfig
from nasturtium.job.prepare import SAMPLED, Task
from nasturtium.rng import derive
from nasturtium.search import Limits

ETA = 3
CONFIGURATIONS = 40  # architectures a search should see at the lowest rung
LOWEST_RUNG = (1, 12)  # epochs: bounds of the lowest rung
FINAL_EPOCHS = (8, 160)  # epochs: what the final training must be able to do, and does at most
BASELINE_SHARE = 0.15  # of all time, for boosting and the hand-designed network
SEARCH_SHARE = {"quick": 0.60, "none": 0.60, "full": 0.34}  # of the time that is free to divide
EXPORT_SECONDS = 9.0
CLOSING_SECONDS = 6.0  # starting workers, test, latency, report
_UNBOUNDED = 2**62
STEPS = 6  # training steps that are timed of a network
OPTIMISM = 1.4  # a search is measured while two processes work, warm-up included
CONTENTION = 1.2  # two processes share caches and memory: each is slower than alone


@dataclasses.dataclass(frozen=True)
class Plan:
    """What was decided about the budget; all times in seconds, all fidelities in epochs.

    `max_macs` keeps out networks that could not be trained to the end in the time; `rows` is the
    number of training rows that the search uses.
    """

    rungs: tuple[int, ...]
    rows: int
    search_seconds: float | None
    random_seconds: float | None
    final_seconds: float | None
    baseline_seconds: float | None
    final_epochs: int
    max_macs: int | None
    step_seconds: tuple[float, float]
    batch_size: int

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        values: dict[str, Any] = dict(data)
        for name in ("rungs", "step_seconds"):
            values[name] = tuple(values[name])
        return cls(**values)

    def epoch_seconds(self, macs: int, rows: int) -> float:
        """Predicted seconds of one epoch over `rows` rows."""
        a, b = self.step_seconds
        return math.ceil(rows / self.batch_size) * (a + b * macs) * CONTENTION

    def epochs_within(self, epoch_seconds: float) -> int:
        """Epochs of the final training, each taking `epoch_seconds`: at most `final_epochs`.

        Rather too many than too few: with a deadline the schedule follows the time.
        """
        if self.final_seconds is None:
            return self.final_epochs
        wanted = int(OPTIMISM * self.final_seconds / epoch_seconds)
        return max(1, min(wanted, self.final_epochs))


def plan_trials(config: SearchConfig, task: Task, recipe: Recipe) -> Plan:
    """The plan of a `--trials` run: nothing in it depends on a clock."""
    rows = len(task.parts.train)
    top = config.max_epochs or FINAL_EPOCHS[1]
    lowest = max(1, min(round(60_000 / rows), 4, top))
    rungs = _rungs(lowest, top)
    return Plan(
        rungs=rungs,
        rows=rows,
        search_seconds=None,
        random_seconds=None,
        final_seconds=None,
        baseline_seconds=None,
        final_epochs=min(top, 2 * rungs[-1]),
        max_macs=config.max_macs,
        step_seconds=(0.0, 0.0),
        batch_size=recipe.batch_size,
    )


def plan_time(
    config: SearchConfig,
    task: Task,
    recipe: Recipe,
    *,
    left: float,
    keep: Limits,
    step_seconds: Callable[[Any], tuple[float, float]],
) -> Plan:
    """The plan of a `--time` run that has `left` seconds left.

    Args:
        keep: the user's limits, on batches of codes.
        step_seconds: measures a list of `Net`s and returns `(a, b)`.
    """
    codes = task.space.sample(SAMPLED, seed=derive(config.seed, "limits"))
    kept = codes[keep(codes)]
    if len(kept) == 0:
        raise UserError(keep.explain(codes))
    nets = sorted((task.lower(task.space.architecture(c)) for c in kept), key=_macs)
    spread = [nets[round(q * (len(nets) - 1))] for q in (0.1, 0.4, 0.7, 0.9)]
    a, b = step_seconds(spread)
    free = left - CLOSING_SECONDS - (EXPORT_SECONDS if config.export else 0.0)
    baseline = BASELINE_SHARE * left if config.baselines != "none" else 0.0
    if config.baselines == "full":
        free -= baseline
    free = max(free, 5.0)
    search = SEARCH_SHARE[config.baselines] * free
    full = config.baselines == "full"
    final = free - search * (2 if full else 1)
    final_rows = len(task.parts.train) + len(task.parts.validation)
    draft = Plan(
        rungs=(1,),
        rows=len(task.parts.train),
        search_seconds=search,
        random_seconds=search if full else None,
        final_seconds=final,
        baseline_seconds=baseline,
        final_epochs=config.max_epochs or FINAL_EPOCHS[1],
        max_macs=None,
        step_seconds=(a, b),
        batch_size=recipe.batch_size,
    )
    limit = _affordable_macs(
        draft, final, final_rows, FINAL_EPOCHS[0], _macs(nets[len(nets) // 10])
    )
    limit = min(limit, config.max_macs or _UNBOUNDED)
    typical = float(np.median([m for m in map(_macs, nets) if m <= limit]))
    return _with_rungs(draft, config, max_macs=limit, macs=int(typical))


def measure_steps(
    task: Task, recipe: Recipe, nets: list[Any], *, device: str
) -> tuple[float, float]:
    """Least-squares `(a, b)` of the seconds of a training step, `a + b * macs`, both at least 0."""
    import torch

    from nasturtium.evaluators.trainer import fit
    from nasturtium.networks import module
    from nasturtium.networks.preprocess import as_tensors

    rows = task.parts.train[: STEPS * recipe.batch_size]
    x, y = as_tensors(task.dataset, rows, task.statistics)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    epoch = functools.partial(
        fit,
        recipe=recipe,
        task=task.kind,
        outputs=task.outputs,
        epochs=1,
        seed=0,
        device=device,
    )
    seconds, macs = [], []
    for net in nets:
        model = module(net)
        few = slice(0, recipe.batch_size)
        epoch(model, x[few], y[few])  # what is done only once
        begun = time.perf_counter()
        epoch(model, x, y)
        seconds.append((time.perf_counter() - begun) / math.ceil(len(rows) / recipe.batch_size))
        macs.append(float(_macs(net)))
    torch.set_num_threads(threads)
    return _line(np.array(macs), np.array(seconds))


def _line(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> tuple[float, float]:
    if np.ptp(x) == 0:
        return float(y.mean()), 0.0
    b, a = np.polyfit(x, y, 1)
    if b <= 0:
        return float(y.mean()), 0.0
    if a <= 0:
        return 0.0, float((x * y).sum() / (x * x).sum())
    return float(a), float(b)


def _with_rungs(draft: Plan, config: SearchConfig, *, max_macs: int, macs: int) -> Plan:
    assert draft.search_seconds is not None
    top = config.max_epochs or FINAL_EPOCHS[1]
    budget = draft.search_seconds * max(1, config.workers)
    epochs = budget / draft.epoch_seconds(macs, draft.rows)
    lowest = min(max(int(epochs / (3 * CONFIGURATIONS)), LOWEST_RUNG[0]), LOWEST_RUNG[1], top)
    rows = draft.rows
    wanted = 3 * CONFIGURATIONS / 4
    if epochs < wanted:
        rows = max(min(rows, 20 * draft.batch_size), int(rows * epochs / wanted))
    return dataclasses.replace(
        draft,
        rungs=_rungs(lowest, top),
        rows=rows,
        max_macs=None if max_macs >= _UNBOUNDED else max_macs,
    )


def _rungs(lowest: int, top: int) -> tuple[int, ...]:
    return tuple(e for e in (lowest, lowest * ETA, lowest * ETA**2) if e <= top)


def _affordable_macs(plan: Plan, seconds: float, rows: int, epochs: int, least: int) -> int:
    a, b = plan.step_seconds
    if b == 0:
        return _UNBOUNDED
    step = seconds / (epochs * math.ceil(rows / plan.batch_size) * CONTENTION)
    return max(least, int((step - a) / b))


def _macs(net: Any) -> int:
    from nasturtium.networks import cost

    return cost(net).macs
