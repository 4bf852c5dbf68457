"""The stand-alone `predict.py`, run where nothing of the library can be imported."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nasturtium.data import PREDICT_TEMPLATE, Dataset, Schema, Statistics, load, preprocess_json

MODEL = """
import torch
from safetensors.torch import load_file


class Model(torch.nn.Module):
    def __init__(self, features, outputs):
        super().__init__()
        self.layer = torch.nn.Linear(features, outputs)

    def forward(self, x):
        return self.layer(torch.nan_to_num(x, nan=-3.0).flatten(1))


def load(weights="weights.safetensors"):
    state = load_file(weights)
    model = Model(state["layer.weight"].shape[1], state["layer.weight"].shape[0])
    model.load_state_dict(state)
    return model
"""

GUARD = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    assert not [name for name in sys.modules if name.startswith("nasturtium")]
"""


def run(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-W", "error", "-c", GUARD, folder / "predict.py", *arguments]
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=120, cwd=folder
    )


def fill(folder: Path, dataset: Dataset) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Write a run's folder around a random linear model; returns its weight and bias."""
    from safetensors.numpy import save_file

    folder.mkdir(exist_ok=True)
    schema = dataset.schema
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((schema.outputs, int(np.prod(schema.input_shape))))
    weight, bias = weight.astype(np.float32) / 8, rng.standard_normal(schema.outputs)
    bias = bias.astype(np.float32)
    (folder / "predict.py").write_bytes(PREDICT_TEMPLATE.read_bytes())
    statistics = Statistics.fit(dataset.x, dataset.y, schema)
    (folder / "preprocess.json").write_text(preprocess_json(schema, statistics), encoding="utf-8")
    (folder / "model.py").write_text(MODEL)
    write_onnx(folder / "model.onnx", weight, bias, schema.input_shape)
    save_file({"layer.weight": weight, "layer.bias": bias}, folder / "weights.safetensors")
    return weight, bias


def write_onnx(path: Path, weight: Any, bias: Any, shape: tuple[int, ...]) -> None:
    """The same model as `MODEL` for onnxruntime, put together node by node."""
    helper = pytest.importorskip("onnx.helper", reason="onnx is not installed")
    numpy_helper = pytest.importorskip("onnx.numpy_helper", reason="onnx is not installed")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    node, floats = helper.make_node, 1
    graph = helper.make_graph(
        [
            node("IsNaN", ["raw"], ["gap"]),
            node("Where", ["gap", "fill", "raw"], ["whole"]),
            node("Flatten", ["whole"], ["flat"]),
            node("Gemm", ["flat", "w", "b"], ["out"], transB=1),
        ],
        "linear",
        [helper.make_tensor_value_info("raw", floats, ["n", *shape])],
        [helper.make_tensor_value_info("out", floats, ["n", len(bias)])],
        [
            numpy_helper.from_array(weight, "w"),
            numpy_helper.from_array(bias, "b"),
            numpy_helper.from_array(np.array([-3.0], dtype=np.float32), "fill"),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    path.write_bytes(made.SerializeToString())


def assert_lines(
    text: str, x: np.ndarray[Any, Any], weight: Any, bias: Any, schema: Schema
) -> None:
    """Each line holds what the linear model gives for the row of raw `x`."""
    out = np.nan_to_num(x.astype(np.float64), nan=-3.0).reshape(len(x), -1) @ weight.T + bias
    lines = text.splitlines()
    assert len(lines) == len(x)
    if schema.task == "regression":
        np.testing.assert_allclose([float(line) for line in lines], out[:, 0], rtol=1e-4, atol=1e-5)
        return
    raised = np.exp(out - out.max(axis=1, keepdims=True))
    pairs = [line.rsplit(" ", 1) for line in lines]
    assert [name for name, _ in pairs] == [schema.classes[k] for k in out.argmax(axis=1)]
    chances = [float(chance) for _, chance in pairs]
    np.testing.assert_allclose(
        chances, (raised / raised.sum(axis=1, keepdims=True)).max(axis=1), atol=1e-4
    )


def mixed(path: Path, target: str) -> Path:
    lines = ['größe;"a ""quoted"" name";fits;' + target]
    for i in range(40):
        size = "" if i % 5 == 2 else f"{i},25"
        kind = ["one", '"two;\nlines"', "NA", "drei"][i % 4]
        value = f"{i},5" if target == "price" else ["ü", "a b"][i % 2]
        lines.append(f"{size};{kind};{['yes', 'no'][i % 2]};{value}")
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_template_imports_numpy_and_the_standard_library_only() -> None:
    tree = ast.parse(PREDICT_TEMPLATE.read_text(encoding="utf-8"))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    assert names - set(sys.stdlib_module_names) == {"numpy"}


@pytest.mark.parametrize(("target", "runtime"), [("price", "onnx"), ("name", "torch")])
def test_csv_rows(tmp_path: Path, target: str, runtime: str) -> None:
    dataset = load(mixed(tmp_path / "t.csv", target))
    weight, bias = fill(tmp_path / "run", dataset)
    (tmp_path / "new.csv").write_text(
        'fits,ignored,größe,"a ""quoted"" name"\n'
        'no,x,"7,25","two;\nlines"\nYES,y,?,unseen\n,,1,one\n',
        encoding="utf-8",
    )
    done = run(tmp_path / "run", "--with", runtime, tmp_path / "new.csv")
    assert done.returncode == 0, done.stderr
    x = np.array([[7.25, 2, 0], [np.nan, -1, 1], [1, 1, np.nan]], np.float32)
    assert_lines(done.stdout, x, weight, bias, dataset.schema)
    rows: list[dict[str, object]] = [
        {"größe": "7,25", 'a "quoted" name': "two;\nlines", "fits": "no"},
        {"größe": None, 'a "quoted" name': "unseen", "fits": "YES"},
        {"größe": 1, 'a "quoted" name': "one", "fits": ""},
    ]
    np.testing.assert_array_equal(dataset.schema.encode_rows(rows), x)


def test_every_row_of_the_training_file(tmp_path: Path) -> None:
    dataset = load(mixed(tmp_path / "t.csv", "name"))
    weight, bias = fill(tmp_path / "run", dataset)
    (tmp_path / "run" / "model.py").unlink()
    done = run(tmp_path / "run", tmp_path / "t.csv")
    assert_lines(done.stdout, dataset.x, weight, bias, dataset.schema)


def test_images_and_arrays(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(24):
        size = (6, 9, 3) if i else (13, 20, 3)
        (tmp_path / "data" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, size, dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "data" / "ab"[i % 2] / f"{i:02d}.png")
    dataset = load(tmp_path / "data")
    weight, bias = fill(tmp_path / "run", dataset)
    files = sorted((tmp_path / "data").glob("*/*.png"), key=lambda f: (f.parent.name, f.name))
    done = run(tmp_path / "run", *files)
    assert_lines(done.stdout, dataset.x, weight, bias, dataset.schema)
    np.savez(tmp_path / "x.npz", x=dataset.x.transpose(0, 2, 3, 1))
    assert run(tmp_path / "run", tmp_path / "x.npz").stdout == done.stdout


def test_more_rows_than_a_batch(tmp_path: Path) -> None:
    dataset = load("digits")
    weight, bias = fill(tmp_path, dataset)
    np.savez(tmp_path / "x.npz", x=dataset.x[:600, 0])
    done = run(tmp_path, tmp_path / "x.npz")
    assert_lines(done.stdout, dataset.x[:600], weight, bias, dataset.schema)


def test_errors_take_one_line(tmp_path: Path) -> None:
    dataset = load(mixed(tmp_path / "t.csv", "name"))
    fill(tmp_path / "run", dataset)
    (tmp_path / "bad.csv").write_text("a;b\n1;2\n")
    (tmp_path / "ragged.csv").write_text("a;b\n1;2\n3\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "bad.npz").write_bytes(b"PK nothing")
    np.savez(tmp_path / "other.npz", y=np.zeros(3))
    np.savez(tmp_path / "shape.npz", x=np.zeros((3, 9)))
    for name, words in [
        ("bad.csv", "lacks the column 'größe'"),
        ("ragged.csv", "line 3"),
        ("empty.csv", "is empty"),
        ("absent.csv", "is no file"),
        ("bad.npz", "bad.npz"),
        ("other.npz", "lacks the array 'x'"),
        ("shape.npz", "rows of 3 numbers"),
    ]:
        done = run(tmp_path / "run", tmp_path / name)
        assert done.returncode == 2 and done.stdout == ""
        assert words in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr


def test_hostile_class_names_stay_on_their_line(tmp_path: Path) -> None:
    dataset = load(mixed(tmp_path / "t.csv", "name"))
    fill(tmp_path, dataset)
    value = json.loads((tmp_path / "preprocess.json").read_text(encoding="utf-8"))
    value["schema"]["classes"] = ["\x1b[31m\nred", "<b>"]
    (tmp_path / "preprocess.json").write_text(json.dumps(value))
    done = run(tmp_path, tmp_path / "t.csv")
    assert len(done.stdout.splitlines()) == 40 and "\x1b" not in done.stdout
