"""When Triton and CUDA can run, in words; nothing here imports either of them, or torch."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from importlib import metadata
from importlib.util import find_spec

from . import dispatch

INTERPRETER = "TRITON_INTERPRET"
# The module that fixes, when it is first imported, whether kernels are interpreted.
_RUNTIME = f"{__package__}.tiles"


def interpreted() -> bool:
    """Whether Triton kernels run in its interpreter, on the CPU."""
    runtime = sys.modules.get(_RUNTIME)
    if runtime is not None:
        return bool(vars(runtime)["INTERPRETED"])
    return os.environ.get(INTERPRETER, "0").lower() in ("1", "true", "on", "yes", "y")


def triton_obstacle(device: str) -> str:
    """Why Triton kernels cannot run on a type of device; empty if they can."""
    if device not in ("cpu", "cuda"):
        return f"no triton kernel for device {device}"
    if find_spec("triton") is None:
        return 'triton is not installed; run: pip install "nasturtium[triton]"'
    if device == "cpu" and not interpreted():
        return f"triton runs on a GPU, and on the CPU only with {INTERPRETER}=1 set from the start"
    return ""


def about_triton() -> str:
    """Version of Triton, and what it runs on."""
    where = "its interpreter" if interpreted() else "compiled on first use"
    return f"triton {metadata.version('triton')}, {where}"


def register_triton(operator: str, module: str) -> None:
    """Add the Triton kernels of an operator, the functions of a module imported on first use."""
    dispatch.register(
        operator,
        "triton",
        module,
        obstacle=triton_obstacle,
        about=about_triton,
        automatic=("cuda",),
    )


def nvcc() -> str | None:
    """Path of the CUDA compiler: ``NVCC`` or the first one in PATH."""
    return shutil.which(os.environ.get("NVCC") or "nvcc")
