"""Recipes: defaults that fit the data, and values that are refused."""

import pytest

from nasturtium.errors import UserError
from nasturtium.evaluators import Recipe


def test_the_augmentation_follows_the_data():
    assert Recipe.default_for("classification", (1, 8, 8), 1437).augment == "affine"
    assert Recipe.default_for("classification", (3, 32, 32), 10_000).augment == "flip_crop"
    assert Recipe.default_for("classification", (20,), 500).augment == "none"
    assert Recipe.default_for("regression", (20,), 500).label_smoothing == 0


@pytest.mark.parametrize("n", [2, 5, 40, 300, 1437, 60_000])
def test_the_batch_fits_the_data(n):
    for shape in ((1, 8, 8), (20,)):
        size = Recipe.default_for("classification", shape, n).batch_size
        assert 2 <= size <= 128
        assert n < 128 or n / size >= 8


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer": "adam"},
        {"augment": "flip"},
        {"lr": 0.0},
        {"lr": float("nan")},
        {"batch_size": 1},
        {"warmup": 1.0},
        {"label_smoothing": -0.1},
        {"mixup": -1.0},
        {"weight_decay": float("inf")},
        {"grad_clip": float("nan")},
    ],
)
def test_a_wrong_value_is_refused_in_one_line(change):
    with pytest.raises(UserError, match=next(iter(change)).split("_")[0][:5]) as error:
        Recipe(**change)
    assert "\n" not in str(error.value)
