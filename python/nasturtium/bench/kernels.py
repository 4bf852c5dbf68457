"""The fused mixed operation beside plain torch: results first, then times taken in turns.

A step is forward and backward with all gradients, from a dense gradient in the output's layout.
Peers: torch as it is, on channels-last images, and both compiled where that is asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import torch

from nasturtium.bench.rows import Row
from nasturtium.bench.subjects import EDGES, NETWORKS, Case, Size, Subject
from nasturtium.bench.timing import RUNS
from nasturtium.errors import NasturtiumError, UserError
from nasturtium.kernels import dispatch

__all__ = ["check", "in_turns", "measure"]

_FEW = 4  # images of the check: rounding at a kink decides whole gradients in large ones
_CALLS = 2  # of one run


def check(subject: Subject, size: Size) -> float:
    """Largest error of the fused form over the largest value, on few images against float64.

    Of a network its output alone counts: behind many layers a gradient near zero is noise.

    Raises:
        NasturtiumError: it is more than the specification allows, or the kernel did not run.
    """
    small = (min(size[0], _FEW), *size[1:])
    plain = torch.contiguous_format
    exact = Case.make(subject, small, plain, "plain", double=True).step()
    eager = Case.make(subject, small, plain, "plain").step()
    before = dispatch.ran[f"{subject.operator}_backward", "cpu"]
    ours = Case.make(subject, small, torch.channels_last, "fused").step()
    if dispatch.ran[f"{subject.operator}_backward", "cpu"] == before:
        raise NasturtiumError("the fused kernel did not run; see nasturtium doctor")
    worst = 0.0
    compared = list(zip(ours, eager, exact, strict=True))[: 1 if subject.network else None]
    for a, b, c in compared:
        own, theirs = (((t - c).abs().max() / c.abs().max()).item() for t in (a, b))
        worst = max(worst, own)
        spacing = torch.finfo(torch.float32).eps
        if not own <= max(subject.times_eager * theirs, subject.epsilons * spacing):
            raise NasturtiumError(
                f"{subject.name} is wrong at {small}: {own:.1e}, plain torch {theirs:.1e}"
            )
    return worst


def in_turns(works: Sequence[Callable[[], object]], runs: int) -> list[float]:
    """Milliseconds of each, the best of `runs`; they take turns, so that all see one machine."""
    best = [float("inf")] * len(works)
    for work in works:
        work()
    for _ in range(runs):
        for i, work in enumerate(works):
            begin = time.perf_counter()
            for _ in range(_CALLS):
                work()
            best[i] = min(best[i], (time.perf_counter() - begin) / _CALLS * 1e3)
    return best


def roofline(runs: int) -> list[Row]:
    """What this machine reaches at most: a copy from memory and a product of matrices."""
    side, floats = 1024, 1 << 25
    a, b = torch.randn(side, side), torch.randn(side, side)
    product, source, target = torch.empty(side, side), torch.ones(floats), torch.empty(floats)
    copy, multiply = in_turns(
        [lambda: target.copy_(source), lambda: torch.mm(a, b, out=product)], runs
    )
    return [
        Row("machine: bytes read and written by a copy", 2e3 * 4 * floats / copy, "/s"),
        Row("machine: FLOP of a product of matrices", 2e3 * side**3 / multiply, "/s"),
    ]


def check_compiler() -> None:
    """Compile a function.

    Raises:
        UserError: torch cannot.
    """
    try:
        torch.compile(lambda t: t + 1)(torch.zeros(2))
    except Exception as wrong:
        reason = str(wrong).strip().splitlines()[0]
        raise UserError(f"torch.compile does not work here: {reason}") from wrong


def measure(
    runs: int = RUNS, *, compiled: bool = False, networks: bool = False, sizes: int | None = None
) -> Iterator[Row]:
    """All rows, as they come.

    Args:
        runs: of which the best counts; a network has two at most, since a step takes seconds.
        compiled: also what torch compiles, which needs a compiler and some time; of a network each
            cell, which takes long.
        networks: whole search steps as well.
        sizes: of each subject so many, the first; all if None.

    Raises:
        UserError: torch is to compile and cannot.
    """
    if compiled:
        check_compiler()
    yield from roofline(runs)
    for subject in EDGES:
        for size in subject.sizes[:sizes]:
            yield from _of_size(subject, size, runs, compiled and subject.compiled)
    for subject in NETWORKS if networks else ():
        for size in subject.sizes[:sizes]:
            yield from _of_size(subject, size, min(runs, 2), compiled)


def _of_size(subject: Subject, size: Size, runs: int, compiled: bool) -> list[Row]:
    error = check(subject, size)
    plain, last = torch.contiguous_format, torch.channels_last
    kinds = {
        "fused": (last, "fused"),
        "eager": (plain, "plain"),
        "channels-last": (last, "plain"),
    }
    if compiled:
        kind = "cells compiled" if subject.network else "compiled"
        kinds |= {kind: (plain, kind), f"{kind} channels-last": (last, kind)}
    cases = {key: Case.make(subject, size, *kind) for key, kind in kinds.items()}
    name = f"{subject.name} {'x'.join(map(str, size))}, {torch.get_num_threads()} threads"
    works: dict[str, list[Callable[[], object]]] = {
        "step": [c.step for c in cases.values()],
        "forward": [c.forward for c in cases.values()],
    }
    if subject.network:
        del works["forward"]
    bars = subject.bars(size)
    rows = []
    for part, work in works.items():
        times = dict(zip(cases, in_turns(work, runs), strict=True))
        own = times.pop("fused")
        rows.append(Row(f"{name}: {part}", own, "ms", times))
        if part == "step":
            rows += [
                Row(f"{name}: step, times {peer}", value / own, "x", bar=bars.get(peer))
                for peer, value in times.items()
            ]
            if subject.flops is not None and subject.moved is not None:
                rows.append(Row(f"{name}: FLOP", 1e3 * subject.flops(size) / own, "/s"))
                rows.append(Row(f"{name}: bytes moved", 1e3 * subject.moved(size) / own, "/s"))
    kept = {key: cases[key].kept() for key in ("fused", "eager")}
    return [
        *rows,
        Row(f"{name}: kept", kept["fused"] / 2**20, "MiB", {"eager": kept["eager"] / 2**20}),
        Row(f"{name}: kept, of eager's", kept["fused"] / kept["eager"], "part", bar=subject.kept),
        Row(f"{name}: largest error over largest value", error, "part"),
    ]  # fmt: skip
