"""Tables of results: every way in gives the same answers, and what does not fit is refused."""

from __future__ import annotations

import doctest
import math
import pickle

import numpy as np
import pytest

from nasturtium.errors import UserError
from nasturtium.evaluators import Evaluator, Table
from nasturtium.evaluators import table as module
from nasturtium.spaces import Choice, Space, nb201

DEPTH = Choice("depth", (1, 2))
SPACE = Space("few", [DEPTH, Choice("a", ("x", "y", "z")), Choice("b", (0, 1), when={DEPTH: 2})])
CODES = SPACE.enumerate()[::-1]


def test_every_code_is_found_at_its_fidelity_and_run():
    scores = np.arange(len(CODES) * 6, dtype=float).reshape(-1, 2, 3)
    scores[4, 1, 2] = math.nan
    costs = np.arange(len(CODES) * 2, dtype=float).reshape(-1, 2)
    ladder = ({"epochs": 1}, {"epochs": 5, "width": 2})
    params = np.arange(len(CODES)) * 10.0
    table = Table(SPACE, CODES, scores, costs, fidelities=ladder, params=params)
    assert isinstance(table, Evaluator) and len(table) == len(CODES) == 9 and table.runs == 3
    again = pickle.loads(pickle.dumps(table))  # noqa: S301
    for some in (table, again):
        assert some.compiled.classes == 9
        for i, code in enumerate(CODES):
            for level, fidelity in enumerate(ladder):
                for seed in range(7):
                    seen = some.evaluate(SPACE.architecture(code), fidelity, seed)
                    assert seen.values == {"cost": costs[i, level], "params": params[i]}
                    expected = scores[i, level, seed % 3]
                    if math.isnan(expected):
                        assert (seen.status, seen.score) == ("failed", None)
                    else:
                        assert (seen.status, seen.score) == ("ok", expected)
                    score, cost = some.query(code, fidelity, seed % 3)
                    assert cost == costs[i, level] and (score == expected or math.isnan(score))
    assert (table.codes[table.rows(CODES)] == CODES).all()


def test_rows_by_key():
    space = nb201()
    codes = space.enumerate()
    keys = space.keys(codes, "function")
    distinct, first = np.unique(keys, axis=0, return_index=True)
    values = np.random.default_rng(0).random((len(distinct), 2))
    table = Table.by_key(space, distinct, values, (3.0, 9.0), fidelities=({"e": 3}, {"e": 9}))
    assert len(distinct) == 5260 and table.compiled.classes == 5260
    inverse = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)
    assert np.array_equal(table.scores[:, :, 0], values[inverse])
    assert table.query(codes[first[7]], {"e": 9}) == (values[7, 1], 9.0)
    own = Table.by_key(space, space.keys(codes, "genotype"), codes.sum(1), convention="genotype")
    assert np.array_equal(own.scores[:, 0, 0], codes.sum(1))
    with pytest.raises(UserError, match="no row for nb201:"):
        Table.by_key(space, distinct[1:], values[1:], fidelities=({"e": 3}, {"e": 9}))
    with pytest.raises(UserError, match="key 1 of the table comes twice"):
        Table.by_key(space, distinct[[0, 0, 1]], values[:3])


def test_what_does_not_fit_is_refused():
    scores = np.zeros(len(CODES))
    for arguments, part in (
        ((CODES[:-1], scores[:-1]), "8 codes; it takes each of the 9"),
        ((np.concatenate([CODES[:-1], CODES[:1]]), scores), "each of the 9"),
        ((CODES + 1, scores), "no valid code"),
        ((CODES, scores[:-1]), "scores of shape"),
        ((CODES, np.zeros((9, 2))), "scores of shape"),
        ((CODES, scores, -1.0), "cost"),
        ((CODES, scores, [math.inf]), "cost"),
        ((CODES, scores, [1.0, 2.0]), "costs of shape"),
    ):
        with pytest.raises(UserError, match=part):
            Table(SPACE, *arguments)
    with pytest.raises(UserError, match="params of shape"):
        Table(SPACE, CODES, scores, params=[1.0])
    large = Space("large", [Choice(f"d{i}", tuple(range(10))) for i in range(9)])
    with pytest.raises(UserError, match="multiply to 1,000,000,000"):
        Table(large, large.sample(3, seed=0), np.zeros(3))
    table = Table(SPACE, CODES, scores)
    with pytest.raises(UserError, match="no fidelity"):
        table.query(CODES[0], {"epochs": 1})
    with pytest.raises(UserError, match="not valid"):
        table.query(np.array([0, 0, 1], np.uint8), {})


def test_the_example_runs():
    done = doctest.testmod(module)
    assert done.attempted == 5 and done.failed == 0
