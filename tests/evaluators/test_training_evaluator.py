"""The evaluator that trains: repeatable, lazy, picklable, in the target's units."""

import pickle
import time
from types import SimpleNamespace

import numpy as np
import pytest

from nasturtium.errors import DataError
from nasturtium.evaluators import Evaluator, Recipe, TrainingEvaluator
from nasturtium.spaces import image_cell, residual_mlp

SPACE = residual_mlp()
ARCH = SPACE.parse(
    "residual_mlp:inputs=plain,block=plain,depth=1,width=16,activation=relu,"
    "normalization=batch,dropout=0.1,wide=true"
)
RECIPE = Recipe(lr=0.02, batch_size=32)


@pytest.fixture
def rows(tmp_path):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(300, 6)).astype(np.float32)
    y = (x[:, 0] + x[:, 1] > 0).astype(np.int64)
    return save(tmp_path, x, y)


def save(folder, x, y, n=200):
    parts = {"x_train": x[:n], "y_train": y[:n], "x_validation": x[n:], "y_validation": y[n:]}
    np.savez(folder / "data.npz", **parts)
    return folder / "data.npz"


def test_it_repeats_itself_also_after_a_journey(rows):
    evaluator = TrainingEvaluator(rows, "residual_mlp", RECIPE, 2)
    assert isinstance(evaluator, Evaluator)
    first = evaluator.evaluate(ARCH, {"epochs": 4}, 3)
    text = pickle.dumps(evaluator)
    assert len(text) < 2_000  # the path travels, not the data
    other = pickle.loads(text).evaluate(ARCH, {"epochs": 4}, 3)  # noqa: S301
    assert first.status == "ok"
    assert (first.score, first.curve, first.values) == (other.score, other.curve, other.values)
    assert len(first.curve) == 4
    assert first.values["val_accuracy"] > 0.85
    assert evaluator.evaluate(ARCH, {"epochs": 4}, 4).curve != first.curve


def test_fewer_rows_are_used_where_asked(rows):
    evaluator = TrainingEvaluator(rows, "residual_mlp", RECIPE, 2)
    few = evaluator.evaluate(ARCH, {"epochs": 2, "rows": 20}, 3)
    same = evaluator.evaluate(ARCH, {"epochs": 2, "rows": 10_000}, 3)
    assert few.curve != same.curve
    assert same.curve == evaluator.evaluate(ARCH, {"epochs": 2}, 3).curve


def test_a_time_gives_a_quick_network_more_epochs(rows):
    deep = SPACE.parse(str(ARCH).replace("depth=1", "depth=3").replace("width=16", "width=256"))
    evaluator = TrainingEvaluator(rows, "residual_mlp", RECIPE, 2)
    begun = time.process_time()
    quick = evaluator.evaluate(ARCH, {"ms": 600}, 0)
    assert 0.5 < time.process_time() - begun < 3.0
    slow = evaluator.evaluate(deep, {"ms": 600}, 0)
    assert quick.status == slow.status == "ok"
    assert quick.values["epochs"] > 1.2 * slow.values["epochs"] > 2
    few = TrainingEvaluator(rows, "residual_mlp", RECIPE, 2, max_epochs=3)
    done = few.evaluate(ARCH, {"ms": 60_000}, 0)
    assert done.values["epochs"] == 3.0
    assert done.curve == evaluator.evaluate(ARCH, {"epochs": 3}, 0).curve


def test_it_stops_and_diverges_with_a_status(rows):
    evaluator = TrainingEvaluator(rows, "residual_mlp", RECIPE, 2)
    stopped = evaluator.evaluate(ARCH, {"epochs": 5}, 0, stop={2: 2.0})
    assert (stopped.status, len(stopped.curve)) == ("stopped", 2)
    wild = TrainingEvaluator(rows, "residual_mlp", Recipe(optimizer="sgd", lr=1e30), 2)
    lost = wild.evaluate(ARCH, {"epochs": 5}, 0)
    assert (lost.status, lost.score) == ("diverged", None)
    assert "finite" in lost.detail


def test_a_regression_is_scored_in_the_targets_units(tmp_path):
    generator = np.random.default_rng(1)
    x = generator.normal(size=(400, 3)).astype(np.float32)
    y = (1000 + 50 * x[:, 0]).astype(np.float32)
    column = {"kind": "number", "missing": 0, "fill": 0.0, "center": 0.0, "scale": 1.0}
    column |= {"compress": False, "mean": 0.0, "deviation": 1.0, "counts": (), "kept": ()}
    columns = [SimpleNamespace(**column, pooled=()) for _ in range(3)]
    statistics = SimpleNamespace(
        kind="table", task="regression", columns=columns, means=(), deviations=(),
        target_mean=1000.0, target_deviation=50.0,
    )  # fmt: skip
    evaluator = TrainingEvaluator(
        save(tmp_path, x, y, 300), "residual_mlp", RECIPE, 1, "regression", statistics
    )
    done = evaluator.evaluate(ARCH, {"epochs": 30}, 0)
    # Guessing the mean gives 50; the linear path alone can reach 0.
    assert 0 < done.values["val_rmse"] < 15
    assert done.score == -done.values["val_rmse"] == done.curve[-1]


def test_images_are_trained_on(tmp_path):
    generator = np.random.default_rng(2)
    y = np.arange(120) % 2
    x = generator.normal(size=(120, 1, 8, 8)).astype(np.float32)
    x[:, :, :4] += 3.0 * y[:, None, None, None]
    space = image_cell()
    arch = space.parse(
        "image_cell:width=4,stages=1,depth_1=1,stem_stride=1,attention=se,activation=relu,"
        "head=mean,edge_1_0=none,edge_2_0=none,edge_2_1=none,edge_3_0=sep_3x3,edge_3_1=none,"
        "edge_3_2=none"
    )
    path = save(tmp_path, x, y, 80)
    recipe = Recipe.default_for("classification", (1, 8, 8), 80)
    done = TrainingEvaluator(path, "image_cell", recipe, 2).evaluate(arch, {"epochs": 12}, 0)
    assert done.values["val_accuracy"] > 0.9


def test_a_file_without_a_part_is_named(tmp_path):
    np.savez(tmp_path / "data.npz", x_train=np.zeros((4, 2)), y_train=np.zeros(4))
    with pytest.raises(DataError, match=r"lacks x_validation, y_validation"):
        TrainingEvaluator(tmp_path / "data.npz", "residual_mlp", RECIPE, 2).evaluate(
            ARCH, {"epochs": 1}, 0
        )
