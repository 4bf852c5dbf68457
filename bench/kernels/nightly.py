"""Ten thousand random mixed operations against float64.

    python bench/kernels/nightly.py [--cases 10000] [--chunk 250] [--seed 0] [--log FILE]

Shapes are odd, batches and channels may be one, images may be views with gaps, alphas extreme and
means large. Every result must be as near to float64 as the specification says. Hypothesis draws
the cases; a chunk is a function of its seed, and what a log says of chunks at this commit is not
run again. Where rounding decides on which side of a kink a value lies, only the output and the
gradient of alpha are judged, which have no kink there. Exit status 1: some case failed.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from torch import Tensor

from nasturtium.kernels.mixed_op.spec import CANDIDATES, Edge
from nasturtium.machine import commit
from nasturtium.testing.edges import Verdict, dropped, judge, margin, statistics, tensors

SAFE = 32.0  # roundings between the nearest value and a kink
FEW = 8  # pixels: fewer are normalized to nearly the same values, whatever they are
CHANNELS = (1, 1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33)
EXTREME = (0.0, 1e-30, 1e-6, 1e6, -1e6, 1e12)


@dataclass(frozen=True)
class Drawn:
    """What hypothesis draws; its text says how to get the case again."""

    shape: tuple[int, int, int, int]
    candidates: tuple[str, ...]
    stride: int
    layout: str
    grad_layout: str
    training: bool
    each: bool
    extreme: float | None
    mean: float
    seed: int

    def run(self) -> tuple[list[Verdict], bool]:
        """What is judged of it, and whether it is far from every kink."""
        edge = Edge(self.candidates, self.stride)
        x, alpha, weights, grad = tensors(self.shape, edge, seed=self.seed, mean=self.mean)
        if self.extreme is not None:
            alpha[self.seed % len(alpha)] = self.extreme
        if self.each:
            alpha = dropped(alpha, self.shape[0], self.seed)
        running = None if self.training else statistics(edge, self.shape[1])
        clear = margin(x, weights, edge, running) > SAFE
        x, grad = LAYOUTS[self.layout](x), LAYOUTS[self.grad_layout](grad)
        found = judge(x, alpha, weights, grad, edge, training=self.training, running=running)
        return [v for v in found if clear or v.result in (0, 2)], clear

    def kinds(self) -> list[str]:
        """What the case has of what is to be covered."""
        n, c, h, w = self.shape
        found = {
            "batch of one": n == 1,
            "one channel": c == 1,
            "one row or column": 1 in (h, w),
            "stride 2": self.stride == 2,
            "view with gaps": "gaps" in (self.layout, self.grad_layout),
            "given statistics": not self.training,
            "alphas of each image": self.each,
            "extreme alpha": self.extreme is not None,
            "large mean": self.mean != 0,
        }
        return [name for name, has in found.items() if has]


def _gaps(t: Tensor) -> Tensor:
    n, c, h, w = t.shape
    wide = torch.full((n, 2 * c, h, 2 * w + 1), torch.nan)
    wide[:, ::2, :, 1::2] = t
    return wide[:, ::2, :, 1::2]


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "plain": lambda t: t.contiguous(),
    "channels-last": lambda t: t.contiguous(memory_format=torch.channels_last),
    "turned": lambda t: t.transpose(2, 3).contiguous().transpose(2, 3),
    "gaps": _gaps,
}


@st.composite
def cases(draw: st.DrawFn) -> Drawn:
    """Cases that the kernel takes."""
    stride = draw(st.sampled_from((1, 1, 2)))
    names = draw(st.lists(st.sampled_from(CANDIDATES), min_size=1, max_size=8, unique=True))
    n = draw(st.sampled_from((1, 1, 2, 3, 4, 6)))
    c = draw(st.sampled_from(CHANNELS if stride == 1 else CHANNELS[2:]))
    h, w = draw(st.integers(1, 13)), draw(st.integers(1, 13))
    edge = Edge(tuple(names), stride)
    while n * edge.output(h) * edge.output(w) < FEW:
        h, w = h + 2, w + 1
    return Drawn(
        (n, c, h, w),
        edge.candidates,
        stride,
        draw(st.sampled_from(tuple(LAYOUTS))),
        draw(st.sampled_from(tuple(LAYOUTS))),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.none() | st.sampled_from(EXTREME)),
        draw(st.sampled_from((0.0, 0.0, 1.0, -10.0, 1e2, -1e3, 1e4))),
        draw(st.integers(0, 2**31)),
    )


def run_chunk(number: int, many: int) -> dict[str, Any]:
    """Judge the cases of a chunk; what fails is collected, and the rest still runs."""
    counts: Counter[str] = Counter()
    worst, failures = 0.0, []

    @seed(number)
    @settings(
        max_examples=many,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases())
    def each(drawn: Drawn) -> None:
        nonlocal worst
        counts["cases"] += 1
        counts.update(drawn.kinds())
        try:
            verdicts, clear = drawn.run()
        except Exception as wrong:  # a failure like any other: the chunk goes on
            failures.append({"case": repr(drawn), "error": repr(wrong)})
            return
        counts["near a kink"] += not clear
        counts["without floors"] += all(v.strict for v in verdicts)
        bad = [v for v in verdicts if not v.sound]
        if bad:
            failures.append({"case": repr(drawn), "error": repr(bad)})
        for v in verdicts:
            worst = max(worst, v.own)

    each()
    return {"chunk": number, "counts": counts, "largest_error": worst, "failures": failures}


def known(log: Path, at: str, many: int) -> dict[int, dict[str, Any]]:
    """What a log says of this commit's chunks."""
    if not log.exists() or at.endswith("dirty"):
        return {}
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return {own["chunk"]: own for own in lines if own["commit"] == at and own["size"] == many}


def main() -> None:
    """Run what the log lacks, and say what failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--chunk", type=int, default=250)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path, default=Path("build/nightly_kernels.jsonl"))
    options = parser.parse_args()
    torch.set_num_threads(1)  # small images; that threads change no bit is tested by itself
    at = commit(Path(__file__).parent)
    done = known(options.log, at, options.chunk)
    options.log.parent.mkdir(parents=True, exist_ok=True)
    total: Counter[str] = Counter()
    failures = []
    for i in range(-(-options.cases // options.chunk)):
        number = options.seed + i
        if number not in done:
            found = {"commit": at, "size": options.chunk, **run_chunk(number, options.chunk)}
            done[number] = found
            with options.log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found) + "\n")
        own = done[number]
        total.update(own["counts"])
        failures += own["failures"]
        print(
            f"chunk {number}: {total['cases']} cases, {len(failures)} failed,"
            f" largest error {own['largest_error']:.1e}",
            flush=True,
        )
    for failure in failures:
        print(failure["case"], failure["error"], sep="\n  ")
    print(", ".join(f"{name} {count}" for name, count in total.most_common()))
    raise SystemExit(1 if failures else 0)


if __name__ == "__main__":
    main()
