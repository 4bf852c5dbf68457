"""A user's function as an evaluator: what it may return and what becomes of the rest."""

import math
import pickle

import numpy as np
import pytest
import torch

from nasturtium.evaluators import Evaluator, FunctionEvaluator
from nasturtium.spaces import nb201

ARCH = nb201().architecture(nb201().sample(1, seed=0)[0])


def constant(value):
    return FunctionEvaluator(lambda arch: value).evaluate(ARCH, {}, 0)


@pytest.mark.parametrize(
    ("returned", "score"),
    [
        (1.5, 1.5),
        (3, 3.0),
        (np.float32(0.25), 0.25),
        (np.float16(0.5), 0.5),
        (np.int64(7), 7.0),
        (np.array(2.0), 2.0),
        (np.array([[2.0]]), 2.0),
        (torch.tensor(0.125), 0.125),
        (torch.tensor(0.5, dtype=torch.bfloat16), 0.5),
        (torch.tensor([3.0], requires_grad=True), 3.0),
    ],
)
def test_numbers_are_scores(returned, score):
    result = constant(returned)
    assert (result.status, result.score, dict(result.values)) == ("ok", score, {})


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        (math.nan, "nan"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (np.float32("nan"), "nan"),
        (None, "None"),
        ("0.5", "'0.5'"),
        (True, "True"),
        (np.True_, "not a number"),
        (1j, "complex"),
        ([1.0], "list"),
        (np.zeros(2), "ndarray"),
        (torch.zeros(2), "Tensor"),
        ({"accuracy": 1.0}, "'accuracy'"),
        ({"score": None}, "None"),
        ({"score": 1.0, "loss": "low"}, "'loss'"),
        ({"score": 1.0, 3: 1.0}, "3"),
        ({}, "score"),
    ],
)
def test_everything_else_fails_and_says_why(returned, reason):
    result = constant(returned)
    assert result.status == "failed"
    assert result.score is None
    assert reason in result.detail


def test_a_mapping_gives_score_and_values():
    result = constant({"score": 0.5, "latency": np.float64(2.0)})
    assert (result.score, dict(result.values)) == (0.5, {"latency": 2.0})


def test_the_architecture_is_passed_on():
    result = FunctionEvaluator(lambda arch: len(str(arch))).evaluate(ARCH, {"epochs": 3}, 1)
    assert result.score == len(str(ARCH))


def test_an_exception_fails_with_the_end_of_its_traceback():
    def broken(arch):
        raise ValueError("x" * 40_000 + " the end")

    result = FunctionEvaluator(broken).evaluate(ARCH, {}, 0)
    assert result.status == "failed"
    assert len(result.detail) <= 16 * 1024
    assert result.detail.rstrip().endswith("the end")


def test_an_interrupt_passes_through():
    def interrupted(arch):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        FunctionEvaluator(interrupted).evaluate(ARCH, {}, 0)


def test_it_is_an_evaluator_and_travels_to_other_processes():
    evaluator = FunctionEvaluator(hash)
    assert isinstance(evaluator, Evaluator)
    assert pickle.loads(pickle.dumps(evaluator)) == evaluator  # noqa: S301
