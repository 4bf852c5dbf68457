import copy
from pathlib import Path
from typing import Any

import pytest
from study_toys import score_of

from nasturtium.evaluators.base import Result
from nasturtium.registry import create
from nasturtium.spaces import nb201
from nasturtium.study import Store, Study

METHODS = ["random_search", "regularized_evolution(population=20)", "halving_evolution"]
FIDELITIES = ({"epochs": 1}, {"epochs": 3}, {"epochs": 9})
TRIALS = 120


class Curves:
    """Scores rise with the epochs; now and then a training fails, or ends early."""

    def evaluate(self, arch: Any, fidelity: Any, seed: int, *, stop: Any = None) -> Result:
        score = score_of(arch, seed)
        epochs = fidelity["epochs"]
        curve = tuple(score * epoch / 9 for epoch in range(1, epochs + 1))
        if score < 0.1:
            return Result("diverged", None, detail="the loss is not finite")
        for epoch, least in sorted((stop or {}).items()):
            if epoch <= epochs and curve[epoch - 1] < least:
                return Result("stopped", curve[epoch - 1], curve=curve[:epoch])
        return Result("ok", curve[-1], {"params": score * 1000}, curve)


def make(folder: Path, name: str, method: str, **options: Any) -> Study:
    space = nb201()
    optimizer: Any = create(method, "method", space=space, seed=3, fidelities=FIDELITIES)
    path = folder / "study.db"
    exists = path.exists() and name in Store.studies(path)
    store = Store.open(path, name) if exists else Store.create(path, name, config={})
    return Study(store, optimizer, seed=3, space=space, **options)


@pytest.mark.parametrize("method", METHODS)
def test_a_resumed_run_proposes_what_an_uninterrupted_one_does(tmp_path: Path, method: str) -> None:
    calm = make(tmp_path, "calm", method)
    calm.run(Curves(), workers=0, trials=TRIALS, max_failures=None)
    want = [(record.seed, record.proposal_text) for record in calm.trials()]
    assert len(want) == TRIALS
    for replay in (False, True):
        for count in (1, 7, 40, 71, 100, TRIALS):
            study = make(tmp_path, f"stopped-{replay}", method, replay=replay)
            for _ in range(3):
                study.ask(trials=count)  # held by a process that is gone
            del study
            study = make(tmp_path, f"stopped-{replay}", method, replay=replay)
            study.run(Curves(), workers=0, trials=count, max_failures=None)
        got = [(record.seed, record.proposal_text) for record in study.trials()]
        assert got == want
        assert {record.state for record in study.trials()} == {"told"}


@pytest.mark.parametrize("method", METHODS)
def test_the_stored_state_is_the_whole_state(tmp_path: Path, method: str) -> None:
    make(tmp_path, "s", method).run(Curves(), workers=0, trials=TRIALS, max_failures=None)
    by_state, by_replay = (make(tmp_path, "s", method, replay=replay) for replay in (False, True))
    assert by_state.events("state")
    assert by_state._optimizer.state() == by_replay._optimizer.state()
    before = copy.deepcopy(by_state._optimizer.state())
    assert [str(p.arch) for p in by_state._optimizer.ask(3)] == [
        str(p.arch) for p in by_replay._optimizer.ask(3)
    ]
    assert by_state._optimizer.state() != before
