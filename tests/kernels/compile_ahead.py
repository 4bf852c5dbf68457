"""Compiles the Triton kernels of all operators and prints what became of each, as JSON.

    python compile_ahead.py ARCHITECTURE CHANNELS STRIDE [--all-forms]

A process of its own, since the tests' processes interpret kernels.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import torch

from nasturtium.kernels import ahead, tiles
from nasturtium.kernels.cell import gpu as cell
from nasturtium.kernels.depthwise import gpu as depthwise
from nasturtium.kernels.mix import gpu as mix
from nasturtium.kernels.mixed_op import gpu as mixed
from nasturtium.kernels.mixed_op.spec import CANDIDATES, Edge
from nasturtium.kernels.parts import gpu as parts
from nasturtium.kernels.separable import gpu as separable


def launches(channels: int, stride: int) -> list[tiles.Launch]:
    """All launches of forward and backward of an edge with all candidates, and of the others."""
    edge = Edge(CANDIDATES, stride)
    shape = (64, channels, 512 // channels, 512 // channels)
    x = torch.empty(shape, memory_format=torch.channels_last)
    alpha, none = torch.empty(len(CANDIDATES)), torch.empty(0)
    weights = [torch.empty(s) for s in edge.shapes(channels)]
    settings = (edge.numbers, [stride], 1, True, 1e-5)
    with tiles.recorded() as found:
        one = ([x], [alpha], weights)
        out, kept, mean, variance = mixed.forward(*one, none, none, *settings, torch.float32)
        mixed.backward(out, *one, kept, mean, variance, *settings, [7])
        # The first edge of a node, and alphas of each image; what is kept is short.
        node = ([x, x], [torch.empty(len(x), len(CANDIDATES))] * 2, weights * 2)
        both = (edge.numbers, [stride] * 2, 1, True, 1e-5)
        out, kept, mean, variance = mixed.forward(*node, none, none, *both, torch.bfloat16)
        mixed.backward(out, *node, kept, mean, variance, *both, [7, 0])
        branches, flags = [x] * 6, [True] * 5 + [False]
        out, mean, variance = mix.forward(branches, alpha[:6], none, none, flags, True, 1e-5)
        mix.backward(out, branches, alpha[:6], mean, variance, flags, True, 1e-5, [True] * 7)
        pair = [torch.empty(channels, 1, 5, 5), torch.empty(channels, channels, 1, 1)]
        affine = torch.empty(2, channels)
        _, _, *outs = separable.forward(x, affine, pair, [2], stride)
        separable.backward(outs, x, affine, pair, [2], stride, 7)
        y = depthwise.forward(x, pair[0], stride, 2)
        depthwise.backward(y, x, pair[0], stride, 2, 3)
        parts.join(*parts.split(x, 4, True), True)
        searched_cell(torch.empty(2, channels, 8, 8))
    return found


def searched_cell(x: torch.Tensor) -> None:
    """Forward and backward of a cell of three nodes; its convolutions are computed."""
    x, c = x.contiguous(memory_format=torch.channels_last), x.shape[1]
    weights = [torch.empty(c, c, side, side) for side in (1, 1, 1, 3, 3, 3)]
    alpha, none = torch.empty(3, 5), torch.empty(0)
    out, *kept, mean, variance = cell.forward(x, alpha, weights, none, none, 3, True, 1e-5, True)
    cell.backward(out, x, alpha, weights, kept, mean, variance, 3, True, 1e-5, 7)


def main() -> None:
    """Compile each kernel once for each set of constants."""
    architecture, channels, stride = map(int, sys.argv[1:4])
    seen: set[str] = set()
    for launch in launches(channels, stride):
        constants = {k: v for k, v in launch.arguments.items() if k.isupper()}
        key = f"{launch.kernel.name} {sorted(constants.items())}"
        if key in seen:
            continue
        seen.add(key)
        for form in launch.kernel.forms[: None if "--all-forms" in sys.argv else 1]:
            sys.stdout.write(json.dumps(asdict(ahead.compiled(launch, form, architecture))) + "\n")


if __name__ == "__main__":
    main()
