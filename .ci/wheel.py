"""Build the wheel, look into it, and use it in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# A wheel without its modules installs "successfully", so each of these is looked for by name.
NEEDED = (
    "nasturtium/_core.",
    "nasturtium/_core.pyi",
    "nasturtium/py.typed",
    "nasturtium/kernels/_cpu.",
    "nasturtium/kernels/depthwise/ops.py",
    "nasturtium/kernels/separable/depthwise_weights.cu",
    "nasturtium/include/nasturtium/c_api.h",
    "nasturtium/include/nasturtium/version.hpp",
    "nasturtium/lib/libnasturtium_core.a",
    "nasturtium/lib/cmake/nasturtium/nasturtiumConfig.cmake",
    "nasturtium/lib/cmake/nasturtium/nasturtiumConfigVersion.cmake",
    "nasturtium/lib/cmake/nasturtium/nasturtiumTargets.cmake",
    "nasturtium/report/template.html",
)

SMOKE = """
import sys, time
start = time.perf_counter()
import nasturtium
seconds = time.perf_counter() - start
assert "torch" not in sys.modules, "import nasturtium imports torch"
assert seconds < 0.2, f"import nasturtium takes {seconds:.2f} s"
from nasturtium import registry
space = registry.create("nb201", "space")
codes = space.sample(1000, seed=1)
assert codes.shape == (1000, 6) and space.valid(codes).all()
import numpy
assert (codes == space.sample(1000, seed=1, threads=2)).all()
import ctypes
from nasturtium import _core, kernels
assert ctypes.CDLL(_core.__file__).nst_abi_version() == _core.abi_version
assert kernels.available(), "the compiled kernels are missing"
print(f"import {seconds * 1e3:.0f} ms, kernels {kernels.available()[-1]}")
"""


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """Run a command away from the source tree's packages; its output, or an end with it."""
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = "\n".join(done.stdout.splitlines()[-60:])
        sys.exit(f"{' '.join(str(part) for part in command)}\n{last}")
    return done.stdout


def build(folder: Path) -> Path:
    """A wheel whose C++ compiles without a warning, of the objects that the installation left."""
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    settings = (
        "--config-settings=cmake.define.NASTURTIUM_WERROR=ON",
        "--config-settings=build-dir=build/{wheel_tag}/editable",
    )
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", *settings, "--wheel-dir", folder, ROOT)
    (wheel,) = folder.glob("nasturtium-*.whl")
    return wheel


def check_contents(wheel: Path) -> None:
    """Exit if something is missing, or lies there that belongs to the sources only."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    missing = [n for n in NEEDED if not any(name.startswith(n) for name in names)]
    tops = {name.split("/")[0] for name in names}
    foreign = [t for t in tops if t != "nasturtium" and not t.startswith("nasturtium-")]
    if missing or foreign:
        sys.exit(f"{wheel.name} lacks {missing}, and has no business with {foreign}")
    print(f"{wheel.name}: {len(names)} files, {wheel.stat().st_size / 1e6:.1f} MB")


def use(wheel: Path, folder: Path) -> None:
    """Install the wheel into an empty environment, then call it as its users do."""
    venv = folder / "venv"
    run(sys.executable, "-m", "venv", venv)
    python = venv / "bin" / "python"
    pip = (python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    run(*pip, "--constraint", ROOT / "constraints.txt", wheel)
    print(run(python, "-c", SMOKE, cwd=folder).strip())
    listed = run(venv / "bin" / "nasturtium", "methods", cwd=folder)
    if "regularized-evolution" not in listed:
        sys.exit(f"nasturtium methods lists no regularized-evolution:\n{listed}")
    config = run(python, "-m", "nasturtium", "--cmake-dir", cwd=folder).strip()
    tools = Path(sys.executable).parent
    for language in ("c", "cpp"):
        target = folder / language
        source = ROOT / "tests" / "examples" / language
        run(tools / "cmake", "-S", source, "-B", target, f"-Dnasturtium_DIR={config}")
        run(tools / "cmake", "--build", target)
        print(run(target / "example").strip())


def main() -> None:
    """Build, check and use one wheel in a temporary folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel = build(folder)
        check_contents(wheel)
        use(wheel, folder)


if __name__ == "__main__":
    main()
