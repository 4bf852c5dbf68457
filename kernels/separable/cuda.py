"""The gradients of depthwise weights in CUDA; everything else is Triton's.

The source is compiled by nvcc, for the GPU that is there, when it is first needed, and kept in the
user's cache. It is loaded through the driver's own interface: nothing links to CUDA.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import subprocess
import tempfile
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..gpu import nvcc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .launch import Bank

SOURCE = Path(__file__).with_name("depthwise_weights.cu")
FLAGS = ("-std=c++17", "-O3", "-Werror", "all-warnings", "--resource-usage")
THREADS, GROUPS = 256, 16  # as in the source

_used = ContextVar("used", default=False)


def compiled(architecture: int, target: Path) -> str:
    """Compile the source for an architecture such as 90; what the compiler says of registers.

    Raises:
        RuntimeError: there is no nvcc, or it refuses.
    """
    compiler = nvcc()
    if compiler is None:
        raise RuntimeError("nvcc is not installed")
    command = [compiler, *FLAGS, f"-arch=sm_{architecture}", "-cubin", "-o", str(target)]
    done = subprocess.run([*command, str(SOURCE)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"nvcc: {done.stderr[-2000:]}")
    return done.stdout + done.stderr


def cubin(architecture: int) -> bytes:
    """The compiled source, from the cache where it is there."""
    text = SOURCE.read_bytes() + " ".join((*FLAGS, str(architecture))).encode()
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = root / "nasturtium" / f"{hashlib.sha256(text).hexdigest()[:32]}.cubin"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            made = Path(folder) / path.name
            compiled(architecture, made)
            made.replace(path)  # whole or not at all, also beside another process
    return path.read_bytes()


class Driver:
    """The few functions of CUDA's driver that load and launch a kernel."""

    def __init__(self, architecture: int) -> None:
        self._cuda = ctypes.CDLL("libcuda.so.1")
        self._module = ctypes.c_void_p()
        self._check(self._cuda.cuModuleLoadData(ctypes.byref(self._module), cubin(architecture)))

    def _check(self, code: int) -> None:
        if code:
            raise RuntimeError(f"CUDA's driver answers with error {code}")

    @functools.cache  # noqa: B019 one driver lives as long as the process
    def _function(self, name: str) -> ctypes.c_void_p:
        found = ctypes.c_void_p()
        self._check(
            self._cuda.cuModuleGetFunction(ctypes.byref(found), self._module, name.encode())
        )
        return found

    def launch(self, name: str, grid: tuple[int, int], stream: int, values: list[Any]) -> None:
        """Run a kernel on a stream; ``values`` are ctypes objects."""
        pointers = (ctypes.c_void_p * len(values))(
            *(ctypes.cast(ctypes.byref(value), ctypes.c_void_p) for value in values)
        )
        shape = (*grid, 1, THREADS, 1, 1, 0)
        handle = ctypes.c_void_p(stream)
        self._check(self._cuda.cuLaunchKernel(self._function(name), *shape, handle, pointers, None))


@functools.cache
def driver(device: int) -> Driver:
    """For a GPU by its number; its context is torch's, which is there once a tensor is."""
    import torch

    major, minor = torch.cuda.get_device_capability(device)
    return Driver(10 * major + minor)


def calls(
    bank: Bank, middles: list[Any], shares: Any, places: list[int]
) -> list[tuple[str, tuple[int, int], list[Any]]]:
    """Name, grid and arguments of the launches that a bank needs."""
    n, c, h, w = bank.shape
    affine = bank.statistics.mean if bank.affine is None else bank.affine
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    found = []
    for f, middle, place in zip(bank.filters, middles, places, strict=True):
        if f.depthwise is None:
            continue
        pitch = bank.pitch or c
        wide = c % 4 == 0 and pitch % 4 == 0 and f.image.data_ptr() % 16 == 0
        vector = 4 if wide and middle.data_ptr() % 16 == 0 else 1
        row = f.before * c * 4
        name = f"depthwise_weights_{f.side}_{f.dilation}_{bank.stride}_{vector}"
        groups = -(-c // vector)
        sizes = (n, c, h, w, *bank.size, pitch, f.shift)
        found.append((name, (bank.units.count, -(-groups // GROUPS)), [
            pointer(f.image.data_ptr()), pointer(middle.data_ptr()),
            pointer(shares.data_ptr() + 4 * place), integer(shares.shape[1]),
            pointer(affine.data_ptr()), pointer(bank.statistics.mean.data_ptr() + row),
            pointer(bank.statistics.variance.data_ptr() + row),
            ctypes.c_float(bank.statistics.epsilon), integer(bank.form),
            *(integer(size) for size in sizes),
        ]))  # fmt: skip
    return found


def widened(bank: Bank) -> Bank:
    """With images in float32, the only format that the source reads."""
    filters = tuple(replace(f, image=f.image.float()) for f in bank.filters)
    return replace(bank, filters=filters)


def depthwise_weights(bank: Bank, middles: list[Any], shares: Any, places: list[int]) -> None:
    """Each unit's share of the gradients, as Triton's ``bank_depthwise_weights`` has them."""
    import torch

    bank = widened(bank)  # whose copies live until the launches
    device = shares.device.index
    stream = torch.cuda.current_stream(device).cuda_stream
    with torch.cuda.device(device):
        for name, grid, values in calls(bank, middles, shares, places):
            driver(device).launch(name, grid, stream, values)


@contextmanager
def used() -> Iterator[None]:
    """Lets ``launch`` take this kernel for as long as this lasts."""
    token = _used.set(True)
    try:
        yield
    finally:
        _used.reset(token)


def in_use() -> bool:
    """Whether ``launch`` is to take this kernel."""
    return _used.get()
