"""The optimizer's bookkeeping: states of other searches, early stopping rules, docstrings."""

from __future__ import annotations

import doctest
import json
import math
import subprocess
import sys

import pytest

from nasturtium.errors import MethodError
from nasturtium.search import Observation, Optimizer, methods, random_search, usable
from nasturtium.search.history import WORST, History
from nasturtium.spaces import Choice, Space, nb201


def test_a_state_of_another_search_is_refused():
    space = nb201()
    state = random_search(space, seed=0, fidelities=({"epochs": 2},)).state()
    other = Space("other", [Choice("a", (1, 2))])
    for wrong in (
        random_search(other, seed=0, fidelities=({"epochs": 2},)),
        random_search(space, seed=0, fidelities=({"epochs": 3},)),
        methods.regularized_evolution(space, seed=0, fidelities=({"epochs": 2},)),
    ):
        with pytest.raises(MethodError, match="belongs to another"):
            wrong.load(state)


def test_a_state_keeps_numbers_that_json_lacks():
    search = random_search(nb201(), seed=0)
    (a, b) = search.ask(2)
    search.tell([Observation(1, b, "ok", 0.1 + 0.2, {"params": 3.0}, (math.nan, -math.inf, 0.1))])
    search.tell([Observation(0, a, "failed", None)])
    state = json.loads(json.dumps(search.state(), allow_nan=False))
    history = History.from_state(state["trials"], state["told"])
    assert [t.number for t in history.in_order_told()] == [1, 0]
    first, second = history.trials
    assert first.score == WORST and second.score == 0.1 + 0.2 and second.params == 3.0
    assert math.isnan(second.curve[0]) and second.curve[1:] == (-math.inf, 0.1)


def test_what_counts_as_a_score():
    (proposal,) = random_search(nb201(), seed=0).ask()
    for status, score, expected in (
        ("ok", 0.5, 0.5),
        ("ok", None, None),
        ("ok", math.nan, None),
        ("ok", math.inf, None),
        ("stopped", 0.5, None),
        ("failed", 0.5, None),
    ):
        assert usable(Observation(0, proposal, status, score)) == expected


def test_methods_follow_the_protocol_and_their_examples_run():
    assert isinstance(random_search(nb201(), seed=0), Optimizer)
    done = doctest.testmod(methods)
    assert done.attempted >= 6 and done.failed == 0


def test_the_package_can_be_called_like_the_function():
    code = (
        "import nasturtium, nasturtium.search as package\n"
        "assert nasturtium.search is package and callable(package)\n"
        "assert 'nasturtium.job' not in __import__('sys').modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
