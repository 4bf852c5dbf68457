"""The words at the top of the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nasturtium.report import ReportData
from nasturtium.report.verdict import outcome, summary, verdict

Make = Callable[..., ReportData]


@pytest.mark.parametrize(
    ("difference", "interval", "p", "measured", "expected"),
    [
        (0.02, (0.01, 0.03), 0.01, True, "better"),
        (-0.02, (-0.03, -0.01), 0.01, True, "worse"),
        (0.02, (0.01, 0.03), 0.2, True, "level"),
        (0.02, (-0.01, 0.03), 0.049, True, "better"),
        (0.3, (0.1, 0.5), None, True, "better"),
        (-0.3, (-0.5, -0.1), None, True, "worse"),
        (0.3, (-0.1, 0.5), None, True, "level"),
        (0.3, None, None, True, "level"),
        (0.0, (0.0, 0.0), 1.0, True, "level"),
        (0.02, (0.01, 0.03), 0.01, False, "unmeasured"),
        (None, None, None, True, "unmeasured"),
    ],
)
def test_outcome(
    difference: float | None,
    interval: tuple[float, float] | None,
    p: float | None,
    measured: bool,
    expected: str,
) -> None:
    assert outcome(difference, interval, p, measured) == expected


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{MINUS SIGN}", "-")


def test_headline_of_a_classification(make_classification: Make) -> None:
    assert plain(verdict(make_classification(3)).headline) == (
        "The found network gets 99.4 % of 360 held-out images right "
        "(95 % interval 98.0 to 99.9 %), with 8,934 parameters and 412k multiply-adds."
    )


def test_headline_of_a_regression(make_regression: Make) -> None:
    assert plain(verdict(make_regression()).headline) == (
        "The found network errs by 2.93 in medv (RMSE) on 102 held-out rows "
        "(95 % interval 2.41 to 3.52), with 961 parameters and 896 multiply-adds."
    )


def test_each_baseline_has_its_sentence(make_classification: Make) -> None:
    said = [(kind, plain(text)) for kind, text in verdict(make_classification(3)).sentences]
    assert said == [
        (
            "level",
            "It does not beat residual network: the two cannot be told apart "
            "(99.7 %, difference -0.3 points, McNemar p = 1), with 24 % of its parameters.",
        ),
        (
            "better",
            "It beats residual network, thinned (97.5 %, difference +1.9 points, "
            "McNemar p = 0.016), with 92 % of its parameters.",
        ),
        (
            "better",
            "It beats gradient boosting (96.9 %, difference +2.5 points, McNemar p = 0.0039).",
        ),
        (
            "unmeasured",
            "Not measured on the held-out part: random search, estimated at 98.9 %. "
            "Estimated from the run's own random trials.",
        ),
    ]


def test_a_baseline_that_was_trained_for_less_is_said_to_be(make_classification: Make) -> None:
    entry = {"name": "residual", "title": "residual network", "test_accuracy": 0.9}
    entry |= {"difference": 0.094, "mcnemar_p": 1e-5, "epochs": 1}
    ((kind, text),) = verdict(make_classification(3, epochs=40, baselines=[entry])).sentences
    assert kind == "better"
    assert text.startswith(
        "It beats residual network as trained here, for 1 epoch where the found network had 40 ("
    )
    entry["epochs"] = 20
    ((kind, text),) = verdict(make_classification(3, epochs=40, baselines=[entry])).sentences
    assert text.startswith("It beats residual network (")


def test_a_loss_is_called_one(make_regression: Make) -> None:
    ((kind, text),) = verdict(make_regression()).sentences
    assert kind == "worse"
    assert plain(text) == (
        "It does not beat gradient boosting, which is better "
        "(RMSE 2.71 against 2.93, difference -0.22, interval -0.5 to -0.01)."
    )


@pytest.mark.parametrize(("found", "sign"), [(2.0, "+"), (3.0, "-")])
def test_a_missing_difference_favors_the_smaller_error(
    make_regression: Make, found: float, sign: str
) -> None:
    entry: dict[str, Any] = {"name": "a tree", "test_rmse": 2.5, "measured": True}
    made = verdict(make_regression(test_rmse=found, baselines=[entry]))
    assert made.comparisons[0].outcome == "level"
    assert plain(made.comparisons[0].difference) == f"{sign}0.5"


def test_no_baselines_is_said(make_classification: Make) -> None:
    ((kind, text),) = verdict(make_classification(3, baselines=[])).sentences
    assert kind == "unmeasured" and "no baseline has been run" in text


def test_no_test_result_is_said(make_classification: Make) -> None:
    made = verdict(make_classification(3, test_accuracy=None))
    assert made.headline == (
        "The run has no test result yet. The best validation score so far is 0.9931."
    )


def test_summary_counts_the_measured_baselines(
    make_classification: Make, make_regression: Make
) -> None:
    assert summary(verdict(make_classification(3)).comparisons) == (
        "Baselines measured: 3. The found network beats 2 and is level with 1."
    )
    assert summary(verdict(make_regression()).comparisons) == (
        "Baselines measured: 1. The found network loses to 1."
    )
    assert summary(verdict(make_classification(3, baselines=[])).comparisons) == ""
