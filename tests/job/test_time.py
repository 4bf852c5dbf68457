"""Runs with a clock: they end in time, and their trainings are measured in time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nasturtium.job import SearchConfig, run_search
from nasturtium.spaces import image_cell
from nasturtium.study import Store

SECONDS = 45.0


@pytest.mark.parametrize("baselines", ["quick", "full"])
def test_a_run_with_a_clock(tmp_path: Path, baselines: str) -> None:
    config = SearchConfig(data="digits", time=SECONDS, baselines=baselines, seed=3)
    run = run_search(config, folder=tmp_path / "run")
    result = json.loads((run.folder / "result.json").read_text())
    # On a machine that does nothing else it is within 1.2; tests may share theirs.
    assert result["seconds"]["total"] < 2.5 * SECONDS
    with Store.open(run.folder / "study.db", "search") as store:
        trials = store.trials()
    assert all(set(trial.fidelity) == {"ms"} for trial in trials)
    told = [trial for trial in trials if trial.status == "ok"]
    assert told and all(trial.values["epochs"] > 0 for trial in told)
    # Nothing that was begun is thrown away, unless it takes far longer than planned.
    assert len(trials) - len(told) <= config.workers
    with Store.open(run.folder / "study.db", "final") as store:
        order = [trial.arch.rpartition("=")[2] for trial in store.trials()]
    if baselines == "full":
        assert order == ["found", "random", "hand", "thinned"]
    else:
        assert order == ["hand", "thinned", "found"]
    by_name = {entry["name"]: entry for entry in result["baselines"]}
    assert {"hand", "thinned", "boosting"} <= set(by_name)
    assert result["test_accuracy"] > 0.5
    # The best of the search were trained once more, each as wide as the limits allow.
    space = image_cell()
    best, *others = result["finalists"]
    assert best["architecture"] == result["architecture"] and best["trial"] == result["trial"]
    assert len(others) <= 1 and all(f["architecture"] != best["architecture"] for f in others)
    for finalist in result["finalists"]:
        wide, tried = space.parse(finalist["architecture"]), space.parse(finalist["searched_as"])
        assert tried.code.tolist() in space.scaled(wide.code).tolist()
        assert finalist["searched_as"] == next(
            t.arch for t in trials if t.number == finalist["trial"]
        )
        assert wide.values["width"] >= tried.values["width"]
        assert (
            finalist["validation_score"] <= best["validation_score"] == result["validation_score"]
        )
    assert result["params"] <= result["limits"]["max_params"]
