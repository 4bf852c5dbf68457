"""What Triton and the assembler make of the kernels for GPUs that need not be here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="triton is not installed")

MOST_REGISTERS = 128
MOST_SHARED = 48 * 1024
# Kernels that multiply matrices must do so with the instructions for it, and no others may.
PRODUCTS = {"bank_forward", "bank_spread", "bank_pointwise_weights"}
# Kernels that must read images in 16 bytes at a time.
READERS = {
    "moments", "mix_forward", "mix_reduce", "mix_backward", "pool_gradients", "bank_forward",
    "bank_spread", "bank_pointwise_weights", "bank_depthwise_weights", "bank_input",
    "bank_convolve",
}  # fmt: skip
# Most barriers in a kernel's code. Those of sums stand behind all loops: about five for each sum,
# of which there is one for each tap of a row, or term.
BARRIERS = {
    "moments": 60, "_settle_moments": 12, "mix_forward": 0, "mix_reduce": 40, "settle_slopes": 14,
    "mix_backward": 0, "pool_gradients": 16, "bank_forward": 110, "bank_spread": 40,
    "bank_pointwise_weights": 30, "bank_depthwise_weights": 80, "bank_input": 32,
    "add_shares": 60, "bank_convolve": 0, "move_channels": 10,
}  # fmt: skip


def compiled(*arguments: str) -> list[dict[str, object]]:
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("compile_ahead.py")), *arguments],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    "arguments",
    [("90", "16", "1", "--all-forms"), ("80", "64", "2")],
    ids="-".join,
)
def test_kernels_stay_within_their_limits(arguments):
    found = compiled(*arguments)
    assert {kernel["name"] for kernel in found} == set(BARRIERS)
    broken = [
        kernel
        for kernel in found
        if kernel["spills"]
        or kernel["registers"] > MOST_REGISTERS
        or kernel["shared"] > MOST_SHARED
        or (kernel["name"] in READERS and not kernel["wide"])
        or (kernel["products"] > 0) != (kernel["name"] in PRODUCTS)
        or kernel["barriers"] > BARRIERS[kernel["name"]]
    ]
    assert not broken, "\n".join(map(str, broken))
