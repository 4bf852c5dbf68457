"""The bookkeeping as C++, compiled with all warnings as errors, under the sanitizers."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Werror"]
PARTS = ("bandit", "generations", "halving", "hypervolume", "mcts", "mcts_positions", "mcts_tree",
         "parallel", "pareto", "points",
         "population", "rng", "rungs", "select")  # fmt: skip


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ on the path")
@pytest.mark.parametrize("sanitizer", ["address,undefined", "thread"])
def test_bookkeeping_under_the_sanitizers(tmp_path: Path, sanitizer: str) -> None:
    parts = [ROOT / "tests" / "cpp" / "check_bookkeeping.cc",
             *(ROOT / "csrc" / "src" / f"{name}.cc" for name in PARTS)]  # fmt: skip
    whole = tmp_path / "whole.cc"
    whole.write_text("".join(f'#include "{path}"\n' for path in parts))
    program = tmp_path / "check_bookkeeping"
    subprocess.run(
        ["g++", "-std=c++20", "-O1", "-g1", *WARNINGS, f"-fsanitize={sanitizer}",
         "-fno-sanitize-recover=all", "-D_GLIBCXX_ASSERTIONS", f"-I{ROOT / 'csrc' / 'include'}",
         str(whole), "-pthread", "-o", str(program)],
        check=True,
    )  # fmt: skip
    environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
    done = subprocess.run(
        [str(program)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == "300 rounds\n"
