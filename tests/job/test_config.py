from __future__ import annotations

import pytest

from nasturtium.errors import UserError
from nasturtium.job.config import SearchConfig, parse_count, parse_milliseconds, parse_seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("2m", 120), ("1.5h", 5400), ("1m30s", 90), ("1h 2m", 3720)],
)
def test_seconds(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "2x", "-3s", "1m-2s", "1e3", "nan"])
def test_seconds_refused(text: str) -> None:
    with pytest.raises(UserError, match="cannot read the time"):
        parse_seconds(text)


def test_milliseconds_and_counts() -> None:
    assert parse_milliseconds("2ms") == 2
    assert parse_milliseconds("500us") == 0.5
    assert parse_milliseconds("0.01s") == 10
    assert parse_count("9450") == 9450
    assert parse_count("10k") == 10_000
    assert parse_count("1.5M") == 1_500_000
    for text in ("2 hours", "ms", "-1ms"):
        with pytest.raises(UserError):
            parse_milliseconds(text)
    with pytest.raises(UserError):
        parse_count("ten")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"time": 60.0, "trials": 3}, "exclude each other"),
        ({"time": 3.0}, "too short"),
        ({"time": float("nan")}, "too short"),
        ({"trials": 0}, "at least 1"),
        ({"max_params": 0}, "--max-params must be above 0"),
        ({"max_latency_ms": -2.0}, "--max-latency must be above 0"),
        ({"workers": -1}, "--workers"),
        ({"baselines": "ful"}, 'did you mean "full"'),
        ({"device": "gpu"}, "--device"),
        ({"task": "classify"}, "classification"),
        ({"metric": "acuracy"}, 'did you mean "accuracy"'),
    ],
)
def test_refuses(fields: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        SearchConfig(data="digits", **fields)  # type: ignore[arg-type]


def test_metric_must_fit_the_task() -> None:
    assert SearchConfig(data="x").chosen_metric("regression") == "rmse"
    with pytest.raises(UserError, match="not for regression"):
        SearchConfig(data="x", metric="accuracy").chosen_metric("regression")


def test_json_round_trip_and_resume() -> None:
    config = SearchConfig(data="digits", trials=5, seed=3, max_params=100)
    assert SearchConfig.from_json(config.to_json()) == config
    assert config.resumed_with({"trials": 9, "seed": 3}).trials == 9
    longer = config.resumed_with({"time": 60.0})
    assert (longer.time, longer.trials) == (60.0, None)
    with pytest.raises(UserError, match="--seed 3, not 4"):
        config.resumed_with({"seed": 4})
