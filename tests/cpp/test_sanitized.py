"""The core as C++, compiled with all warnings as errors, under the sanitizers."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from nasturtium.spaces import (
    Choice,
    Graph,
    Space,
    connected,
    forbid,
    image_cell,
    nb201,
    residual_mlp,
)

ROOT = Path(__file__).parents[2]
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Werror"]


def strings_space() -> Space:
    """Conditions on nodes, labels of several parts, a concatenation and every constraint."""
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
    return Space("strings", [op, kernel, depth], graph, limits, conventions={"text": "string"})


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ on the path")
def test_all_operations_under_the_sanitizers(tmp_path: Path) -> None:
    # One translation unit: most of the time would go into reading headers again.
    parts = [
        ROOT / "tests" / "cpp" / "check_core.cc",
        *sorted((ROOT / "csrc" / "src").glob("*.cc")),
    ]
    whole = tmp_path / "whole.cc"
    whole.write_text("".join(f'#include "{path}"\n' for path in parts))
    program = tmp_path / "check_core"
    subprocess.run(
        ["g++", "-std=c++20", "-O0", "-g1", *WARNINGS, "-fsanitize=address,undefined",
         "-fno-sanitize-recover=all", f"-I{ROOT / 'csrc' / 'include'}",
         str(whole), "-pthread", "-o", str(program)],
        check=True,
    )  # fmt: skip
    paths = []
    for space in (nb201(), image_cell(), residual_mlp(), strings_space()):
        path = tmp_path / f"{space.name}.txt"
        path.write_text(space.text)
        paths.append(str(path))
    environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
    done = subprocess.run(
        [str(program), *paths], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == "4 texts\n"
