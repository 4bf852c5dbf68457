"""Feeds the parsers and decoders of the core, under sanitizers, damaged inputs.

    python tests/cpp/mutate.py EXECUTIONS [--seed SEED]

The executions are shared out to as many processes as there are processors.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sanitizers import ADDRESS, Sanitized, environment

from nasturtium.spaces import (
    Choice,
    Graph,
    Space,
    connected,
    forbid,
    image_cell,
    live_at_least,
    live_at_most,
    nb201,
    residual_mlp,
)


def strings_space() -> Space:
    """Conditions on nodes, labels of several parts, a concatenation, constraints on the graph."""
    op, kernel = (
        Choice("op", ("conv", "pool", "none")),
        Choice("kernel", (3, 5), when={"op": "conv"}),
    )
    depth = Choice("depth", (1, 2))
    graph = Graph(identity="sum", weightless="pool", concat="cat")
    graph = graph.node("in", "sum").node("a", (op, kernel)).node("b", "sum", when={depth: 2})
    graph = (
        graph.node("out", "cat").edge("in", "a", "sum").edge("a", "b", op).edge("b", "out", "sum")
    )
    graph = graph.edge("a", "out", "sum", when={"depth": 1}).edge("in", "out", (op, kernel))
    limits = [connected(), forbid({"op": "conv", "kernel": 5, "depth": 2})]
    limits += [live_at_most(4), live_at_least(1, "nodes", ("conv", "sum"))]
    return Space("strings", [op, kernel, depth], graph, limits, conventions={"text": "string"})


def write_texts(folder: Path) -> list[Path]:
    """The text forms of four spaces that use every part of it, as files."""
    paths = []
    for space in (nb201(), image_cell(), residual_mlp(), strings_space()):
        paths.append(folder / f"{space.name}.txt")
        paths[-1].write_text(space.text, encoding="utf-8")
    return paths


def main() -> int:
    """Run the executions asked for; 0 where all of them were clean."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("executions", type=int)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    processes = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        texts = write_texts(Path(name))
        program = Sanitized(Path(name), ADDRESS).program("fuzz")
        begin = time.perf_counter()
        share = -(-asked.executions // processes)
        running = [
            subprocess.Popen([program, str(share), str(asked.seed + i), *texts], env=environment())
            for i in range(processes)
        ]
        failed = sum(process.wait() != 0 for process in running)
        seconds = time.perf_counter() - begin
    sys.stdout.write(f"{share * processes} executions in {seconds:.0f} s, {failed} failed\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
