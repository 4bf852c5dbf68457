"""The files of a run: written, converted, run without the library, refused when wrong."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
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

from nasturtium.errors import ExportError
from nasturtium.export import Converter, ExportSummary, check, trained_model, write
from nasturtium.export.weights import read_metadata, read_weights, write_weights
from nasturtium.networks import baselines

ROWS = table_rows(90)
STATISTICS = statistics_of(TABLE, ROWS)
NET = small_net(STATISTICS.out_features, 3)
STATE = trained(NET)


@pytest.fixture(scope="module")
def table_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, ExportSummary]]:
    folder = tmp_path_factory.mktemp("run")
    yield folder, write(folder, NET, STATISTICS, TABLE, STATE, ROWS, architecture="small:width=7")


def logits(x: np.ndarray) -> np.ndarray:
    """A second implementation in numpy, from the statistics and the state."""
    columns = []
    numbers = [place for place, column in enumerate(TABLE.columns) if column.kind != "category"]
    x = x.astype(np.float64)
    for place in numbers:
        s = STATISTICS.columns[place]
        u = (np.where(np.isnan(x[:, place]), s.fill, x[:, place]) - s.center) / s.scale
        u = np.arcsinh(u) if s.compress else u
        columns.append(np.clip((u - s.mean) / s.deviation, -10, 10))
    columns += [np.isnan(x[:, place]) for place in numbers if STATISTICS.columns[place].missing]
    for place, column in enumerate(TABLE.columns):
        if column.kind == "category":
            s = STATISTICS.columns[place]
            columns += [x[:, place] == code for code in s.kept]
            columns += [np.isin(x[:, place], s.pooled)] if s.pooled else []
            columns += [np.isnan(x[:, place])] if s.missing else []
    w = {name: value.numpy().astype(np.float64) for name, value in STATE.items()}
    h = np.stack(columns, axis=1) @ w["hidden.weight"].T + w["hidden.bias"]
    h = (h - w["norm.running_mean"]) / np.sqrt(w["norm.running_var"] + 1e-5)
    h = np.maximum(h * w["norm.weight"] + w["norm.bias"], 0)
    return h @ w["head.weight"].T + w["head.bias"]


def test_all_files_are_there_and_checked(table_run: tuple[Path, ExportSummary]) -> None:
    folder, summary = table_run
    names = {"model.py", "weights.safetensors", "preprocess.json", "predict.py", "model.onnx"}
    assert {path.name for path in folder.iterdir()} == names == set(summary.files)
    assert summary.checks.rows == len(ROWS)
    assert summary.checks.torch_export is None
    assert set(summary.to_json()) == {"source_max_abs_difference", "onnx_max_abs_difference"}
    assert all(0 <= value < 1e-5 for value in summary.to_json().values())


@pytest.mark.parametrize("batch", [1, 2, 5, 90])
def test_onnx_gives_the_formula_for_every_batch(
    table_run: tuple[Path, ExportSummary], batch: int
) -> None:
    session = onnxruntime.InferenceSession(
        str(table_run[0] / "model.onnx"), providers=["CPUExecutionProvider"]
    )
    assert [i.name for i in session.get_inputs()] == ["x"]
    assert [o.name for o in session.get_outputs()] == ["logits"]
    found = session.run(None, {"x": ROWS[:batch]})[0]
    np.testing.assert_allclose(found, logits(ROWS[:batch]), atol=2e-4)
    assert np.isnan(ROWS).any()


def test_onnx_carries_names_and_nothing_of_this_machine(
    table_run: tuple[Path, ExportSummary],
) -> None:
    path = table_run[0] / "model.onnx"
    model = onnx.load(path)
    onnx.checker.check_model(model)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(metadata["classes"]) == list(TABLE.classes)
    assert json.loads(metadata["columns"])[1] == NASTY
    assert metadata["task"] == "classification"
    assert metadata["architecture"] == "small:width=7"
    content = path.read_bytes()
    assert b"site-packages" not in content
    assert str(Path(__file__).parents[2]).encode() not in content
    assert b"nasturtium-" not in content  # the folder in which it was made


def test_weights_carry_metadata(table_run: tuple[Path, ExportSummary]) -> None:
    path = table_run[0] / "weights.safetensors"
    assert read_metadata(path)["architecture"] == "small:width=7"
    assert len(read_metadata(path)["schema"]) == 64
    assert torch.equal(read_weights(path)["net.hidden.weight"], STATE["hidden.weight"])


def test_predict_reads_raw_rows_without_the_library(
    table_run: tuple[Path, ExportSummary], tmp_path: Path
) -> None:
    cells = [["" if np.isnan(v) else f"{v:.9g}" for v in row] for row in ROWS[:6]]
    for row, values in zip(cells, ROWS[:6], strict=True):
        for place in (1, 4):
            code = values[place]
            names = TABLE.columns[place].categories
            row[place] = "" if np.isnan(code) else names[int(code)] if code >= 0 else "unheard of"
    with (tmp_path / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([[column.name for column in TABLE.columns], *cells])
    done = subprocess.run(
        [sys.executable, "-I", str(table_run[0] / "predict.py"), str(tmp_path / "rows.csv")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expected = logits(ROWS[:6])
    chances = np.exp(expected) / np.exp(expected).sum(axis=1, keepdims=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 6
    for line, row in zip(lines, chances, strict=True):
        assert float(line.rpartition(" ")[2]) == pytest.approx(row.max(), abs=2e-4)


def test_check_notices_other_weights_and_other_networks(
    table_run: tuple[Path, ExportSummary], tmp_path: Path
) -> None:
    for name in ("model.py", "weights.safetensors"):
        (tmp_path / name).write_bytes((table_run[0] / name).read_bytes())
    model = trained_model(NET, STATISTICS, STATE)
    assert check(model, tmp_path, ROWS, statistics=STATISTICS).source < 1e-5
    state = read_weights(tmp_path / "weights.safetensors")
    state["net.head.bias"] = state["net.head.bias"] + 0.001
    write_weights(tmp_path / "weights.safetensors", state)
    with pytest.raises(ExportError, match=r"source differs from the trained network by 0\.001"):
        check(model, tmp_path, ROWS, statistics=STATISTICS)
    with pytest.raises(ExportError, match="is missing"):
        check(model, tmp_path / "none", ROWS, statistics=STATISTICS)


def test_a_source_that_needs_the_library_or_fails_is_refused(tmp_path: Path) -> None:
    weights = write_weights(tmp_path / "weights.safetensors", {"a": torch.zeros(1)})
    for text, message in (
        ("from nasturtium.networks import module\n", "an exported model stands alone"),
        ("import os\nos._exit(3)\n", "ended with 3"),
    ):
        (tmp_path / "model.py").write_text(text)
        with Converter() as process, pytest.raises(ExportError, match=message):
            process.run(tmp_path / "model.py", weights, ROWS)


def test_nothing_is_written_when_a_form_differs(tmp_path: Path) -> None:
    # A network that answers NaN, which no tolerance accepts.
    broken = {name: value.clone() for name, value in STATE.items()}
    broken["head.bias"][0] = float("nan")
    with pytest.raises(ExportError, match="differs from the trained network by nan"):
        write(tmp_path, NET, STATISTICS, TABLE, broken, ROWS, formats=("source",))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ExportError, match="unknown format 'onyx'"):
        write(tmp_path, NET, STATISTICS, TABLE, STATE, ROWS, formats=("onyx",))
    with pytest.raises(ExportError, match=r"none: it is no folder"):
        write(tmp_path / "none", NET, STATISTICS, TABLE, STATE, ROWS, formats=("source",))


def test_images_in_all_formats(tmp_path: Path) -> None:
    x = image_rows(20)
    statistics = statistics_of(IMAGES, x)
    net = baselines.residual_net((1, 8, 8), 3, params=2000)
    state = trained(net)
    summary = write(
        tmp_path,
        net,
        statistics,
        IMAGES,
        state,
        x,
        formats=("source", "onnx", "torch-export"),
    )
    assert all(value < 1e-4 for value in summary.to_json().values())
    assert len(summary.to_json()) == 3
    loaded = torch.export.load(tmp_path / "model.pt2").module()
    expected = trained_model(net, statistics, state)(torch.from_numpy(x)).detach()
    for rows in (1, 3, 20):
        difference = (loaded(torch.from_numpy(x[:rows])).detach() - expected[:rows]).abs().max()
        assert float(difference) < 1e-4


def test_a_regression_far_from_zero_is_judged_in_its_own_units(tmp_path: Path) -> None:
    x = np.nan_to_num(ROWS[:, :1])
    statistics = statistics_of(REGRESSION, x)
    assert statistics.target_deviation > 1000
    net = small_net(statistics.out_features, 1)
    process = Converter(prepare=("torch_export",))
    formats = ("source", "torch-export")
    write(
        tmp_path, net, statistics, REGRESSION, trained(net), x, formats=formats, converter=process
    )
    state = read_weights(tmp_path / "weights.safetensors")
    # A hundredth of a standard deviation: tens of units of the target.
    state["net.head.bias"] = state["net.head.bias"] + 0.01
    write_weights(tmp_path / "weights.safetensors", state)
    model = trained_model(net, statistics, trained(net))
    with pytest.raises(ExportError, match=r"by 0\.01"):
        check(model, tmp_path, x, statistics=statistics)
