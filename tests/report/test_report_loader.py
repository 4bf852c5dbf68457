"""Reading a run's folder, and writing the page into it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nasturtium.errors import StudyError, UserError
from nasturtium.evaluators.base import Result
from nasturtium.networks.cost import cost
from nasturtium.networks.ir import Net
from nasturtium.networks.lowering import for_space
from nasturtium.registry import create
from nasturtium.report import ReportData, load, net_from_json, net_to_json, render
from nasturtium.study.codec import dumps
from nasturtium.study.store import Store

Make = Callable[..., ReportData]
MakeNet = Callable[[int], Net]


def record(path: Path, study: str, results: list[Result | None]) -> None:
    with Store.create(path, study, config={}) as store:
        for number in range(len(results)):
            proposal = {
                "arch": f"image_cell:{number}", "fidelity": {"epochs": 3}, "origin": "random",
                "parent": number - 1 if number else None,
            }  # fmt: skip
            store.add(number, 100 + number, dumps(proposal), owner="test", lease=1e12)
        # Told in reverse: the order of the page is that of the clock, not that of the numbers.
        for number, result in reversed(list(enumerate(results))):
            if result is not None:
                store.tell(number, result)


@pytest.fixture
def folder(tmp_path: Path, make_classification: Make, make_net: MakeNet) -> Path:
    data = make_classification(0)
    result = dict(data.result) | {"network": net_to_json(make_net(2)), "space": "unknown_space"}
    (tmp_path / "result.json").write_text(json.dumps(result))
    assert data.predictions is not None
    np.savez(
        tmp_path / "predictions.npz",
        y_true=data.predictions.y_true,
        y_pred=data.predictions.y_pred,
    )
    values = {"params": 1234.0, "macs": 5678.0, "val_accuracy": 0.91}
    record(
        tmp_path / "study.db",
        "search",
        [
            Result("ok", 0.9, values, (0.5, 0.8, 0.9), 2.5),
            Result("diverged", float("nan"), {}, (float("nan"),), 0.5),
            None,
        ],
    )
    record(tmp_path / "study.db", "random_search", [Result("ok", 0.8, values, (), 2.0)])
    record(tmp_path / "study.db", "final", [Result("ok", 0.0, {}, (), 9.0)])
    return tmp_path


def test_trials_are_read_as_they_were_told(folder: Path) -> None:
    rows = {(t.study, t.number): t for t in load(folder).trials}
    assert sorted(rows) == [("random_search", 0), ("search", 0), ("search", 1), ("search", 2)]
    first = rows["search", 0]
    assert (first.score, first.metric, first.params, first.macs) == (0.9, 0.91, 1234.0, 5678.0)
    assert (first.curve, first.seconds, first.rung) == ((0.5, 0.8, 0.9), 2.5, "3 epochs")
    assert (first.architecture, first.parent) == ("image_cell:0", None)
    second, running = rows["search", 1], rows["search", 2]
    assert (second.status, second.score, second.counted, second.parent) == (
        "diverged",
        None,
        None,
        0,
    )
    assert (running.status, running.score) == ("running", None)
    assert [second.order, first.order, running.order] == [0, 1, 2]


def test_network_comes_back_equal(make_net: MakeNet, folder: Path) -> None:
    net = make_net(2)
    assert net_from_json(json.loads(json.dumps(net_to_json(net)))) == net
    loaded = load(folder).network
    assert loaded is not None and cost(loaded) == cost(net)


def test_render_writes_one_page_and_leaves_nothing_else(folder: Path) -> None:
    before = set(os.listdir(folder))
    (folder / "report.html").write_text("old")
    path = render(folder)
    assert path == folder / "report.html"
    text = path.read_text(encoding="utf-8")
    assert "The found network gets 99.4" in text and "image_cell:1" in text
    assert set(os.listdir(folder)) - before <= {"report.html", "study.db-wal", "study.db-shm"}


def test_the_page_does_not_change_the_record(folder: Path) -> None:
    with Store.open(folder / "study.db", "search") as store:
        before = repr(store.trials())
    render(folder)
    with Store.open(folder / "study.db", "search") as store:
        assert repr(store.trials()) == before


def test_a_run_without_record_and_predictions(folder: Path) -> None:
    for name in ("study.db", "predictions.npz"):
        (folder / name).unlink()
    data = load(folder)
    assert data.trials == () and data.predictions is None
    assert "No trial has been recorded." in render(folder).read_text()


def test_missing_result_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no result\.json; finish the run with --resume"):
        render(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("result.json", b"{", "cannot read"),
        ("result.json", b"[1]", "no JSON object"),
        ("result.json", b'{"network": {"name": "x"}}', "network in result.json"),
        ("predictions.npz", b"PK\x03\x04 cut off", "cannot read"),
        ("predictions.npz", b"", "cannot read"),
    ],
)
def test_damaged_files_get_one_line(folder: Path, name: str, content: bytes, words: str) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=words) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"y_true": np.zeros(3)}, "holds no y_true and y_pred"),
        ({"y_true": np.zeros(3), "y_pred": np.zeros(4)}, "differ in length"),
        ({"y_true": np.array([0, 1]), "y_pred": np.array([0, -1])}, "no whole number"),
        ({"y_true": np.array([0, 1]), "y_pred": np.array([0.0, np.nan])}, "no whole number"),
        ({"y_true": np.array([object()]), "y_pred": np.zeros(1)}, "cannot read"),
    ],
)
def test_wrong_predictions_get_one_line(
    folder: Path, arrays: dict[str, np.ndarray], words: str
) -> None:
    np.savez(folder / "predictions.npz", **arrays)
    with pytest.raises(UserError, match=words):
        load(folder)


def test_a_damaged_record_is_an_error_of_the_study(folder: Path) -> None:
    for name in ("study.db-wal", "study.db-shm"):
        (folder / name).unlink(missing_ok=True)
    (folder / "study.db").write_bytes(b"not a database" * 100)
    with pytest.raises(StudyError):
        load(folder)


def test_a_folder_that_cannot_be_written_keeps_the_old_page(folder: Path) -> None:
    (folder / "report.html").mkdir()
    with pytest.raises(UserError, match="cannot write"):
        render(folder)
    assert not [name for name in os.listdir(folder) if name.endswith(".tmp")]


def test_costs_that_the_record_lacks_come_from_the_space(folder: Path) -> None:
    space = create("image_cell", "space")
    arch = space.architecture(space.sample(1, seed=3)[0])
    net = for_space("image_cell")(arch, (1, 8, 8), 10)
    result = json.loads((folder / "result.json").read_text())
    result |= {"space": "image_cell", "network": net_to_json(net), "architecture": str(arch)}
    (folder / "result.json").write_text(json.dumps(result))
    for name in ("study.db", "study.db-wal", "study.db-shm"):
        (folder / name).unlink(missing_ok=True)
    with Store.create(folder / "study.db", "search", config={}) as store:
        for number, text in enumerate((str(arch), "image_cell:nonsense")):
            proposal = dumps({"arch": text, "fidelity": {"epochs": 3}, "origin": "random"})
            store.add(number, 1, proposal, owner="test", lease=1e12)
            store.tell(number, Result("ok", 0.5, {}, (), 1.0))
    known, unknown = load(folder).trials
    assert (known.params, known.macs) == (cost(net).params, cost(net).macs)
    assert (unknown.params, unknown.macs) == (None, None)
