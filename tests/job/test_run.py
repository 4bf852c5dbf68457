"""The whole job on small budgets: what it leaves, what it may look at, how it resumes."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nasturtium.data import Dataset, Split, load, split
from nasturtium.errors import RunExists, StudyError, TestPartUsed, UserError
from nasturtium.job import Run, SearchConfig, export_run, run_search
from nasturtium.job.folder import check_folder
from nasturtium.study import Store

TINY = {"trials": 8, "max_epochs": 2, "max_params": 4000, "seed": 5}


def tiny(**changes: Any) -> SearchConfig:
    return SearchConfig(data="digits", **{**TINY, **changes})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("job") / "run"
    return run_search(tiny(), folder=folder, command=["nasturtium", "search", "digits"])


def test_leaves_all_files(run: Run) -> None:
    names = {path.name for path in run.folder.iterdir()}
    assert names >= {
        "study.db",
        "result.json",
        "model.py",
        "weights.safetensors",
        "preprocess.json",
        "predict.py",
        "model.onnx",
        "predictions.npz",
        "report.html",
    }


def test_result_agrees_with_what_is_stored(run: Run) -> None:
    result = json.loads((run.folder / "result.json").read_text())
    with np.load(run.folder / "predictions.npz") as stored:
        accuracy = np.mean(stored["y_pred"] == stored["y_true"])
        hand = np.mean(stored["y_pred_hand"] == stored["y_true"])
    assert result["test_accuracy"] == pytest.approx(accuracy)
    low, high = result["test_accuracy_interval"]
    assert low < accuracy < high
    by_kind = {baseline["kind"]: baseline for baseline in result["baselines"]}
    assert by_kind["hand-designed"]["test_accuracy"] == pytest.approx(hand)
    assert by_kind["hand-designed"]["difference"] == pytest.approx(accuracy - hand)
    assert {"boosting", "thinned", "random-search"} <= set(by_kind)
    assert by_kind["random-search"]["measured"] is False
    assert result["exports"]["source_max_abs_difference"] < 1e-4
    assert result["exports"]["onnx_max_abs_difference"] < 1e-4
    assert result["params"] <= TINY["max_params"]
    assert result["latency_ms"]["torch"]["median"] > 0


def test_predicts_what_the_test_said(run: Run) -> None:
    dataset = load("digits")
    parts = _parts(dataset, seed=TINY["seed"])
    x, y = parts.test.open()
    made = run.predict_numbers(x)
    with np.load(run.folder / "predictions.npz") as stored:
        assert np.array_equal(stored["y_true"], y)
        assert np.array_equal(stored["y_pred"], made.labels)
    assert run.predict_proba(x).sum(1) == pytest.approx(1.0)


def test_predict_script_alone(run: Run, tmp_path: Path) -> None:
    dataset = load("digits")
    np.savez(tmp_path / "new.npz", x=dataset.x[:7])
    command = [sys.executable, "-I", str(run.folder / "predict.py"), str(tmp_path / "new.npz")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(done.stdout.strip().splitlines()) >= 7
    expected = [str(name) for name in run.predict(dataset.x[:7])]
    said = [line.replace(",", " ").split()[0] for line in done.stdout.strip().splitlines()[-7:]]
    assert said == expected


def test_export_of_another_trial_is_trained_first(run: Run, tmp_path: Path) -> None:
    other = next(n for n in range(4) if n != run.result["trial"])
    paths = export_run(run.folder, format="source", trial=other, out=tmp_path / "other")
    assert {path.name for path in paths} >= {"model.py", "weights.safetensors"}
    with Store.open(run.folder / "study.db", "search") as store:
        source = (tmp_path / "other" / "model.py").read_text()
        assert store.trials()[other].arch in "".join(source.split())
    with pytest.raises(UserError, match="trials 0 to 7"):
        export_run(run.folder, format="source", trial=99, out=None)


def test_a_run_is_not_touched_without_being_asked(run: Run) -> None:
    before = (run.folder / "result.json").read_bytes()
    with pytest.raises(RunExists, match="--resume"):
        run_search(tiny(), folder=run.folder)
    assert (run.folder / "result.json").read_bytes() == before


def test_resume_of_a_finished_run_changes_nothing_told(run: Run) -> None:
    again = run_search(tiny(), folder=run.folder, resume=True, explicit={"data": "digits"})
    assert again.result["architecture"] == run.result["architecture"]
    assert again.result["test_accuracy"] == run.result["test_accuracy"]
    with pytest.raises(UserError, match="--seed 5, not 6"):
        run_search(tiny(), folder=run.folder, resume=True, explicit={"seed": 6})


def test_the_test_part_opens_once() -> None:
    parts = split(load("digits"), seed=0)
    parts.test.open()
    with pytest.raises(TestPartUsed):
        parts.test.open()


def test_shuffled_test_labels_change_only_the_score(tmp_path: Path) -> None:
    dataset = load("digits")
    rows = np.arange(len(dataset.x))
    train, validation, test = rows[:700], rows[700:1000], rows[1000:]
    y = dataset.y.copy()
    y[test] = np.random.default_rng(0).permutation(y[test])
    shuffled = Dataset(dataset.name, dataset.x, y, dataset.schema)
    results = []
    for name, data in (("as they are", dataset), ("shuffled", shuffled)):
        run = run_search(
            tiny(workers=0, export=False, baselines="none", trials=2),
            folder=tmp_path / name,
            dataset=data,
            parts=Split.from_indices(data, train, validation, test),
        )
        with np.load(tmp_path / name / "predictions.npz") as stored:
            predicted = stored["y_pred"], stored["y_pred_probabilities"]
        weights = (tmp_path / name / "work" / "found.safetensors").read_bytes()
        results.append((run.result, predicted, weights))
    (first, first_predicted, first_weights), (second, second_predicted, second_weights) = results
    assert first["architecture"] == second["architecture"]
    assert first["validation_score"] == second["validation_score"]
    assert first_weights == second_weights
    assert np.array_equal(first_predicted[0], second_predicted[0])
    assert np.array_equal(first_predicted[1], second_predicted[1])
    assert first["test_accuracy"] > second["test_accuracy"]


def test_regression_from_a_table_with_gaps_and_words(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    size, color = generator.normal(size=160), generator.integers(0, 3, size=160)
    price = 100 + 20 * size + 5 * color + generator.normal(size=160)
    with (tmp_path / "houses.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["size", "color", "price"])
        for i in range(160):
            gap = i % 11 == 3
            name = ("red", "green", "blue")[color[i]]
            writer.writerow(["" if gap else f"{size[i]:.4f}", name, f"{price[i]:.3f}"])
    config = SearchConfig(
        data=str(tmp_path / "houses.csv"), trials=2, max_epochs=20, workers=0, baselines="quick"
    )
    run = run_search(config, folder=tmp_path / "run")
    assert run.result["task"] == "regression"
    low, high = run.result["test_rmse_interval"]
    assert low < run.result["test_rmse"] < high
    assert run.result["test_rmse"] < np.std(price)
    done = subprocess.run(
        [sys.executable, "-I", str(tmp_path / "run" / "predict.py"), str(tmp_path / "houses.csv")],
        capture_output=True,
        text=True,
        check=True,
    )
    said = np.array([float(line.split(",")[0]) for line in done.stdout.split()[-160:]])
    assert np.sqrt(np.mean((said - price) ** 2)) < np.std(price)


@pytest.mark.parametrize("kind", ["file", "other files"])
def test_refuses_folders_that_hold_other_things(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "place"
    if kind == "file":
        place.write_text("mine")
    else:
        place.mkdir()
        (place / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="choose another folder with --out"):
        check_folder(place, resume=False, overwrite=True)
    with pytest.raises(StudyError, match="no run to resume"):
        check_folder(place, resume=True, overwrite=False)


def _parts(dataset: Dataset, *, seed: int) -> Split:
    from nasturtium.rng import derive

    return split(dataset, seed=derive(seed, "split"))
