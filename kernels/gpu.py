"""When Triton and CUDA can run, in words; nothing here imports either of them, or torch."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

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


def register_triton(operator: str, load: Callable[[], Any] | str) -> None:
    """Add the Triton kernels of an operator, as ``dispatch.register`` takes them."""
    dispatch.register(
        operator,
        "triton",
        lambda: _guarded(import_module(load) if isinstance(load, str) else load(), nullcontext),
        obstacle=triton_obstacle,
        about=about_triton,
        automatic=("cuda",),
    )


def register_cuda(operator: str, module: str) -> None:
    """Add an operator's implementation by Triton with the one kernel that is written in CUDA."""
    dispatch.register(
        operator,
        "cuda",
        lambda: _guarded(
            import_module(module), import_module(f"{__package__}.separable.cuda").used
        ),
        obstacle=cuda_obstacle,
        about=lambda: f"compiled by {nvcc()}, beside {about_triton()}",
    )


def _guarded(own: Any, around: Callable[[], AbstractContextManager[None]]) -> SimpleNamespace:
    """An implementation's functions, run on the device of their tensors."""

    def on_device(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            import torch

            flat = (t for a in arguments for t in (a if isinstance(a, list) else [a]))
            device = next(t.device for t in flat if isinstance(t, torch.Tensor))
            guard = torch.cuda.device(device) if device.type == "cuda" else nullcontext()
            with around(), guard:
                return function(*arguments)

        return call

    names = [name for name in ("forward", "backward") if hasattr(own, name)]
    return SimpleNamespace(**{name: on_device(getattr(own, name)) for name in names})


def cuda_obstacle(device: str) -> str:
    """Why the CUDA kernel and what surrounds it cannot run on a type of device."""
    if device != "cuda":
        return f"no cuda kernel for device {device}"
    if nvcc() is None:
        return "nvcc, which compiles the CUDA kernel, is not installed"
    return triton_obstacle(device)


def nvcc() -> str | None:
    """Path of the CUDA compiler: ``NVCC``, the first in PATH, or ``nvidia-cuda-nvcc``'s."""
    named = os.environ.get("NVCC")
    if named:
        return shutil.which(named)
    packages = find_spec("nvidia")
    folders = (packages and packages.submodule_search_locations) or ()
    packaged = (path for folder in folders for path in sorted(Path(folder).glob("*/bin/nvcc")))
    return shutil.which("nvcc") or next(map(str, packaged), None)
