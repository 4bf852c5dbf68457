"""Simulated searches against ask and tell from Python, trial by trial."""

from __future__ import annotations

import doctest
import math
from functools import partial

import numpy as np
import pytest

from nasturtium import simulate as module
from nasturtium.errors import MethodError, SpaceExhausted, UserError
from nasturtium.evaluators import Table
from nasturtium.search import (
    Ageing,
    Composition,
    Fresh,
    Mutation,
    Observation,
    Random,
    RandomCodes,
    halving_evolution,
    random_search,
    regularized_evolution,
)
from nasturtium.simulate import simulate, trial_seed
from nasturtium.spaces import Choice, Graph, Space, connected, forbid, nb201
from nasturtium.testing import drive

LADDER = ({"epochs": 3}, {"epochs": 9}, {"epochs": 27})


def conditional_space():
    kind = Choice("kind", ("conv", "pool", "none"))
    kernel = Choice("kernel", (1, 3, 5, 7, 9), when={kind: ("conv",)})
    depth = Choice("depth", (1, 2, 3, 4))
    width, one = Choice("width", tuple(range(8, 104, 8))), Choice("one", ("only",))
    return Space("conditional", [kind, one, kernel, depth, width])


def constrained_space():
    a, b, c = (Choice(name, ("none", "skip", "conv", "pool")) for name in "abc")
    graph = Graph(zero="none", identity=("skip", "sum"), weightless="pool")
    graph = graph.node("in", "sum").node("mid", "sum").node("out", "sum")
    graph = graph.edge("in", "mid", a).edge("mid", "out", b).edge("in", "out", c)
    size = Choice("size", (1, 2, 3))
    limits = [connected(), forbid({"a": "conv", "size": 3})]
    return Space("constrained", [size, a, b, c], graph, limits)


def table_of(space, *, fidelities=1, runs=1, seed=0, failures=0.1):
    """Random scores with ties, failures of every kind, and costs with ties."""
    rng = np.random.default_rng(seed)
    codes = rng.permutation(space.enumerate())
    shape = (len(codes), fidelities, runs)
    scores = np.round(codes.sum(axis=1)[:, None, None] / 8 + rng.normal(size=shape), 1)
    broken = rng.choice([math.nan, math.inf, -math.inf], shape)
    scores = np.where(rng.random(shape) < failures, broken, scores)
    return Table(
        space,
        codes,
        scores,
        rng.integers(0, 4, shape[:2]).astype(float),
        fidelities=LADDER[:fidelities],
        params=rng.integers(0, 5, len(codes)).astype(float),
    )


def played(make, table, *, seed, budget, workers):
    """Workers that ask, wait for the cost and tell, written plainly."""
    search = make(table.space, seed=seed, fidelities=table.fidelities)
    asked, order, running, idle, now = [], [], [], list(range(workers)), 0.0
    while True:
        for worker in sorted(idle):
            if len(asked) == budget:
                break
            try:
                (proposal,) = search.ask()
            except SpaceExhausted:
                break
            number = len(asked)
            seen = table.evaluate(proposal.arch, proposal.fidelity, trial_seed(seed, number))
            end = now + seen.values["cost"]
            running.append((end, worker, number, proposal, seen))
            asked.append((proposal, seen, end))
            idle.remove(worker)
        if not running:
            return asked, order
        first = min(running, key=lambda r: r[:2])
        running.remove(first)
        now, worker, number, proposal, seen = first
        search.tell([Observation(number, proposal, seen.status, seen.score, seen.values)])
        order.append(number)
        idle.append(worker)


def check_history(found, i, table, asked, order):
    """Row i of a simulation equals trials (proposal, result, end) and the order of telling."""
    n = len(asked)
    assert found.trials[i] == n
    h = found.history
    codes = table.codes[h.rows[i, :n]]
    assert [p.arch.code.tolist() for p, _, _ in asked] == codes.tolist()
    parents = [-1 if p.parent is None else p.parent for p, _, _ in asked]
    assert h.parents[i, :n].tolist() == parents
    rungs = [found.fidelities.index(p.fidelity) for p, _, _ in asked]
    assert h.rungs[i, :n].tolist() == rungs
    scores = [math.nan if r.score is None else r.score for _, r, _ in asked]
    assert np.array_equal(h.scores[i, :n], scores, equal_nan=True)
    assert h.finished[i, :n].tolist() == [end for _, _, end in asked]
    assert h.order[i, :n].tolist() == order
    for rest in (h.rows[i, n:], h.parents[i, n:], h.order[i, n:]):
        assert (rest == -1).all()
    assert np.isnan(h.finished[i, n:]).all() and np.isnan(h.scores[i, n:]).all()
    best, top = -1, (-1, -math.inf)
    for number in order:
        rank = (rungs[number], scores[number])
        if not math.isnan(scores[number]) and rank > top:
            best, top = number, rank
    assert found.best[i] == best
    assert found.clock[i] == max((end for _, _, end in asked), default=0.0)
    if best >= 0:
        assert found.best_scores[i] == top[1]
        assert found.best_rows[i] == h.rows[i, best]
    else:
        assert math.isnan(found.best_scores[i]) and found.best_rows[i] == -1


METHODS = {
    "random": random_search,
    "random with repeats": partial(random_search, repeats=True),
    "evolution": partial(regularized_evolution, population=12, sample=5),
    "evolution of one": partial(regularized_evolution, population=1, sample=1),
    "evolution without repeats": partial(
        regularized_evolution, population=20, sample=10, repeats=False
    ),
    "evolution with a large sample": partial(regularized_evolution, population=5, sample=70),
    "halving": partial(halving_evolution, stop=0.0, population=9, sample=4, eta=2),
    "halving, no exploration": partial(halving_evolution, stop=0.0, explore=0.0, eta=3),
}


@pytest.mark.parametrize("workers", [1, 2, 7])
@pytest.mark.parametrize("name", METHODS)
def test_a_simulation_is_ask_and_tell(name, workers):
    make = METHODS[name]
    for number, space in enumerate((nb201(), conditional_space(), constrained_space())):
        rungs = 3 if number else 2
        table = table_of(space, fidelities=rungs, runs=1 + 2 * (number % 2), seed=number)
        seeds = [3, 2**40 + number]
        found = simulate(
            make, table, seeds=seeds, budget=170, workers=workers, history=True, threads=2
        )
        for i, seed in enumerate(seeds):
            asked, order = played(make, table, seed=seed, budget=170, workers=workers)
            check_history(found, i, table, asked, order)


@pytest.mark.parametrize("lag", [1, 2, 7])
@pytest.mark.parametrize("name", ["random", "evolution", "halving"])
def test_results_in_the_order_of_trials(name, lag):
    """With a lag the trials are those of a study, whatever the workers."""

    class Problem:
        def __init__(self, table, seed):
            self.table, self.seed = table, seed

        def observe(self, number, proposal):
            seed = trial_seed(self.seed, number)
            seen = self.table.evaluate(proposal.arch, proposal.fidelity, seed)
            return Observation(number, proposal, seen.status, seen.score, seen.values)

    make = METHODS[name]
    for space in (nb201(), constrained_space()):
        table = table_of(space, fidelities=2, runs=2)
        runs = [
            simulate(make, table, seeds=[5, 6], budget=150, workers=w, lag=lag, history=True)
            for w in (1, 3)
        ]
        for found in runs:
            for i, seed in enumerate((5, 6)):
                search = make(space, seed=seed, fidelities=table.fidelities)
                seen = list(drive(search, Problem(table, seed), trials=150, lag=lag))
                n = len(seen)
                assert found.trials[i] == n
                assert found.history.order[i, :n].tolist() == list(range(n))
                codes = table.codes[found.history.rows[i, :n]]
                assert codes.tolist() == [o.proposal.arch.code.tolist() for o in seen]
                if space.name == "nb201":  # the other one runs out, and then waits for results
                    ends = check_times(table, found, i, 1 if found is runs[0] else 3, lag)
                    assert found.history.finished[i].tolist() == ends


def check_times(table, found, i, workers, lag):
    """When each trial ends: it begins when a worker and the results that it needs are there."""
    free, ends = [0.0] * workers, []
    rows, rungs = found.history.rows[i], found.history.rungs[i]
    for n, (row, rung) in enumerate(zip(rows, rungs, strict=True)):
        known = max(ends[: max(0, n - lag + 1)], default=0.0)
        free.sort()
        begin = max(free[0], known)
        free[0] = begin + table.costs[row, table.level(found.fidelities[rung])]
        ends.append(float(free[0]))
    return ends


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("name", METHODS)
def test_a_space_that_runs_out(name, workers):
    space = Space("small", [Choice("a", tuple(range(4))), Choice("b", tuple(range(5)))])
    table = table_of(space, fidelities=2, failures=0.3)
    make = METHODS[name]
    found = simulate(make, table, seeds=range(4), budget=90, workers=workers, history=True)
    for i in range(4):
        asked, order = played(make, table, seed=i, budget=90, workers=workers)
        check_history(found, i, table, asked, order)
    if name == "random":
        assert (found.trials == 20).all()
    if name.startswith("halving"):
        alive = np.isfinite(table.scores[:, 0, 0]).sum()
        assert (found.trials == min(90, 20 + alive)).all()


def test_a_large_space_that_is_not_listed():
    space = Space("large", [Choice(f"d{i}", tuple(range(7))) for i in range(6)])
    table = table_of(space)

    def make(space, *, seed, fidelities):
        codes = RandomCodes(space, seed=seed)
        fresh = Fresh(codes, tries=3, enumerable=100)
        top = fidelities[-1:]
        return Composition(space, Random(fresh), name="impatient", fidelities=top)

    found = simulate(make, table, seeds=[1], budget=2000, history=True)
    asked, order = played(make, table, seed=1, budget=2000, workers=1)
    check_history(found, 0, table, asked, order)


def test_known_designs_and_all_failing():
    space = nb201()
    starts = space.sample(6, seed=5)
    starts[3] = starts[1]

    def make(space, *, seed, fidelities):
        return halving_evolution(space, seed=seed, fidelities=fidelities, stop=0, starts=starts)

    for failures in (0.1, 1.0):
        table = table_of(space, fidelities=2, failures=failures)
        found = simulate(make, table, seeds=[8], budget=60, workers=2, history=True)
        asked, order = played(make, table, seed=8, budget=60, workers=2)
        check_history(found, 0, table, asked, order)
        assert asked[0][0].origin == "known design"
    assert found.best[0] == -1


def test_threads_and_texts_change_nothing():
    table = table_of(nb201(), runs=3)
    text = "regularized_evolution(population=15, sample=5)"
    make = partial(regularized_evolution, population=15, sample=5)
    runs = [
        simulate(method, table, seeds=range(20), budget=500, workers=3, threads=threads,
                 history=history)
        for method, threads, history in ((make, 1, True), (text, 2, True), (text, 5, False))
    ]  # fmt: skip
    for found in runs[1:]:
        for name in ("seeds", "trials", "clock", "best", "best_rows", "best_scores"):
            assert np.array_equal(getattr(found, name), getattr(runs[0], name))
    for name in ("rows", "parents", "rungs", "finished", "order"):
        assert np.array_equal(
            getattr(runs[0].history, name), getattr(runs[1].history, name), equal_nan=True
        )
    assert runs[2].history is None
    assert len({row.tobytes() for row in runs[0].history.rows}) == 20
    none = simulate(text, table, seeds=[], budget=5, history=True)
    assert none.trials.shape == (0,) and none.history.rows.shape == (0, 5)


class OtherMutation(Mutation):
    pass


class OtherAgeing(Ageing):
    pass


def evolution_of(ageing, mutation, rank=None):
    def make(space, *, seed, fidelities):
        fresh = Fresh(RandomCodes(space, seed=seed))
        options = {} if rank is None else {"rank": rank}
        part = ageing(
            Random(fresh), mutation(space, seed=seed), seed=seed, population=4, sample=2, initial=4,
            **options,
        )  # fmt: skip
        return Composition(space, part, name="other", fidelities=fidelities[-1:])

    return make


def first(space, *, seed, fidelities):
    class First:
        def propose(self, history): ...

    return Composition(space, First(), name="first", fidelities=fidelities)


@pytest.mark.parametrize(
    ("method", "part"),
    [
        ("halving_evolution", "CurveStop"),
        (partial(random_search, allowed=lambda codes: codes[:, 0] > 0), "limits"),
        (partial(halving_evolution, stop=0, proxy=lambda codes: codes[:, 0]), "proxy"),
        (evolution_of(OtherAgeing, Mutation), "OtherAgeing"),
        (evolution_of(Ageing, OtherMutation), "OtherMutation"),
        (evolution_of(Ageing, Mutation, rank=lambda trial: (0.0,)), "rank"),
        (first, "First"),
        (lambda space, *, seed, fidelities: object(), "object"),
    ],
)
def test_what_is_no_part_of_the_core_is_named(method, part):
    with pytest.raises(MethodError, match=f"{part}.* no part of the core"):
        simulate(method, table_of(nb201()), seeds=[0], budget=5)


def test_what_is_refused():
    table = table_of(nb201(), fidelities=2)
    for arguments in ({"budget": 0}, {"budget": 2**31}, {"workers": 0}, {"lag": 0}, {"threads": 0}):
        with pytest.raises(UserError, match=next(iter(arguments))):
            simulate("random_search", table, seeds=[0], **{"budget": 5, **arguments})
    with pytest.raises(MethodError, match="unknown method"):
        simulate("randon_search", table, seeds=[0], budget=5)

    def other(space, *, seed, fidelities):
        return random_search(space, seed=seed, fidelities=({"epochs": 4},))

    with pytest.raises(UserError, match="no fidelity"):
        simulate(other, table, seeds=[0], budget=5)

    def changing(space, *, seed, fidelities):
        return regularized_evolution(space, seed=seed, population=2 + seed, fidelities=fidelities)

    with pytest.raises(MethodError, match="depend on the seed"):
        simulate(changing, table, seeds=[0, 1], budget=5)


def test_the_example_runs():
    done = doctest.testmod(module)
    assert done.attempted >= 6 and done.failed == 0
