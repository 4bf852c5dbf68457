"""The last choice of a search: its best few, each at the scale of the final training.

A search with a clock compares at a scale that its short trainings can tell apart; the final
training is longer and affords more. The best trials are therefore made as large as the limits
allow and trained once more, longer, and the best of them is what the search has found. (Zoph et
al., CVPR 2018, and Liu et al., ICLR 2019, train what they found with more channels as well; the
second compares its finalists anew before that.)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from nasturtium.job.prepare import largest
from nasturtium.search import KNOWN, Limits, Proposal
from nasturtium.spaces import Architecture, Space
from nasturtium.study import TrialRecord

MOST = 2  # finalists


@dataclasses.dataclass(frozen=True)
class Finalist:
    """A trial of a search and the architecture that is trained to the end for it.

    `score` is the validation score of the longest training: of `arch` where there was one, else of
    the trial.
    """

    trial: TrialRecord
    arch: Architecture
    score: float | None


def finalists(trials: Sequence[TrialRecord], space: Space, limits: Limits) -> list[Finalist]:
    """The best of `trials`, ranked best first, whose largest versions differ.

    The first known design of the space is always one of them: a short training is too uncertain to
    lose what is known to be good, and what is new has to beat it.
    """
    families: dict[bytes, TrialRecord] = {}  # by the version that no limit makes smaller
    known: list[tuple[int, bytes]] = []
    for trial in trials:
        family = space.scaled(space.parse(trial.arch).code)[0].tobytes()
        families.setdefault(family, trial)
        if trial.origin == KNOWN:
            known.append((trial.number, family))
    chosen = list(families)[:MOST]
    if known and (incumbent := min(known)[1]) not in chosen:
        chosen[-1] = incumbent
    return [_at_its_largest(families[family], space, limits) for family in chosen]


def _at_its_largest(trial: TrialRecord, space: Space, limits: Limits) -> Finalist:
    arch = space.parse(trial.arch)
    return Finalist(trial, largest(space, arch, limits) or arch, trial.score)


def is_known(arch: Architecture) -> bool:
    """Whether it is, at some scale, one of the designs that a search of its space begins with."""
    space = arch.space
    designs = (space.scaled(space.parse(text).code)[0] for text in space.designs)
    return space.scaled(arch.code)[0].tobytes() in {design.tobytes() for design in designs}


def proposals(chosen: Sequence[Finalist], ms: int) -> list[Proposal]:
    """What is evaluated: each finalist for `ms` of training."""
    return [
        Proposal(f.arch, {"ms": ms}, f"the largest version of {f.trial.number}", f.trial.number)
        for f in chosen
    ]


def judged(chosen: Sequence[Finalist], trials: Sequence[TrialRecord]) -> list[Finalist]:
    """The finalists best first, those whose training failed last; `trials` in their order."""
    scored = [
        dataclasses.replace(f, score=t.score if t.status == "ok" else None)
        for f, t in zip(chosen, trials, strict=True)
    ]
    return sorted(scored, key=lambda f: (f.score is None, -(f.score or 0.0)))
