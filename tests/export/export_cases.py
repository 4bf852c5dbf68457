"""Schemas, data and networks that the export is tried on."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from nasturtium.data import Column, ImageFormat, Schema, Statistics
from nasturtium.networks import Net, NetBuilder, module

IMAGES = Schema(
    "image", "classification", "digit", (), ("zero", "one", "two"), ImageFormat(1, 8, 8, 0, 16)
)
NASTY = 'a "quoted"\n\\name\u202e é 😀 \'\'\' """'
TABLE = Schema(
    "table",
    "classification",
    NASTY,
    (
        Column("age", "number"),
        Column(NASTY, "category", ("red", "green", NASTY)),
        Column("member", "boolean"),
        Column("income", "number"),
        Column("rare", "category", tuple("abcdef")),
    ),
    ("no", NASTY, "per%s{cent}"),
)
REGRESSION = Schema("table", "regression", "price", (Column("area", "number"),))


def table_rows(rows: int) -> NDArray[np.float32]:
    """Rows of `TABLE` with gaps, a heavy tail, and categories that are unknown (-1)."""
    draw = np.random.default_rng(7)
    x = np.empty((rows, 5), dtype=np.float32)
    x[:, 0] = draw.normal(40, 12, rows)
    x[:, 1] = draw.integers(0, 3, rows)
    x[:, 2] = draw.integers(0, 2, rows)
    x[:, 3] = np.exp(draw.normal(9, 2.5, rows))
    x[:, 4] = np.minimum(draw.geometric(0.5, rows) - 1, 5)
    x[draw.random((rows, 5)) < 0.15] = np.nan
    x[: rows // 10, 1] = -1
    return x


def image_rows(rows: int) -> NDArray[np.float32]:
    return np.random.default_rng(3).integers(0, 17, (rows, 1, 8, 8)).astype(np.float32)


def statistics_of(schema: Schema, x: NDArray[np.float32]) -> Statistics:
    if schema.task == "regression":
        y = (np.nan_to_num(x[:, 0]) * 1000 + 250_000).astype(np.float32)
        return Statistics.fit(x, y, schema)
    return Statistics.fit(x, np.arange(len(x)) % schema.outputs, schema)


def small_net(features: int, outputs: int) -> Net:
    build = NetBuilder("small", (features,))
    build.add("hidden", "linear", out=7)
    build.add("norm", "batch_norm1d")
    build.add("act", "relu")
    build.add("head", "linear", out=outputs)
    return build.build()


def trained(net: Net) -> dict[str, torch.Tensor]:
    """The state of the net after a step that moves the running statistics off their start."""
    built = module(net, seed=5)
    generator = torch.Generator().manual_seed(1)
    built.train()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(8)  # dropout draws from the global generator
        built(torch.randn(32, *net.input_shape, generator=generator))
        for parameter in built.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return built.state_dict()
