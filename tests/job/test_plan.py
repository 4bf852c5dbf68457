"""The plan of a run: what the time pays for, from made-up step times."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from nasturtium.errors import UserError
from nasturtium.evaluators.latency_model import LatencyModel
from nasturtium.evaluators.recipe import Recipe
from nasturtium.job.config import SearchConfig
from nasturtium.job.plan import BASELINE_SHARE, Plan, plan_time, plan_trials
from nasturtium.job.prepare import Limited, Task, largest, prepare, starts
from nasturtium.networks import Net, cost


@pytest.fixture(scope="module")
def task() -> Task:
    return prepare(SearchConfig(data="digits", time=120.0))


def by_macs(nets: Sequence[Net]) -> list[float]:
    """One millisecond, and one more for each 100,000 multiply-adds."""
    return [1 + cost(net).macs / 1e5 for net in nets]


def timed(task: Task, *, left: float = 120.0, slower: float = 1.0, **fields: Any) -> Plan:
    config = SearchConfig(data="digits", time=120.0, **fields)
    return plan_time(
        config,
        task,
        Recipe.default_for("classification", (1, 8, 8), 1150),
        left=left,
        keep=Limited(task).limits(config),
        measure=lambda nets: [slower * ms for ms in by_macs(nets)],
    )


@pytest.mark.parametrize("baselines", ["quick", "full", "none"])
def test_the_parts_fit_into_the_time(task: Task, baselines: str) -> None:
    plan = timed(task, baselines=baselines)
    assert plan.search_seconds is not None and plan.final_seconds is not None
    parts = plan.search_seconds + (plan.random_seconds or 0.0) + plan.final_seconds
    assert 0.5 * 120 < parts < 120
    assert (plan.random_seconds == plan.search_seconds) == (baselines == "full")
    wanted = 0.0 if baselines == "none" else BASELINE_SHARE * 120
    assert plan.baseline_seconds == pytest.approx(wanted)


def test_rungs_are_times_that_share_the_search(task: Task) -> None:
    plan = timed(task, slower=0.1)
    assert plan.search_seconds is not None
    rungs = [fidelity["ms"] for fidelity in plan.fidelities]
    assert len(rungs) == 3 and all(b == 4 * a for a, b in pairwise(rungs))
    # In two processes each of three rungs gets a third, the lowest for 40 architectures.
    assert rungs[0] == round(1e3 * 2 * plan.search_seconds / (3 * 40))


def test_a_slow_machine_has_fewer_rungs_of_steps_enough(task: Task) -> None:
    sizes = {}
    for slower in (1.0, 10.0, 100.0):
        plan = timed(task, slower=slower)
        pace = plan.pace()
        assert pace is not None and plan.max_step_ms is not None
        codes = task.space.sample(200, seed=3)
        codes = codes[Limited(task).limits(SearchConfig(data="digits"), plan=plan)(codes)]
        nets = [task.lower(task.space.architecture(code)) for code in codes]
        steps = sorted(plan.fidelities[0]["ms"] / pace.predict(net) for net in nets)
        assert steps[len(steps) // 2] > 120, "half of the networks get some 160 steps"
        sizes[slower] = len(plan.fidelities)
    assert sizes[1.0] >= sizes[10.0] >= sizes[100.0] == 1


def test_what_cannot_be_trained_in_time_is_left_out(task: Task) -> None:
    slow = timed(task, slower=100.0)
    config = SearchConfig(data="digits", time=120.0)
    limits = Limited(task).limits(config, plan=slow, final=True)
    codes = task.space.sample(200, seed=3)
    codes = codes[Limited(task).limits(SearchConfig(data="digits"))(codes)]
    kept = limits(codes)
    assert 0 < kept.sum() < len(codes)
    assert slow.step_model is not None and slow.max_step_ms is not None
    model = LatencyModel.from_json(slow.step_model)
    for code, keep in zip(codes, kept, strict=True):
        predicted = model.predict(task.lower(task.space.architecture(code)))
        assert keep == (predicted <= slow.max_step_ms)
    rows = len(task.parts.train) + len(task.parts.validation)
    assert slow.final_seconds is not None
    affordable = slow.final_seconds / (15 * slow.steps(rows))
    assert slow.max_step_ms >= 1e3 * affordable * 0.999


def test_a_search_is_narrower_than_the_final_training(task: Task) -> None:
    plan = timed(task, slower=20.0)
    assert plan.search_step_ms is not None and plan.max_step_ms is not None
    assert plan.search_step_ms == pytest.approx(plan.max_step_ms / 2)
    assert plan.finalist_ms is not None and plan.search_seconds is not None
    assert plan.finalist_ms == pytest.approx(1e3 * plan.search_seconds, abs=1)
    assert plan.finalist_ms > plan.fidelities[-1]["ms"]
    config = SearchConfig(data="digits", time=120.0)
    limited = Limited(task)
    narrow, wide = (limited.limits(config, plan=plan, final=final) for final in (False, True))
    for code in starts(task.space, narrow):
        tried = task.space.architecture(code)
        found = largest(task.space, tried, wide)
        assert found is not None and found.values["width"] >= tried.values["width"]
        assert wide(found.code[None]).all()
        larger = [v for v in task.space.scaled(code) if v[0] > found.code[0]]
        assert not any(wide(v[None]).any() for v in larger)


def test_the_plan_of_trials_depends_on_no_clock(task: Task) -> None:
    config = SearchConfig(data="digits", trials=8)
    recipe = Recipe.default_for("classification", (1, 8, 8), 1150)
    plan = plan_trials(config, task, recipe)
    assert plan == plan_trials(config, task, recipe)
    assert plan.fidelities == ({"epochs": 4}, {"epochs": 12}, {"epochs": 36})
    assert plan.final_epochs == 72
    assert plan.search_seconds is None
    assert plan.max_step_ms is None and plan.search_step_ms is None and plan.finalist_ms is None


def test_json_round_trip(task: Task) -> None:
    plan = timed(task)
    assert Plan.from_json(plan.to_json()) == plan


def test_limits_without_any_architecture(task: Task) -> None:
    with pytest.raises(UserError, match="raise --max-macs"):
        timed(task, max_macs=1)
