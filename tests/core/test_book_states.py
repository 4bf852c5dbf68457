"""States of the bookkeeping: what is loaded goes on as what was saved; damage is refused."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import state_twin
from hypothesis import given, settings
from hypothesis import strategies as st

from nasturtium.bookkeeping import (
    AgeingQueue,
    Bandit,
    Generational,
    Halving,
    Hyperband,
    ParetoArchive,
    Rungs,
    Species,
    SteadyState,
    StoppingRungs,
    Tree,
    TreeRule,
)
from nasturtium.errors import UserError
from nasturtium.keymap import KeyMap

many = settings(max_examples=60, deadline=None, derandomize=True)


def queue(random: np.random.Generator) -> tuple[Any, Callable[[Any], Any]]:
    made = AgeingQueue(int(random.integers(1, 6)))
    for i in range(int(random.integers(0, 12))):
        made.born(i)

    def go_on(some: AgeingQueue) -> Any:
        died = [some.born(100 + i) for i in range(20)]
        return some.size, died, some.members.tolist()

    return made, go_on


def archive(random: np.random.Generator) -> tuple[Any, Callable[[Any], Any]]:
    m = int(random.integers(1, 4))
    points = random.integers(0, 9, (2, 30, m)).astype(float)
    points[0, 3:5, 0] = [math.inf, -math.inf]
    made = ParetoArchive(m)
    made.add(points[0], np.arange(30))

    def go_on(some: ParetoArchive) -> Any:
        before = (some.objectives, some.ids.tolist(), some.points.tolist())
        return before, some.add(points[1], np.arange(30)).tolist(), some.ids.tolist()

    return made, go_on


def rungs(random: np.random.Generator) -> tuple[Any, Callable[[Any], Any]]:
    etas = random.integers(1, 4, int(random.integers(0, 4))).tolist()
    width = int(random.integers(1, 4))

    def feed(some: Rungs, numbers: range, seed: int) -> list[Any]:
        again = np.random.default_rng(seed)
        seen: list[Any] = []
        for number in numbers:
            rank = again.integers(0, 5, width).astype(float)
            some.add(0, number, None if number % 5 == 3 else tuple(rank))
            seen += [some.next(every=every) for every in (False, True)]
            if seen[-2] is not None and number % 3:
                some.promote(*seen[-2])
                some.add(seen[-2][1] + 1, seen[-2][0], tuple(rank[::-1]))
        return [*seen, some.counts]

    made = Rungs(etas, width=width)
    feed(made, range(int(random.integers(0, 700))), 1)
    return made, lambda some: feed(some, range(1000, 1100), 2)


def stopping(random: np.random.Generator) -> tuple[Any, Callable[[Any], Any]]:
    made = StoppingRungs([2, 3])
    for value in random.integers(0, 9, int(random.integers(0, 30))):
        made.report(int(value) % 2, math.nan if value == 8 else float(value))
    return made, lambda some: [some.report(i % 2, float(i * 5 % 9)) for i in range(40)]


def halving(random: np.random.Generator) -> tuple[Any, Callable[[Any], Any]]:
    made = Halving([9, 4, 2])
    play(made, random, int(random.integers(0, 40)))
    return made, lambda some: (play(some, np.random.default_rng(3), 60), some.done, some.best)


def play(some: Any, random: np.random.Generator, steps: int) -> list[Any]:
    """Jobs in and out in a random order; the same calls give the same list."""
    seen: list[Any] = []
    for _ in range(steps):
        number = int(random.integers(0, 9))
        try:
            some.tell(number, math.nan if random.integers(0, 6) == 0 else float(number % 4))
            seen.append(number)
        except UserError:
            seen.append(some.next())
    return [*seen, some.done]


def hyperband(random: np.random.Generator) -> tuple[Any, Callable[[Any], Any]]:
    made = Hyperband(9, 3)
    play(made, random, int(random.integers(0, 60)))

    def go_on(some: Hyperband) -> Any:
        return some.brackets, play(some, np.random.default_rng(3), 60)

    return made, go_on


def tree(random: np.random.Generator) -> tuple[Any, Callable[[Any], Any]]:
    puct = bool(random.integers(0, 2))
    widening = (1.0, 0.5) if random.integers(0, 2) else None
    rule = TreeRule("puct" if puct else "uct", 0.7, 0.25, -0.5, widening, 40)
    shape = (2, 3, 1, 4)
    table = np.random.default_rng(4).random(shape)
    made = Tree(shape, rule, seed=int(random.integers(0, 2**63)), stream=7)
    made.run(table, int(random.integers(0, 60)))
    if puct:
        made.set_priors([1], [0.5, 0.25, 0.25])
    leaves = made.select(int(random.integers(0, 9)))

    def go_on(some: Tree) -> Any:
        some.backup(leaves.tickets[::2], np.arange(len(leaves.tickets[::2])) / 8)
        some.forget(leaves.tickets[1::2])
        visited = some.run(table, 50, leaves=True)
        assert visited is not None
        counts = [some.visits(path).tolist() for path in ((), (0,), (1,), (1, 2))]
        return (some.rule, some.branching, some.pending, some.nodes, visited.tolist(), counts,
                some.means().tolist(), some.best_path().tolist())  # fmt: skip

    return made, go_on


def key_map(random: np.random.Generator) -> tuple[Any, Callable[[Any], Any]]:
    keys = random.integers(0, 9, (int(random.integers(0, 40)), 2), dtype=np.uint64)
    more = random.integers(0, 9, (40, 2), dtype=np.uint64)

    def go_on(some: KeyMap) -> Any:
        return some.find(more).tolist(), some.insert(more)[0].tolist(), some.keys().tolist()

    return KeyMap(keys), go_on


def steady_state(random: np.random.Generator) -> tuple[Any, Callable[[Any], Any]]:
    made = SteadyState(int(random.integers(1, 6)))

    def go_on(some: SteadyState, begin: int = 50) -> Any:
        died = [some.born(i, math.nan if i % 5 == 4 else i * 7 % 9) for i in range(begin, 70)]
        return some.size, died, some.members.tolist()

    go_on(made, 70 - int(random.integers(0, 12)))
    return made, go_on


def generational(random: np.random.Generator) -> tuple[Any, Callable[[Any], Any]]:
    size = int(random.integers(1, 6))
    made = Generational(size, elites=int(random.integers(0, size)))

    def go_on(some: Generational, begin: int = 50) -> Any:
        turned = [some.born(i, i * 7 % 9) for i in range(begin, 70)]
        return some.size, some.elites, turned, some.members.tolist(), some.generation

    go_on(made, 70 - int(random.integers(0, 12)))
    return made, go_on


def species(random: np.random.Generator) -> tuple[Any, Callable[[Any], Any]]:
    width = int(random.integers(1, 5))
    codes = random.integers(0, 3, (40, width), dtype=np.uint8)
    made = Species(width, radius=int(random.integers(0, 3)))
    made.assign(codes[: int(random.integers(0, 20))])
    return made, lambda some: (some.radius, some.assign(codes).tolist(), some.founders.tolist())


def bandit(random: np.random.Generator) -> tuple[Any, Callable[[Any], Any]]:
    formulas = ("ucb1", "thompson", "exp3")
    made = Bandit(4, formulas[int(random.integers(0, 3))], c=0.7, gamma=0.3, seed=5, stream=6)  # type: ignore[arg-type]

    def go_on(some: Bandit, steps: int = 20) -> Any:
        seen = [some.formula]
        for i in range(steps):
            arms, p = some.choose(2)
            some.reward(arms[:1], p[:1], [i * 3 % 5 / 4])
            seen += [arms.tolist(), p.tolist()]
        return seen, [column.tolist() for column in some.pulls]

    go_on(made, int(random.integers(0, 9)))
    return made, go_on


MAKERS = (queue, archive, rungs, stopping, halving, hyperband, tree, key_map, steady_state,
          generational, species, bandit)  # fmt: skip


@pytest.mark.parametrize("make", MAKERS)
@many
@given(seed=st.integers(0, 2**32))
def test_what_is_loaded_goes_on_as_what_was_saved(make: Any, seed: int) -> None:
    made, go_on = make(np.random.default_rng(seed))
    state = made.state()
    pickled = pickle.loads(pickle.dumps(made))  # noqa: S301
    copies = [type(made).from_state(state), pickled, copy.deepcopy(made)]
    for some in copies:
        assert some.state() == state
    expected = repr(go_on(made))
    for some in copies:
        assert repr(go_on(some)) == expected
    assert made.state() == copies[0].state()


@pytest.mark.parametrize("make", MAKERS)
def test_damaged_bytes_are_refused(make: Any) -> None:
    made, _ = make(np.random.default_rng(5))
    state = made.state()
    load = type(made).from_state
    for n in range(len(state)):
        with pytest.raises(UserError, match=r"state, byte \d+: "):
            load(state[:n])
    for bit in range(0, 8 * len(state), 7):
        flipped = bytearray(state)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(UserError, match=r"state, byte \d+: "):
            load(bytes(flipped))
    other = next(m for m in MAKERS if m is not make)(np.random.default_rng(5))[0]
    with pytest.raises(UserError, match="a state of kind"):
        load(other.state())


@pytest.mark.parametrize("make", MAKERS)
@many
@given(seed=st.integers(0, 2**32), data=st.data())
def test_hostile_payloads_are_refused_or_harmless(make: Any, seed: int, data: Any) -> None:
    """With a checksum that fits, whatever is taken is saved again as it was."""
    made, _ = make(np.random.default_rng(seed))
    state = made.state()
    kind, payload = state_twin.payload_of(state)
    changed = bytearray(payload)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, max(0, len(changed) - 1)))
        if changed:
            changed[at] = data.draw(st.sampled_from([0, 1, 2, 3, 127, 128, 255]))
    hostile = state_twin.state(kind, bytes(changed))
    try:
        some = type(made).from_state(hostile)
    except UserError as error:
        assert "state, byte" in str(error)
        return
    assert some.state() == hostile
