"""`nasturtium doctor`: what is installed, what is used, what is missing and how to get it."""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
from importlib import metadata
from typing import Annotated, Any

import typer

from nasturtium import machine
from nasturtium.cli.app import app
from nasturtium.version import version

__all__ = ["doctor", "examine"]

NO_COMPILER = "not found: only kernels of Triton run on a GPU; run: pip install nvidia-cuda-nvcc"

REQUIRED = {
    "numpy": "numpy",
    "torch": "torch",
    "typer": "typer",
    "rich": "rich",
    "safetensors": "safetensors",
    "scikit-learn": "sklearn",
    "SQLAlchemy": "sqlalchemy",
    "jinja2": "jinja2",
    "Pillow": "PIL",
}
EXTRAS = {
    "onnx": {"onnx": "onnx", "onnxscript": "onnxscript", "onnxruntime": "onnxruntime"},
    "parquet": {"pyarrow": "pyarrow"},
    "triton": {"triton": "triton"},
}
_FLAGS = ("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_vnni", "amx_tile", "neon", "asimd")


def examine() -> dict[str, Any]:
    """What `nasturtium doctor --json` prints; `problems` are errors, `warnings` are not."""
    problems: list[str] = []
    warnings: list[str] = []
    found: dict[str, Any] = {
        "nasturtium": version(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": machine.cores(),
        "processor": _processor(),
        "core": _core(problems),
        "kernels": _kernels(warnings),
        "packages": {name: _version(name) for name in REQUIRED},
        "extras": {
            extra: {name: _version(name) for name in names} for extra, names in EXTRAS.items()
        },
    }
    absent = [name for name, installed in found["packages"].items() if installed is None]
    if absent:
        problems.append(f"missing: {', '.join(absent)}; run: pip install {' '.join(absent)}")
    for extra, names in found["extras"].items():
        lacking = [name for name, installed in names.items() if installed is None]
        if lacking:
            warnings.append(
                f"extra {extra}: {', '.join(lacking)} not installed; "
                f'run: pip install "nasturtium[{extra}]"'
            )
    found["torch"] = _torch(problems)
    found["kernels"] |= _picked(found["torch"])
    warnings += _oversubscription(found["cores"], found["torch"])
    return {**found, "problems": problems, "warnings": warnings}


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Show what is installed, what is used, what is missing and how to get it.

    The exit code is 1 where something that every search needs is missing.
    """
    found = examine()
    if as_json:
        typer.echo(json.dumps(found, indent=1))
    else:
        _show(found)
    if found["problems"]:
        raise typer.Exit(1)


def _show(found: dict[str, Any]) -> None:
    core, kernels, torch = found["core"], found["kernels"], found["torch"]
    sets = ", ".join(found["processor"]["instruction_sets"]) or "unknown"
    lines = [
        ("nasturtium", found["nasturtium"]),
        ("Python", f"{found['python']}  {sys.executable}"),
        ("platform", found["platform"]),
        ("processor", f"{found['processor']['name']}, {found['cores']} cores usable, {sets}"),
        ("core", core["state"]),
        ("kernels", kernels["state"]),
        *((f"  {name}", text) for name, text in kernels["operators"].items()),
        ("CUDA compiler", kernels["nvcc"] or NO_COMPILER),
        ("device", torch["device"] or "none: torch does not load"),
    ]
    lines += [(name, installed or "MISSING") for name, installed in found["packages"].items()]
    for extra, names in found["extras"].items():
        lines += [
            (f"{n} [{extra}]", installed or "not installed") for n, installed in names.items()
        ]
    for name, text in lines:
        typer.echo(f"{name:22} {text}")
    for warning in found["warnings"]:
        typer.echo(f"warning: {warning}")
    for problem in found["problems"]:
        typer.echo(f"problem: {problem}")
    if not found["problems"]:
        typer.echo("all that a search needs is here")


def _processor() -> dict[str, Any]:
    flags = machine.flags()
    return {"name": machine.processor(), "instruction_sets": [f for f in _FLAGS if f in flags]}


def _core(problems: list[str]) -> dict[str, Any]:
    try:
        core = importlib.import_module("nasturtium._core")
    except ImportError as error:
        problems.append(f"the compiled core does not load ({error}); run: pip install .")
        return {"loads": False, "state": "MISSING"}
    built = vars(core).get("__version__", "unknown")
    if built != version():
        problems.append(f"the core is of version {built}; run: pip install . again")
    return {"loads": True, "state": f"loads, version {built}"}


def _kernels(warnings: list[str]) -> dict[str, Any]:
    sets: tuple[str, ...] = ()
    try:
        sets = vars(importlib.import_module("nasturtium.kernels"))["available"]()
    except ImportError as error:
        warnings.append(f"the kernels do not load ({error}); plain torch is used instead")
    if not sets:
        return {"loads": False, "instruction_set": None, "state": "not used: plain torch instead"}
    return {"loads": True, "instruction_set": sets[-1], "state": f"load, using {sets[-1]}"}


def _picked(torch: dict[str, Any]) -> dict[str, Any]:
    """What each operator runs on a usual call, and why; and where the CUDA compiler is."""
    if torch["device"] is None:
        return {"operators": {}, "nvcc": None}
    dispatch: Any = importlib.import_module("nasturtium.kernels.dispatch")
    gpu: Any = importlib.import_module("nasturtium.kernels.gpu")
    for module in ("depthwise", "mix", "separable", "mixed_op", "cell", "parts", "aggregated"):
        importlib.import_module(f"nasturtium.kernels.{module}.ops")
    picked = {}
    for operator in dispatch.operators():
        for device in ("cpu", "cuda"):
            choice = dispatch.choose(operator, device=device, dtype="torch.float32")
            picked[f"{operator} on {device}"] = f"{choice.name}: {choice.reason}"
    return {"operators": picked, "nvcc": gpu.nvcc()}


def _torch(problems: list[str]) -> dict[str, Any]:
    try:
        torch: Any = importlib.import_module("torch")
    except (ImportError, OSError) as error:
        problems.append(f"torch does not load ({' '.join(str(error).split())[:200]})")
        return {"device": None, "threads": 0}
    cuda = bool(torch.cuda.is_available())
    device = f"cuda ({torch.cuda.get_device_name(0)})" if cuda else "cpu"
    return {"device": device, "threads": int(torch.get_num_threads())}


def _oversubscription(cores: int, torch: dict[str, Any]) -> list[str]:
    """Thread settings that ask for more threads than there are cores."""
    found = []
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        text = os.environ.get(variable, "")
        if text.isdigit() and int(text) > cores:
            found.append(
                f"{variable}={text} on {cores} cores: threads will wait for each other; "
                f"unset it or set it to {cores}"
            )
    if torch["threads"] > cores:
        found.append(f"torch uses {torch['threads']} threads on {cores} cores; set OMP_NUM_THREADS")
    return found


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
