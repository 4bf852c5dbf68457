"""Builds the core under sanitizers; as a program, feeds its parsers and decoders damaged inputs.

    python tests/cpp/sanitized.py EXECUTIONS [--seed SEED]

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

HERE = Path(__file__).resolve().parent
CORE = HERE.parents[1] / "csrc"
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Werror")
ADDRESS = ("-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
FAST_ADDRESS = ("-O1", *ADDRESS[1:])
THREAD = ("-O1", "-fsanitize=thread")


class Sanitized:
    """The core compiled once under a sanitizer, and the programs of this folder linked to it.

    The compilation starts at once, beside what else is done, and the first program waits for it.
    """

    def __init__(self, folder: Path, flags: tuple[str, ...]) -> None:
        self.folder, self.flags = folder, flags
        self._built: dict[str, Path] = {}
        # One translation unit: most of the time would go into reading headers again.
        whole = folder / "core.cc"
        sources = sorted((CORE / "src").glob("*.cc"))
        whole.write_text("".join(f'#include "{path}"\n' for path in sources), encoding="utf-8")
        self._core = folder / "core.o"
        self._compiling = self._compile("-c", whole, "-o", self._core)

    def _compile(self, *arguments: str | Path) -> subprocess.Popen[bytes]:
        include = (f"-I{CORE / 'include'}", f"-I{CORE / 'src'}")
        checked = ("-g1", "-pthread", "-D_GLIBCXX_ASSERTIONS", *WARNINGS, *self.flags)
        command = ["g++", "-std=c++20", *checked, *include]
        return subprocess.Popen([*command, *map(str, arguments)])

    def program(self, name: str) -> Path:
        """The program made of the file of that name."""
        if name not in self._built:
            target = self.folder / name
            assert self._compiling.wait() == 0, "the core does not compile"
            linked = self._compile(HERE / f"{name}.cc", self._core, "-o", target)
            assert linked.wait() == 0, f"{name}.cc does not compile"
            self._built[name] = target
        return self._built[name]

    def run(self, name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(part) for part in (self.program(name), *arguments)],
            env=environment(),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )


def environment() -> dict[str, str]:
    """The process's, without what a sanitizer's runtime would stumble over."""
    return {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}


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
        program = Sanitized(Path(name), FAST_ADDRESS).program("fuzz")
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
