"""NAS-Bench-201 networks against the benchmark's published sizes."""

import csv
import gzip
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from nasturtium.networks import cost, module
from nasturtium.networks.lower_nb201 import lower

OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ("1_0", "2_0", "2_1", "3_0", "3_1", "3_2")
DATA = Path(os.environ.get("NASTURTIUM_DATA", Path(__file__).parents[2] / "../shared/data"))


def arch(digits: str) -> SimpleNamespace:
    values = {f"edge_{edge}": OPS[int(d)] for edge, d in zip(EDGES, digits, strict=True)}
    return SimpleNamespace(values=values)


# Parameters and multiply-accumulates (in the benchmark: "flops") for CIFAR-100, in millions.
@pytest.mark.parametrize(
    ("digits", "params", "flops"),
    [
        ("333333", 1.537, 220.13),
        ("334131", 0.808, 113.96),
        ("421211", 0.135, 15.65),
        ("231134", 0.593, 82.5),
        ("000000", 0.079, 7.79),
    ],
)
def test_published_sizes(digits, params, flops):
    found = cost(lower(arch(digits), (3, 32, 32), 100))
    assert round(found.params / 1e6, 3) == params
    assert round(found.macs / 1e6, 2) == flops


def test_sizes_of_the_whole_table():
    table = DATA / "nb201" / "nb201.csv.gz"
    if not table.is_file():
        pytest.skip(f"{table} is not there; set NASTURTIUM_DATA")
    with gzip.open(table, "rt") as file:
        rows = list(csv.DictReader(file))[::53]
    equal = 0
    for row in rows:
        found = cost(lower(arch(row["ops"]), (3, 32, 32), 100))
        same_params = abs(found.params / 1e6 - float(row["params_m_c100"])) <= 0.00051
        same_macs = abs(found.macs / 1e6 - float(row["flops_m_c100"])) <= 0.0051
        assert same_params == same_macs
        equal += same_params
        # The rest: the table counts convolutions that no path reaches, and gives cells that it
        # calls isomorphic the numbers of one of them. Each is off by whole convolutions.
        off = abs(found.params - round(float(row["params_m_c100"]) * 1e6))
        assert min(abs(off - k * 243_040 - j * 28_000) for k in range(4) for j in range(5)) <= 1100
    assert equal >= 0.6 * len(rows)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 13), (2, 1, 1), (3, 33, 32)])
def test_other_shapes_and_scales_run(shape):
    net = lower(arch("312431"), shape, 7, channels=4, cells=1)
    built = module(net).eval()
    assert built(torch.zeros(2, *shape)).shape == (2, 7)
    assert cost(net).params == sum(p.numel() for p in built.parameters())


def test_a_cell_equals_its_formula():
    net = lower(arch("140103"), (3, 8, 8), 2, channels=4, cells=1)
    # Edges 1_0 skip, 2_0 pool, 2_1 none, 3_0 skip, 3_1 none, 3_2 conv 3x3: x + conv(pool(x)).
    cells = [layer for layer in net.layers if "cell1" in layer.name and "stage1" in layer.name]
    assert [layer.op for layer in cells] == ["avg_pool2d", "relu", "conv2d", "batch_norm2d", "add"]
