"""The last round of a search: who is in it, and who wins."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from nasturtium.evaluators import Result
from nasturtium.job.finalists import finalists, is_known, judged, proposals
from nasturtium.job.finals import Listed
from nasturtium.job.select import ranked
from nasturtium.search import Limit, Limits, Proposal
from nasturtium.spaces import Choice, Space, image_cell
from nasturtium.study import Store, Study, TrialRecord


def space() -> Space:
    width, kind = Choice("width", (8, 16, 32)), Choice("kind", ("a", "b", "c"))
    return Space("mine", [width, kind], scale="width")


class Scored:
    """Scores an architecture by its kind, and fails where that is `failing`."""

    preload = ()

    def __init__(self, scores: dict[str, float], failing: str = "") -> None:
        self.scores, self.failing = scores, failing

    def evaluate(self, arch: Any, fidelity: Any, seed: int, *, stop: Any = None) -> Result:
        kind = arch.values["kind"]
        if kind == self.failing:
            return Result("diverged", None, {}, seconds=0.0)
        return Result("ok", self.scores[kind], {}, seconds=0.0)


def told(folder: Path, name: str, listed: list[Any], evaluator: Scored) -> list[TrialRecord]:
    store = Store.create(folder / "study.db", name, config={})
    study = Study(store, Listed(space(), listed), seed=1)
    study.run(evaluator, workers=0, trials=len(listed))
    return study.trials()


def searched(folder: Path) -> list[TrialRecord]:
    made = space()
    tried = ["width=8,kind=a", "width=16,kind=a", "width=8,kind=b", "width=8,kind=c"]
    archs = [made.parse(f"mine:{text}") for text in tried]
    listed = [Proposal(arch, {"ms": 9 if i < 3 else 3}, "random") for i, arch in enumerate(archs)]
    return told(folder, "search", listed, Scored({"a": 0.5, "b": 0.4, "c": 0.9}))


def limited(widest: int) -> Limits:
    widths = np.array([8.0, 16.0, 32.0])
    return Limits((Limit(lambda codes: widths[codes[:, 0]], widest, "channels", "--max-width"),))


def test_the_best_whose_largest_versions_differ(tmp_path: Path) -> None:
    trials = ranked(searched(tmp_path))
    # Both widths of "a" are one network at its largest; "c" was only seen at a lower rung.
    assert [t.number for t in trials] == [0, 1, 2, 3]
    chosen = finalists(trials, space(), limited(16))
    assert [(f.trial.number, f.arch.values) for f in chosen] == [
        (0, {"width": 16, "kind": "a"}),
        (2, {"width": 16, "kind": "b"}),
    ]
    # The first known design is one of them, and the last makes room for it.
    kinds = {t.number: t for t in trials}
    design = [dataclasses.replace(kinds[n], origin="known design") for n in (3,)]
    late = [kinds[0], kinds[1], kinds[2], *design]
    assert [f.trial.number for f in finalists(late, space(), limited(16))] == [0, 3]
    # It may have become a better trial of another width.
    early = [kinds[0], dataclasses.replace(kinds[1], origin="known design"), kinds[2]]
    assert [f.trial.number for f in finalists(early, space(), limited(16))] == [0, 2]
    # Where the limits allow no version at all, what was tried stays.
    assert finalists(trials, space(), limited(4))[0].arch.values["width"] == 8


def test_the_last_round_decides(tmp_path: Path) -> None:
    chosen = finalists(ranked(searched(tmp_path)), space(), limited(32))
    listed = proposals(chosen, 50)
    assert [p.fidelity for p in listed] == [{"ms": 50}] * 2
    assert [p.parent for p in listed] == [0, 2]
    trained = told(tmp_path, "last", listed, Scored({"a": 0.6, "b": 0.7}))
    best = judged(chosen, trained)
    assert [(f.trial.number, f.score) for f in best] == [(2, 0.7), (0, 0.6)]
    failed = told(tmp_path, "failed", listed, Scored({"a": 0.6, "b": 0.7}, failing="b"))
    assert [(f.trial.number, f.score) for f in judged(chosen, failed)] == [(0, 0.6), (2, None)]


def test_a_known_design_is_known_at_every_scale() -> None:
    space = image_cell()
    for text in space.designs:
        for version in space.scaled(space.parse(text).code)[::7]:
            assert is_known(space.architecture(version))
    drawn = [space.architecture(code) for code in space.sample(50, seed=1)]
    assert not any(map(is_known, drawn))
