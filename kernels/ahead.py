"""Triton kernels compiled ahead of time, for GPUs that this machine need not have.

A launch that was recorded names its kernel and all arguments, so that what is compiled is what will
run. What the assembler says of registers and spills, and what the PTX is made of, can be asserted.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import triton
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from .tiles import MOST_REGISTERS, STAGES, Launch

TYPES = {
    "torch.float32": "fp32",
    "torch.float64": "fp64",
    "torch.bfloat16": "bf16",
    "torch.uint8": "u8",
}


@dataclass(frozen=True)
class Compiled:
    """What became of a kernel.

    Attributes:
        name: of the kernel.
        form: its tunable constants and number of warps.
        architecture: 80 is A100's, 90 is H100's.
        registers: of a thread.
        spills: bytes that a thread stores for want of registers.
        shared: bytes of shared memory of a program.
        wide: loads of 16 bytes.
        narrow: all other loads from global memory.
        products: matrix instructions.
        barriers: of all threads of a program.
    """

    name: str
    form: dict[str, int]
    architecture: int
    registers: int
    spills: int
    shared: int
    wide: int
    narrow: int
    products: int
    barriers: int


def _signature(launch: Launch, form: dict[str, int]) -> tuple[dict[str, Any], Any, Any]:
    """Types of arguments, constants, and what is known of pointers, as a call would have them."""
    types: dict[str, Any] = {}
    constants: dict[Any, Any] = {}
    attributes: dict[Any, Any] = {}
    names = list(launch.kernel.function.arg_names)
    values = {**launch.arguments, **{k: v for k, v in form.items() if k != "num_warps"}}
    fixed = {p.name for p in launch.kernel.function.params if p.is_constexpr}

    def describe(value: Any, place: tuple[int, ...]) -> Any:
        if isinstance(value, tuple):
            return tuple(describe(v, (*place, k)) for k, v in enumerate(value))
        if isinstance(value, float):
            return "fp32"
        if isinstance(value, int):
            if value % 16 == 0:
                attributes[place] = [["tt.divisibility", 16]]
            return "i32" if abs(value) < 2**31 else "i64"
        assert isinstance(value, Tensor), value
        attributes[place] = [["tt.divisibility", 16]]
        return f"*{TYPES[str(value.dtype)]}"

    for number, name in enumerate(names):
        if name in fixed:
            types[name], constants[name] = "constexpr", values[name]
        else:
            types[name] = describe(values[name], (number,))
    return types, constants, attributes


def compiled(launch: Launch, form: dict[str, int], architecture: int) -> Compiled:
    """Compile a recorded launch in one of its kernel's forms.

    Args:
        launch: as ``tiles.recorded`` collects it.
        form: one of ``launch.kernel.forms``.
        architecture: such as 90.

    Raises:
        RuntimeError: the assembler refuses what Triton made.
    """
    types, constants, attributes = _signature(launch, form)
    source = ASTSource(
        fn=launch.kernel.function, signature=types, constexprs=constants, attrs=attributes
    )
    made = triton.compile(
        source,
        target=GPUTarget("cuda", architecture, 32),
        options={
            "num_warps": form["num_warps"],
            "num_stages": STAGES,
            "maxnreg": MOST_REGISTERS,
        },
    )
    ptx = made.asm["ptx"]
    said = _assembled(ptx, architecture)
    wide = len(re.findall(r"ld\.global\S*\.(?:v4\.b32|v2\.b64)", ptx))
    return Compiled(
        launch.kernel.name,
        form,
        architecture,
        registers=_number(r"Used (\d+) registers", said),
        spills=_number(r"(\d+) bytes spill stores", said),
        shared=made.metadata.shared,
        wide=wide,
        narrow=len(re.findall(r"ld\.global", ptx)) - wide,
        products=len(re.findall(r"mma\.sync|wgmma\.mma_async", ptx)),
        barriers=len(re.findall(r"bar\.sync|barrier\.sync", ptx)),
    )


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    if not found:
        raise RuntimeError(f"the assembler said nothing of {pattern!r}: {text[:200]}")
    return int(found.group(1))


def _assembled(ptx: str, architecture: int) -> str:
    """What Triton's own assembler says of a kernel."""
    folder = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "kernel.ptx"
        path.write_text(ptx)
        suffix = "a" if architecture >= 90 else ""
        command = [str(folder / "ptxas"), "-v", f"-arch=sm_{architecture}{suffix}", str(path)]
        done = subprocess.run(
            [*command, "-o", str(path.with_suffix(".cubin"))],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"ptxas: {done.stderr[-2000:]}")
    return done.stderr
