"""NAS-Bench-101 networks against the table's parameters, and against a plain reading in torch."""

import csv
import gzip
import itertools
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nasturtium.networks import cost, module
from nasturtium.networks.lower_nb101 import lower, vertex_channels
from nasturtium.spaces import nb101, nb101_space
from nasturtium.spaces.nb101_space import codes_of

DATA = Path(os.environ.get("NASTURTIUM_DATA", Path(__file__).parents[2] / "../shared/data"))
C3, C1, POOL = nb101.OPERATIONS
SPACE = nb101_space()


def arch_of(matrix, operations):
    cell = np.array([nb101.pack(matrix, operations)], np.uint64)
    return SPACE.architecture(codes_of(cell)[0])


def table_rows():
    path = DATA / "nb101" / "nb101_sample10000.csv.gz"
    if not path.is_file():
        pytest.skip(f"{path} is absent; set NASTURTIUM_DATA")
    with gzip.open(path, "rt") as file:
        return list(csv.DictReader(file))


def orders(matrix, names):
    """The cell under every order of its inner vertices in which edges go to later ones."""
    for inner in itertools.permutations(range(1, len(names) - 1)):
        order = [0, *inner, len(names) - 1]
        moved = matrix[np.ix_(order, order)]
        if not np.tril(moved).any():
            yield moved, [names[v] for v in order]


def params(matrix, names):
    return cost(lower(arch_of(matrix, names), (3, 32, 32), 10)).params


def test_parameters_of_the_table():
    """Of every 40th row, and of the smallest and the largest network among all rows.

    The first vertices that feed the output take what is left when channels are shared out, and the
    table trained each cell in one of its orders: for a few rows another one than it is given in.
    """
    rows = table_rows()
    by_size = sorted(rows, key=lambda row: int(row["params"]))
    chosen = [*rows[::40], by_size[0], by_size[-1]]
    equal = 0
    for row in chosen:
        v = int(row["n_vertices"])
        matrix = np.zeros((v, v), int)
        matrix[np.triu_indices(v, 1)] = [int(digit) for digit in row["adj_upper"]]
        names = ("input", *(nb101.OPERATIONS[int(op)] for op in row["ops"]), "output")
        expected = int(row["params"])
        if params(matrix, names) == expected:
            equal += 1
        else:
            assert expected in {params(*other) for other in orders(matrix, names)}, row["hash"]
    assert equal >= 0.9 * len(chosen)


def test_the_cell_of_two_vertices_by_hand():
    """Nine projections between a stem and a layer: 128, 256 and 512 channels."""
    net = lower(arch_of([[0, 1], [0, 0]], ("input", "output")), (3, 32, 32), 10)
    sizes = [(128, 128)] * 3 + [(128, 256)] + [(256, 256)] * 2 + [(256, 512)] + [(512, 512)] * 2
    weights = 27 * 128 + sum(a * b for a, b in sizes) + 512 * 10 + 10
    assert cost(net).params == weights + 2 * 128 + sum(2 * b for _, b in sizes)
    pixels = [1024] * 3 + [256] * 3 + [64] * 3
    convolved = sum(a * b * p for (a, b), p in zip(sizes, pixels, strict=True))
    assert cost(net).macs == 27 * 128 * 1024 + convolved + 5120


def test_channels_are_shared_out():
    # Three vertices feed 128 output channels: 43, 43, 42; vertex 1 feeds the first two of them.
    edges = frozenset([(0, 1), (1, 2), (1, 3), (0, 4), (2, 5), (3, 5), (4, 5)])
    assert vertex_channels(edges, 6, 128, 128) == [128, 43, 43, 43, 42, 128]
    assert vertex_channels(frozenset([(0, 1)]), 2, 128, 256) == [128, 256]


def test_a_cell_computes_its_formula():
    """One cell of 4 channels in evaluation, against the same written out in torch."""
    matrix = np.zeros((6, 6), int)
    for edge in [(0, 1), (1, 2), (1, 3), (0, 3), (1, 5), (2, 5), (3, 4), (4, 5), (0, 5)]:
        matrix[edge] = 1
    arch = arch_of(matrix, ("input", C3, POOL, C1, C3, "output"))
    built = module(lower(arch, (2, 9, 9), 3, channels=7, cells=1), seed=1).eval()
    x = torch.randn(2, 2, 9, 9, generator=torch.Generator().manual_seed(0))

    def conv(value, name):
        layer, norm = getattr(built, f"{name}_conv"), getattr(built, f"{name}_norm")
        value = F.conv2d(value, layer.weight, padding=layer.weight.shape[-1] // 2)
        return F.relu(F.batch_norm(value, norm.running_mean, norm.running_var, eps=norm.eps))

    def cell(h, name):
        one = conv(conv(h, f"{name}_0to1"), f"{name}_op1")
        width = {v: getattr(built, f"{name}_op{v}_conv").weight.shape[0] for v in (3, 4)}
        two = F.max_pool2d(one, 3, 1, 1)
        if f"{name}_1to2" in names:
            two = F.max_pool2d(one[:, : shapes[f"{name}_1to2"][0]], 3, 1, 1)
        three = conv(one[:, : width[3]] + conv(h, f"{name}_0to3"), f"{name}_op3")
        four = conv(three[:, : width[4]], f"{name}_op4")
        return torch.cat([one, two, four], 1) + conv(h, f"{name}_0to5")

    shapes = built.net.shapes()
    names = set(shapes)
    h = cell(conv(x, "stem"), "stage1_cell1")
    h = cell(F.max_pool2d(h, 2), "stage2_cell1")
    h = cell(F.max_pool2d(h, 2), "stage3_cell1")
    expected = built.head(h.mean((2, 3)))
    torch.testing.assert_close(built(x), expected)


def test_dead_parts_build_nothing_and_order_does_not_matter():
    dead = np.zeros((7, 7), int)
    for edge in [(0, 2), (2, 6), (0, 1), (1, 3), (4, 6), (3, 5)]:
        dead[edge] = 1
    small = np.zeros((3, 3), int)
    small[0, 1] = small[1, 2] = 1
    ops = ("input", C1, C3, POOL, C1, C1, "output")
    nets = [lower(arch_of(dead, ops), (3, 16, 16), 5),
            lower(arch_of(small, ("input", C3, "output")), (3, 16, 16), 5)]  # fmt: skip
    assert nets[0].layers == nets[1].layers


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 13), (2, 1, 1), (3, 33, 32)])
def test_other_shapes_and_scales_run(shape):
    for code in SPACE.sample(5, seed=4):
        net = lower(SPACE.architecture(code), shape, 7, channels=11, cells=1)
        built = module(net).eval()
        assert built(torch.zeros(2, *shape)).shape == (2, 7)
        assert cost(net).params == sum(p.numel() for p in built.parameters())
