"""Whole searches against a table in the core, beside the same searches in Python."""

from __future__ import annotations

import importlib
import importlib.util
import random
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from nasturtium.bench.bookkeeping import table_of_six
from nasturtium.bench.rows import Row, grown
from nasturtium.bench.timing import best
from nasturtium.evaluators import Table
from nasturtium.search import Observation, regularized_evolution
from nasturtium.simulate import simulate, trial_seed
from nasturtium.spaces import nb201

POPULATION, SAMPLE = 100, 10
SIZES = (10_000, 100_000, 1_000_000)
SPEC = f"regularized_evolution(population={POPULATION}, sample={SAMPLE})"


def table_of_cells() -> Table:
    """Scores of all NAS-Bench-201 codes."""
    space = nb201()
    return Table(space, space.enumerate(), table_of_six().reshape(-1))


def in_python(scores: list[float], trials: int) -> float:
    """Regularized evolution on six digits of base five in plain Python; the best score."""
    rng = random.Random(1)
    strides = [5**k for k in range(6)]
    population: deque[tuple[float, int]] = deque()
    top = 0.0
    for number in range(trials):
        if number < POPULATION:
            code = rng.randrange(15625)
        else:
            code = max(rng.choices(population, k=SAMPLE))[1]
            stride = strides[rng.randrange(6)]
            digit = code // stride % 5
            code += ((digit + rng.randrange(1, 5)) % 5 - digit) * stride
        population.append((scores[code], code))
        top = max(top, scores[code])
        if len(population) > POPULATION:
            population.popleft()
    return top


def in_deap(scores: list[float], trials: int) -> Callable[[], object] | None:
    """The same steps with DEAP's containers and operators, or None where it is not installed."""
    if importlib.util.find_spec("deap") is None:
        return None
    base, creator, tools = (
        importlib.import_module(f"deap.{name}") for name in ("base", "creator", "tools")
    )
    if not hasattr(creator, "NasturtiumCell"):
        creator.create("NasturtiumFitness", base.Fitness, weights=(1.0,))
        creator.create("NasturtiumCell", list, fitness=creator.NasturtiumFitness)
    toolbox = base.Toolbox()
    toolbox.register("digit", random.randrange, 5)
    toolbox.register("cell", tools.initRepeat, creator.NasturtiumCell, toolbox.digit, 6)
    toolbox.register("select", tools.selTournament, k=1, tournsize=SAMPLE)

    def evaluate(cell: Any) -> tuple[float]:
        number = 0
        for digit in cell:
            number = 5 * number + digit
        return (scores[number],)

    def run() -> float:
        population: deque[Any] = deque()
        top = 0.0
        for number in range(trials):
            if number < POPULATION:
                child = toolbox.cell()
            else:
                child = toolbox.clone(toolbox.select(population)[0])
                at = random.randrange(6)
                child[at] = (child[at] + random.randrange(1, 5)) % 5
            child.fitness.values = evaluate(child)
            population.append(child)
            top = max(top, child.fitness.values[0])
            if len(population) > POPULATION:
                population.popleft()
        return top

    return run


def check(table: Table) -> None:
    """A simulated search is the one that ask and tell give, and finds good cells."""
    found = simulate(SPEC, table, seeds=range(8), budget=2_000, threads=2, history=True)
    assert found.history is not None
    assert (found.best_scores > np.quantile(table.scores, 0.999)).all()
    search = regularized_evolution(table.space, seed=3, population=POPULATION, sample=SAMPLE)
    for number in range(300):
        (proposal,) = search.ask()
        seen = table.evaluate(proposal.arch, {}, trial_seed(3, number))
        search.tell([Observation(number, proposal, seen.status, seen.score)])
        row = found.history.rows[3, number]
        assert np.array_equal(table.codes[row], proposal.arch.code)


def measure(runs: int) -> list[Row]:
    """All rows of this suite."""
    table = table_of_cells()
    check(table)
    scores = table.scores.reshape(-1).tolist()

    def ours(history: bool, n: int) -> Callable[[], object]:
        return partial(simulate, SPEC, table, seeds=[1], budget=n, history=history)

    def several(method: str, budget: int, workers: int, n: int) -> Callable[[], object]:
        return partial(simulate, method, table, seeds=range(n // budget), budget=budget,
                       workers=workers, history=True)  # fmt: skip

    def rate_of(work: Callable[[], object] | None, trials: int) -> float | None:
        return None if work is None else trials / best(work, min(runs, 3))

    peers = {
        "plain Python": rate_of(partial(in_python, scores, 20_000), 20_000),
        "DEAP": rate_of(in_deap(scores, 10_000), 10_000),
    }
    known = {name: rate for name, rate in peers.items() if rate is not None}
    rows = [
        grown(f"regularized evolution, P = {POPULATION}, S = {SAMPLE}, with its history", SIZES,
              partial(ours, True), runs=runs, rates=known, bar=2e7),
        grown(f"regularized evolution, P = {POPULATION}, S = {SAMPLE}, without", SIZES,
              partial(ours, False), runs=runs),
    ]  # fmt: skip
    others = (
        ("random search, 5,000 trials of each seed", "random_search", 5_000, 1),
        ("regularized evolution, 7 workers", SPEC, 100_000, 7),
    )
    for name, method, budget, workers in others:
        rows.append(
            grown(name, (budget, 3 * budget, 10 * budget),
                  partial(several, method, budget, workers), runs=runs)
        )  # fmt: skip
    both = partial(simulate, SPEC, table, seeds=range(8), budget=250_000, history=True)
    one, two = (best(partial(both, threads=t), runs, time.perf_counter) for t in (1, 2))
    rows.append(Row("regularized evolution, two threads over seeds", one / two, "x", bar=1.9))
    return rows
