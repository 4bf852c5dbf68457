"""Latency: the statistic, what is measured and how, and the model that predicts it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from export_cases import small_net
from hypothesis import given
from hypothesis import strategies as st

from nasturtium import registry
from nasturtium.errors import NasturtiumError, UserError
from nasturtium.evaluators.latency import Latency, measure, measure_nets, summarize
from nasturtium.evaluators.latency_model import LatencyModel, layer_features
from nasturtium.networks import Net, NetBuilder, baselines, cost, for_space

SLEEPING = """
import time
import torch

class Model(torch.nn.Module):
    def forward(self, x):
        assert x.shape == (1, 2) and x.dtype == torch.float32 and float(x[0, 1]) == 7.0
        assert torch.get_num_threads() == 1 and torch.is_inference_mode_enabled()
        time.sleep(0.004)
        return x

def load(weights):
    return Model()
"""


def nets(count: int) -> list[Net]:
    space = registry.create("image_cell", "space")
    lower = for_space(space.name)
    return [lower(space.architecture(c), (1, 8, 8), 10) for c in space.sample(count, seed=4)]


def test_summary_of_a_machine_that_was_busy_for_a_while() -> None:
    quiet, busy = [1_000_000] * 10, [5_000_000] * 10
    found = summarize([quiet, busy, quiet, busy, quiet])
    assert found == Latency(1.0, 1.0, 5.0, 50)
    assert found.to_json() == {"median": 1.0, "p10": 1.0, "p90": 5.0, "runs": 50}


@given(st.lists(st.lists(st.integers(1, 10**9), min_size=3, max_size=3), min_size=1, max_size=20))
def test_summary_is_ordered_and_within_the_samples(blocks: list[list[int]]) -> None:
    found = summarize(blocks)
    samples = [value / 1e6 for block in blocks for value in block]
    assert min(samples) <= found.p10_ms <= found.median_ms <= found.p90_ms <= max(samples)
    assert found.median_ms <= np.median(samples) + 1e-12
    assert found.runs == len(samples)


def test_a_model_is_timed_alone_on_one_thread_without_gradients(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(SLEEPING)
    example = np.array([[1.0, 7.0]], dtype=np.float64)
    found = measure(tmp_path / "model.py", example, runs=40, warmup=2)
    assert 4.0 <= found.p10_ms <= found.median_ms < 40.0
    assert found.runs == 40
    with pytest.raises(NasturtiumError, match="cannot be measured: AssertionError"):
        measure(tmp_path / "model.py", np.zeros((1, 2), dtype=np.float32))


def test_onnx_runtime_is_timed(tmp_path: Path) -> None:
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 3])
    result = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", 3])
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [value], [result]
    )
    opset = [onnx.helper.make_opsetid("", 18)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "m.onnx")
    found = measure(tmp_path / "m.onnx", np.zeros(3, dtype=np.float32), runs=60)
    assert 0.0005 < found.p10_ms < 5.0
    assert found.runs == 60
    many = 20_000
    assert measure(tmp_path / "m.onnx", np.zeros((1, 3)), runs=many, limit=0.0).runs < many
    with pytest.raises(UserError, match="no such file"):
        measure(tmp_path / "other.onnx", np.zeros(3, dtype=np.float32))
    with pytest.raises(UserError, match="without an example"):
        measure(tmp_path / "m.onnx")


def test_a_larger_network_takes_longer() -> None:
    large = baselines.residual_net((3, 32, 32), 10)
    found = measure_nets([small_net(4, 3), large], runs=40, warmup=3)
    assert found[1].p10_ms > 4 * found[0].p10_ms
    assert measure_nets([]) == []


def test_features_count_layers_and_multiply_accumulates() -> None:
    net = baselines.residual_net((3, 32, 32), 10)
    features = layer_features(net)
    calls = sum(v for name, v in features.items() if name.startswith("calls:"))
    macs = sum(v for name, v in features.items() if name.startswith("macs:"))
    assert calls == len(net.layers) + 1
    assert macs == cost(net).macs
    assert features["calls:norm"] == sum(layer.op == "batch_norm2d" for layer in net.layers)
    convolutions = [layer for layer in net.layers if layer.op == "conv2d"]
    narrow = sum(layer.args["kernel"] == 1 for layer in convolutions)
    assert features["calls:conv1"] == narrow
    assert features["calls:conv3"] == len(convolutions) - narrow


def test_the_fit_finds_the_rule_that_made_the_latencies() -> None:
    sample = nets(40)

    def rule(net: Net) -> float:
        norms = sum(layer.op == "batch_norm2d" for layer in net.layers)
        return 0.05 + 0.02 * len(net.layers) + 0.01 * norms + 3e-7 * cost(net).macs

    model = LatencyModel.fit(sample[:30], [rule(net) for net in sample[:30]])
    assert model.networks == 30
    assert model.error < 0.1
    assert min(model.coefficients.values()) >= 0
    for net in sample[30:]:
        assert model.predict(net) == pytest.approx(rule(net), rel=0.12)
        assert model.upper(net) == pytest.approx(model.predict(net) * (1 + model.error))
    assert LatencyModel.from_json(model.to_json()) == model


def test_kinds_that_were_never_measured_are_dear_not_free() -> None:
    sample = nets(12)
    model = LatencyModel.fit(sample, [0.1 * len(net.layers) for net in sample])
    build = NetBuilder("new", (1, 8, 8))
    for i in range(5):
        build.add(f"conv{i}", "conv2d", out=2, kernel=5)
    assert model.predict(build.build()) > 0.1
    with pytest.raises(UserError, match="at least 8 networks, not 7"):
        LatencyModel.fit(sample[:7], [1.0] * 7)


def test_the_model_orders_networks_as_the_clock_does() -> None:
    sample = nets(26)
    model = LatencyModel.measure(sample[:16], limit=1.5)
    predicted = np.array([model.predict(net) for net in sample[16:]])
    measured = np.array([m.p10_ms for m in measure_nets(sample[16:], runs=40, limit=1.5)])
    ranks = [np.argsort(np.argsort(values)) for values in (predicted, measured)]
    assert np.corrcoef(*ranks)[0, 1] > 0.7
    assert np.median(np.abs(predicted / measured - 1)) < 0.5
