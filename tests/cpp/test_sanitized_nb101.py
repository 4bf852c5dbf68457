"""The NAS-Bench-101 cell and the key map as C++, under the sanitizers."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ["graph", "key_map", "md5", "parallel", "rng", "space"]


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ on the path")
def test_all_operations_under_the_sanitizers(tmp_path: Path) -> None:
    source = ROOT / "csrc" / "src"
    parts = [
        ROOT / "tests" / "cpp" / "check_nb101.cc",
        *(source / f"{name}.cc" for name in SOURCES),
        *sorted(source.glob("nb101_*.cc")),
    ]
    whole = tmp_path / "whole.cc"
    whole.write_text("".join(f'#include "{path}"\n' for path in parts))
    program = tmp_path / "check_nb101"
    subprocess.run(
        ["g++", "-std=c++20", "-O1", "-g1", "-Wall", "-Wextra", "-Wconversion", "-Werror",
         "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
         f"-I{ROOT / 'csrc' / 'include'}", f"-I{source}", str(whole), "-pthread",
         "-o", str(program)],
        check=True,
    )  # fmt: skip
    environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
    done = subprocess.run(
        [str(program)], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr[-3000:]
