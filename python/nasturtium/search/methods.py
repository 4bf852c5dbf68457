"""The search methods: each is a composition of parts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from nasturtium.errors import MethodError
from nasturtium.registry import MethodInfo, register
from nasturtium.search.base import Allowed, Codes, Fidelity, Space
from nasturtium.search.curves import CurveStop
from nasturtium.search.engine import Composition
from nasturtium.search.proposers import Ageing, Halving, Random, by_rung
from nasturtium.search.sampling import Fresh, Mutation, Proxy, RandomCodes

__all__ = ["halving_evolution", "random_search", "regularized_evolution"]

Fidelities = Sequence[Fidelity] | None


@register(
    MethodInfo(
        id="random-search",
        area="black-box",
        kind="method",
        family="baseline",
        title="Random search",
        year=2019,
        reference="Li and Talwalkar, Random Search and Reproducibility for NAS, UAI 2019",
        differs="without replacement by function: no two proposals compute the same",
        proof="tests/methods/test_random_search.py::test_mean_quantile_of_the_best_of_k",
    )
)
def random_search(
    space: Space,
    *,
    seed: int,
    allowed: Allowed | None = None,
    fidelities: Fidelities = None,
    repeats: bool = False,
) -> Composition:
    """Random search: the best of k draws of the space's own sampler.

    The rank quantile of the best of k distinct draws is 1 / (k + 1) on average. With `repeats` an
    architecture may be drawn again once its result is known.

    Reference: Li and Talwalkar, Random Search and Reproducibility for NAS, UAI 2019.

    >>> from nasturtium.spaces import nb201
    >>> [p.origin for p in random_search(nb201(), seed=0).ask(2)]
    ['random', 'random']
    """
    fresh = Fresh(RandomCodes(space, seed=seed), allowed=allowed, repeats=repeats)
    top = tuple(fidelities or ({},))[-1:]
    return Composition(space, Random(fresh), name="random-search", fidelities=top)


@register(
    MethodInfo(
        id="regularized-evolution",
        area="black-box",
        kind="method",
        family="evolution",
        title="Regularized (ageing) evolution",
        year=2019,
        reference="Real et al., Regularized Evolution for Image Classifier Architecture Search, "
        "AAAI 2019",
        differs="an architecture that is being evaluated is not proposed a second time",
        proof="tests/methods/test_regularized_evolution.py::test_ages_and_beats_random_search",
    )
)
def regularized_evolution(
    space: Space,
    *,
    seed: int,
    allowed: Allowed | None = None,
    fidelities: Fidelities = None,
    population: int = 100,
    sample: int = 25,
    repeats: bool = True,
) -> Composition:
    """Regularized evolution: mutate the best of a sample of the population, let the oldest die.

    parent = argmax over `sample` members drawn with replacement; child = mutate(parent); the child
    joins, and the oldest of `population` members leaves. The first `population` proposals are
    random. Failed results count as worst. `repeats=False` never proposes a function twice.

    Reference: Real et al., Regularized Evolution for Image Classifier Architecture Search, AAAI
    2019 (population 100, sample 25).

    >>> from nasturtium.spaces import nb201
    >>> len(regularized_evolution(nb201(), seed=0, population=10, sample=3).ask(4))
    4
    """
    at_least(1, population=population, sample=sample)
    fresh = Fresh(RandomCodes(space, seed=seed), allowed=allowed, repeats=repeats)
    ageing = Ageing(
        Random(fresh),
        Mutation(space, seed=seed),
        seed=seed,
        population=population,
        sample=sample,
        initial=population,
    )
    top = tuple(fidelities or ({},))[-1:]
    return Composition(space, ageing, name="regularized-evolution", fidelities=top)


@register(
    MethodInfo(
        id="halving-evolution",
        area="ours",
        kind="method",
        family="multi-fidelity evolution",
        title="Ageing evolution under asynchronous successive halving (the default)",
        year=2020,
        reference="Composition of Li et al., MLSys 2020 (promotion rule) and Real et al., AAAI "
        "2019 (ageing evolution)",
        differs="parents are ranked by the highest rung that they reached; one evaluation of a "
        "function at each rung; trainings in the lowest quantile of earlier curves end early; with "
        "a zero-cost proxy each proposal is the best of 16; known designs of the space come first",
        proof="tests/methods/test_halving_evolution.py::test_beats_both_of_its_parents",
        aliases=("default",),
    )
)
def halving_evolution(
    space: Space,
    *,
    seed: int,
    allowed: Allowed | None = None,
    fidelities: Fidelities = None,
    population: int = 40,
    sample: int = 20,
    initial: int = 10,
    explore: float = 0.1,
    eta: int = 0,
    stop: float = 0.25,
    proxy: Proxy | None = None,
    choices: int = 16,
    starts: Codes | None = None,
) -> Composition:
    """Cheap evaluations proposed by evolution, the best of them promoted to higher fidelities.

    At the lowest rung the first `initial` proposals are random; then the best by (rung reached,
    score, fewer parameters) of `sample` among the last `population` is mutated, and a share
    `explore` stays random. The best floor(n / eta) of a rung's n rise, top rung first. `eta` 0
    takes the ratio of the rungs' costs, between 4 and 27, so that rungs cost about the same.
    A training below the `stop` quantile of earlier curves ends early (0: never). With a zero-cost
    `proxy`, each proposal of the lowest rung is the best by it of `choices`, drawn or mutated.
    `starts` uint8[n, d], designs that are known to be good, are the first proposals.

    Reference: Li et al., MLSys 2020; Real et al., AAAI 2019; for the proxy Abdelfattah et al., ICLR
    2021 (warm-up and move). Differs: see `nasturtium methods`.

    >>> from nasturtium.spaces import nb201
    >>> search = halving_evolution(nb201(), seed=0, fidelities=({"epochs": 3}, {"epochs": 9}))
    >>> search.ask()[0].fidelity
    {'epochs': 3}
    """
    at_least(1, population=population, sample=sample, initial=initial, choices=choices)
    at_least(0, eta=eta, explore=explore, stop=stop)
    rungs = tuple(fidelities or ({},))
    codes = RandomCodes(space, seed=seed)
    fresh = Fresh(codes, allowed=allowed, proxy=proxy, choices=choices)
    below = Ageing(
        Random(fresh, starts=starts),
        Mutation(space, seed=seed),
        seed=seed,
        population=population,
        sample=sample,
        initial=initial,
        explore=explore,
        rank=by_rung,
    )
    proposer = Halving(below, etas_of(rungs, eta))
    curves = CurveStop(quantile=stop) if stop else None
    return Composition(space, proposer, name="halving-evolution", fidelities=rungs, stop=curves)


def etas_of(fidelities: Sequence[Fidelity], eta: int) -> list[int]:
    """The reduction factor between each two rungs; 0 means their ratio of costs, in [4, 27]."""
    costs = [math.prod(f.values()) for f in fidelities]
    if any(low >= high for low, high in pairwise(costs)):
        raise MethodError("fidelities must rise: each rung costs more than the one below it")
    if eta == 1:
        raise MethodError("eta is 1, so nothing would be dropped; take 2 or more, or 0")
    return [eta or min(27, max(4, round(high / low))) for low, high in pairwise(costs)]


def at_least(lowest: int, **values: float) -> None:
    """Raises MethodError naming the first value below `lowest`."""
    for name, value in values.items():
        if value < lowest:
            raise MethodError(f'"{name}" is {value}; it must be at least {lowest}')
