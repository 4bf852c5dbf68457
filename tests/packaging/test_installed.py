"""What the installation leaves: modules, the C++ library for other programs, one version."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from itertools import product
from pathlib import Path

import pytest

import nasturtium
from nasturtium import _core, kernels

ROOT = Path(__file__).resolve().parents[2]
HEADER = ROOT / "csrc" / "include" / "nasturtium" / "version.hpp"


def tool(name: str) -> str:
    """The program of that name beside the interpreter, or on the path."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def output(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, cwd=cwd, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def triangle_functions() -> tuple[int, int]:
    """Codes and functions of the example's space, counted by hand: sets of paths from in to out.

    Over each edge goes nothing, the value itself, or a convolution of it. What arrives is a sum of
    two terms, and a term with convolutions differs from every other one; order does not matter,
    for the three edges play different parts only through what they compute.
    """
    codes, functions = 0, set()
    for a, b, c in product((None, 0, 1), repeat=3):
        through = None if a is None or b is None else a + b
        terms = [t for t in (through, c) if t is not None]
        if terms:
            codes += 1
            functions.add(tuple(sorted(terms)))
    return codes, len(functions)


@pytest.mark.parametrize("language", ["c", "cpp"])
def test_a_program_finds_and_uses_the_core(language: str, tmp_path: Path) -> None:
    folder = output(sys.executable, "-m", "nasturtium", "--cmake-dir")
    source = ROOT / "tests" / "examples" / language
    cmake = tool("cmake")
    output(cmake, "-S", source, "-B", tmp_path, f"-Dnasturtium_DIR={folder}")
    output(cmake, "--build", tmp_path)
    codes, functions = triangle_functions()
    # Of a skip or a convolution two paths are one edge long and four two edges.
    more = ", 6 paths, diamonds equal" if language == "c" else ""
    # A state: 40 bytes around the payload, 24 of the payload around a thousand codes of 3.
    assert output(tmp_path / "example") == (
        f"{nasturtium.__version__}: {codes} codes, {functions} functions,"
        f" 1000 of 1000 mutants valid, {40 + 24 + 3000} bytes{more}"
    )


def test_one_version_everywhere() -> None:
    found = re.search(r'"(.+)"', HEADER.read_text(encoding="utf-8"))
    assert found is not None
    version = found.group(1)
    assert metadata.version("nasturtium") == version
    assert nasturtium.__version__ == version
    assert _core.__version__ == version
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## {version}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_compiled_modules_are_there() -> None:
    assert Path(_core.__file__).suffix == ".so"
    assert kernels.available()


def test_the_tested_versions_cover_what_the_package_asks_for() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)
    wanted = list(project["project"]["dependencies"]) + list(project["build-system"]["requires"])
    for extra in project["project"]["optional-dependencies"].values():
        wanted += extra
    names = {re.split(r"[\[<>=!~; ]", line)[0] for line in wanted} - {"nasturtium"}
    pinned = {
        line.split("==")[0]
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    plain = {re.sub(r"[-_.]+", "-", name).lower() for name in pinned}
    assert {re.sub(r"[-_.]+", "-", name).lower() for name in names} <= plain


def test_the_package_imports_fast_and_without_torch() -> None:
    code = (
        "import sys, time; t = time.perf_counter(); import nasturtium;"
        "print(time.perf_counter() - t, 'torch' in sys.modules)"
    )
    runs = [output(sys.executable, "-c", code).split() for _ in range(3)]
    assert {torch for _, torch in runs} == {"False"}
    assert min(float(seconds) for seconds, _ in runs) < 0.2


@pytest.mark.parametrize("name", ["spaces", "encodings", "search", "study", "data", "kernels"])
def test_parts_that_never_import_torch(name: str) -> None:
    code = f"import sys, nasturtium.{name}; print('torch' in sys.modules)"
    assert output(sys.executable, "-c", code) == "False"
