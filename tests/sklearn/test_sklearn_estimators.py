"""The estimators keep scikit-learn's contract, and learn."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from nasturtium.sklearn import NASClassifier, NASRegressor

SMALL: dict[str, Any] = {"trials": 1, "max_epochs": 12, "max_params": 2000, "random_state": 0}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@parametrize_with_checks([NASClassifier(**SMALL), NASRegressor(**SMALL)])
def test_the_contract(estimator: Any, check: Callable[[Any], None]) -> None:
    with warnings.catch_warnings():
        # The checks provoke warnings of scikit-learn's own on purpose.
        warnings.simplefilter("ignore")
        check(estimator)


def fitted_iris(**changed: Any) -> tuple[NASClassifier, Any, Any]:
    x, y = load_iris(return_X_y=True, as_frame=True)
    names = np.array(["setosa", 'ver"si\ncolor', "virginicä"])[y]
    return NASClassifier(**{**SMALL, **changed}).fit(x, names), x, names


def test_it_learns_string_labels_and_keeps_the_columns_names() -> None:
    found, x, names = fitted_iris(max_epochs=30)
    assert found.score(x, names) > 0.9
    assert list(found.classes_) == sorted(set(names))
    assert list(found.feature_names_in_) == list(x.columns)
    assert found.architecture_.startswith("residual_mlp:")
    assert 0 < found.n_params_ <= 2000
    chances = found.predict_proba(x)
    np.testing.assert_allclose(chances.sum(axis=1), 1.0, rtol=1e-12)
    assert (found.classes_[chances.argmax(axis=1)] == found.predict(x)).all()


def test_equal_seeds_give_equal_networks_and_others_do_not() -> None:
    first, x, _ = fitted_iris(trials=2, random_state=3)
    again, _, _ = fitted_iris(trials=2, random_state=3)
    other, _, _ = fitted_iris(trials=2, random_state=4)
    assert first.architecture_ == again.architecture_
    assert (first.predict_proba(x) == again.predict_proba(x)).all()
    assert (first.predict_proba(x) != other.predict_proba(x)).any()


def test_a_fitted_estimator_survives_pickling_and_cloning_forgets() -> None:
    found, x, _ = fitted_iris()
    copied = pickle.loads(pickle.dumps(found))  # noqa: S301 - made on this line
    assert (copied.predict_proba(x) == found.predict_proba(x)).all()
    blank = clone(found)
    assert blank.get_params() == found.get_params()
    assert not hasattr(blank, "network_")


def test_gaps_constant_columns_and_huge_numbers_do_no_harm() -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(120, 5))
    y = x[:, 0] > 0
    x[:, 1] = 7.0
    x[:, 2] = np.nan
    x[draw.random(120) < 0.2, 3] = np.nan
    x[5, 4] = 1e300
    found = NASClassifier(**{**SMALL, "max_epochs": 40}).fit(x, y)
    assert found.score(x, y) > 0.85
    assert found.classes_.dtype == bool
    assert np.isfinite(found.predict_proba(np.full((3, 5), np.nan))).all()


def test_one_column_regression_follows_the_curve() -> None:
    x = np.linspace(-3, 3, 240)[:, None]
    y = 50_000 + 1000 * np.abs(x[:, 0])
    found = NASRegressor(**{**SMALL, "max_epochs": 60}).fit(x, y)
    assert found.score(x, y) > 0.8 > LinearRegression().fit(x, y).score(x, y) + 0.7
    assert found.predict(x).shape == (240,)


def test_images_are_rows_with_a_shape() -> None:
    x, y = load_digits(return_X_y=True)
    train, test, y_train, y_test = train_test_split(x, y, train_size=600, random_state=0)
    found = NASClassifier(**{**SMALL, "image_shape": (8, 8), "max_params": 9000, "max_epochs": 8})
    found.fit(train, y_train)
    assert found.architecture_.startswith("image_cell:")
    assert found.score(test[:300], y_test[:300]) > 0.8
    with pytest.raises(ValueError, match=r"image_shape \(7, 8\) does not fit rows of 64 values"):
        NASClassifier(**{**SMALL, "image_shape": (7, 8)}).fit(train, y_train)


def test_it_works_inside_pipelines_and_cross_validation() -> None:
    x, y = load_diabetes(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), NASRegressor(**{**SMALL, "max_epochs": 20}))
    scores = cross_val_score(pipeline, x[:300], y[:300], cv=2)
    assert scores.shape == (2,)
    assert scores.min() > 0.1


def test_wrong_input_is_a_value_error_of_one_line() -> None:
    x, y = load_iris(return_X_y=True)
    for changed, message in (
        ({"space": "residual_mpl"}, "residual"),
        ({"method": "random_serach"}, "random"),
        ({"trials": 0}, "at least 1"),
        ({"time": "soon", "trials": None}, "cannot read the time 'soon'"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            NASClassifier(**{**SMALL, **changed}).fit(x, y)
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="only one class"):
        NASClassifier(**SMALL).fit(x, np.zeros(len(x)))


def test_other_columns_than_in_the_fit_are_refused() -> None:
    found, x, _ = fitted_iris()
    with pytest.raises(ValueError, match="feature names"):
        found.predict(x.rename(columns={x.columns[0]: "other"}))
    plain = NASRegressor(**SMALL).fit(x.to_numpy()[:60], np.arange(60.0))
    with pytest.raises(ValueError, match="3 features"):
        plain.predict(x.to_numpy()[:, :3])
