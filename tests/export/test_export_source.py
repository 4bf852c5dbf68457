"""model.py computes what the trained network computes, stands alone, and reads well."""

from __future__ import annotations

import ast
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from export_cases import (
    IMAGES,
    NASTY,
    REGRESSION,
    TABLE,
    image_rows,
    small_net,
    statistics_of,
    table_rows,
    trained,
)

from nasturtium import registry
from nasturtium.export import model_source, trained_model
from nasturtium.export.net_source import net_source
from nasturtium.networks import Net, NetBuilder, baselines, cost, for_space, lower_nb101, module

SPACES = {
    "nb201": ((3, 16, 16), 6),
    "image_cell": ((3, 17, 13), 16),
    "residual_mlp": ((9,), 25),
}
Run = Callable[[str], ModuleType]


def sampled(space_name: str) -> list[Net]:
    space = registry.create(space_name, "space")
    shape, count = SPACES[space_name]
    lower = for_space(space.name)
    return [lower(space.architecture(code), shape, 4) for code in space.sample(count, seed=11)]


def as_module(run_source: Run, net: Net) -> tuple[torch.nn.Module, str]:
    """The class `Net` of the source, with the weights of `trained`."""
    written = net_source(net)
    head = "import torch\nimport torch.nn.functional as F\nfrom torch import Tensor, nn\n\n\n"
    text = head + "\n".join(written.lines) + "\n"
    built = run_source(text).Net()
    state = {written.state_name(name): value for name, value in trained(net).items()}
    built.load_state_dict(state)
    return built.eval(), text


def assert_equal(run_source: Run, net: Net) -> str:
    source, text = as_module(run_source, net)
    reference = module(net)
    reference.load_state_dict(trained(net))
    x = torch.randn(3, *net.input_shape, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        difference = (source(x) - reference.eval()(x)).abs().max()
    assert float(difference) == 0.0
    assert sum(p.numel() for p in source.parameters()) == cost(net).params
    assert max(map(len, text.splitlines())) <= 88
    return text


@pytest.mark.parametrize("space_name", SPACES)
def test_every_space_equals_its_module(run_source: Run, space_name: str) -> None:
    for net in sampled(space_name):
        assert_equal(run_source, net)


def test_narrow_nb101_cells_equal_their_modules(run_source: Run) -> None:
    space = registry.create("nb101", "space")
    for code in space.sample(12, seed=11):
        arch = space.architecture(code)
        assert_equal(run_source, lower_nb101.lower(arch, (3, 16, 16), 4, channels=11, cells=1))


def test_baselines_equal_their_modules(run_source: Run) -> None:
    text = assert_equal(run_source, baselines.residual_net((3, 32, 32), 10))
    assert "class Block(nn.Module)" in text
    assert_equal(run_source, baselines.residual_net((1, 8, 8), 10, params=9000))
    assert_equal(run_source, baselines.plain_mlp((12,), 3))


def every_operation() -> Net:
    build = NetBuilder("ops", (4, 9, 9))
    build.add("stem", "conv2d", out=6, kernel=3, stride=2, bias=True)
    for name in ("relu", "gelu", "silu", "hardswish", "tanh", "sigmoid", "sin", "cos"):
        build.add(f"{name}_op", name)
    left = build.add("identity_op", "identity")
    right = build.add("pool_op", "max_pool2d", left, kernel=3)
    third = build.add("mean_op", "avg_pool2d", left, kernel=3)
    zero = build.add("zero_op", "zero", left)
    total = build.add("sum_op", "add", (left, right, third, zero))
    product = build.add("product_op", "multiply", (total, left))
    # A product of sums: the source needs the parentheses that the layers do without.
    nested = build.add("nested_sum", "add", (product, left))
    nested = build.add("nested_product", "multiply", (nested, right))
    scaled = build.add("times_op", "times", nested, factor=0.25)
    joined = build.add("joined", "concat", (scaled, left))
    gate = build.add("gate", "global_max_pool", joined)
    kept = build.add("scaled", "scale_channels", (joined, gate))
    build.add("flat", "flatten", kept)
    build.add("drop", "dropout", p=0.3)
    build.add("wide", "linear", out=8, bias=False)
    build.add("layer", "layer_norm")
    build.add("each", "feature_linear", size=3)
    build.add("norm", "batch_norm1d")
    build.add("out", "linear", out=2)
    return build.build()


def test_every_operation_equals_its_module(run_source: Run) -> None:
    assert_equal(run_source, every_operation())


def test_a_value_read_from_outside_keeps_its_group_apart(run_source: Run) -> None:
    build = NetBuilder("leak", (4,))
    h = "x"
    for i in (1, 2):
        h = build.add(f"block{i}_a", "linear", h, out=4)
        inner = build.add(f"block{i}_b", "relu")
        h = build.add(f"block{i}_c", "linear", out=4)
        h = build.add(f"outer{i}", "add", (h, inner))
    assert_equal(run_source, build.build())


def test_groups_that_differ_in_wiring_get_classes_of_their_own(run_source: Run) -> None:
    build = NetBuilder("wiring", (4,))
    h = "x"
    for i, swapped in enumerate((False, True, False, True), start=1):
        a = build.add(f"block{i}_a", "linear", h, out=4)
        b = build.add(f"block{i}_b", "linear", h if swapped else a, out=4 + i)
        build.add(f"block{i}_c", "linear", b, out=4)
        h = build.add(f"block{i}_d", "add", (f"block{i}_c", a))
    text = assert_equal(run_source, build.build())
    assert text.count("class Block") == 2


@pytest.mark.parametrize("schema", [IMAGES, TABLE, REGRESSION], ids=["image", "table", "number"])
def test_the_whole_file_equals_the_trained_model(run_source: Run, schema: object) -> None:
    x = {
        id(IMAGES): image_rows(40),
        id(TABLE): table_rows(90),
        id(REGRESSION): table_rows(40)[:, :1],
    }[id(schema)]
    assert schema in (IMAGES, TABLE, REGRESSION)
    statistics = statistics_of(schema, x)  # type: ignore[arg-type]
    if schema is IMAGES:
        net = baselines.residual_net((1, 8, 8), 3, params=2000)
    else:
        outputs = 3 if schema is TABLE else 1
        net = small_net(statistics.out_features, outputs)
    reference = trained_model(net, statistics, trained(net))
    source = model_source(net, statistics, schema, architecture=NASTY)  # type: ignore[arg-type]
    file = run_source(source.text)
    model = file.Model().eval()
    model.load_state_dict(source.state(reference.state_dict()))
    with torch.inference_mode():
        expected, found = reference(torch.from_numpy(x)), model(torch.from_numpy(x))
    assert torch.isfinite(expected).all()
    assert torch.equal(expected, found)
    if schema is TABLE:
        assert list(TABLE.classes) == file.CLASSES
        assert [column.name for column in TABLE.columns] == file.COLUMNS
    if schema is REGRESSION:
        # The network's output is near 0, so that the answer is near the target's mean.
        assert abs(float(found.mean()) / statistics.target_mean - 1) < 0.2


def test_tables_of_one_sort_of_columns(run_source: Run) -> None:
    rows = table_rows(60)
    for places in ([0], [0, 2], [1], [1, 4], [2]):
        schema = type(TABLE)(
            "table", "classification", "y", tuple(TABLE.columns[p] for p in places), ("a", "b")
        )
        x = np.ascontiguousarray(rows[:, places])
        for complete in (x, np.nan_to_num(x)):
            statistics = statistics_of(schema, complete)
            net = small_net(statistics.out_features, 2)
            reference = trained_model(net, statistics, trained(net))
            source = model_source(net, statistics, schema)
            model = run_source(source.text).Model().eval()
            model.load_state_dict(source.state(reference.state_dict()))
            with torch.inference_mode():
                expected = reference(torch.from_numpy(x))
                assert torch.equal(expected, model(torch.from_numpy(x)))


def test_it_imports_torch_and_nothing_else() -> None:
    net = every_operation()
    schema = type(IMAGES)("image", "classification", "y", (), ("a", "b"), IMAGES.image)
    text = model_source(net, statistics_of(schema, image_rows(9)), schema).text
    imported = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module)
    assert imported == {
        "__future__",
        "pathlib",
        "torch",
        "torch.nn.functional",
        "safetensors.torch",
    }


@pytest.mark.skipif(shutil.which("ruff") is None, reason="ruff is not installed")
def test_ruff_leaves_the_file_alone(tmp_path: Path) -> None:
    x, rows = image_rows(9), table_rows(60)
    statistics = statistics_of(TABLE, rows)
    texts = [
        model_source(net, statistics_of(IMAGES, x), IMAGES, architecture=NASTY).text
        for net in [*sampled("image_cell")[:8], *sampled("nb201")[:3], every_operation()]
    ]
    table_net = small_net(statistics.out_features, 3)
    texts.append(model_source(table_net, statistics, TABLE).text)
    number = statistics_of(REGRESSION, rows[:, :1])
    texts.append(model_source(small_net(number.out_features, 1), number, REGRESSION).text)
    for i, text in enumerate(texts):
        (tmp_path / f"model{i}.py").write_text(text, encoding="utf-8")
    for command in (["format", "--check", "--diff"], ["check", "--select", "E4,E7,E9,F,I,B,UP"]):
        done = subprocess.run(
            ["ruff", *command, "--isolated", "--no-cache", str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
