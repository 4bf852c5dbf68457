"""Architecture search as scikit-learn estimators: `NASClassifier` and `NASRegressor`.

They search, train and predict on arrays, fit into pipelines, grid searches and cross-validation,
and can be cloned and pickled. All rows given to `fit` serve the search and the training: a test
part is the caller's, as usual with scikit-learn.
"""

from __future__ import annotations

import math
import secrets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from nasturtium.errors import UserError

if TYPE_CHECKING:
    from nasturtium.job import Run

__all__ = ["NASClassifier", "NASRegressor"]

DEFAULT_SECONDS = 120.0


class _NASEstimator(BaseEstimator):  # type: ignore[misc]
    """What both estimators share: parameters, validation, the search."""

    _task: Literal["classification", "regression"]

    def __init__(
        self,
        *,
        time: float | str | None = None,
        trials: int | None = None,
        space: str | None = None,
        method: str = "halving_evolution",
        max_params: int | None = None,
        max_epochs: int | None = None,
        image_shape: tuple[int, ...] | None = None,
        workers: int = 0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.time = time
        self.trials = trials
        self.space = space
        self.method = method
        self.max_params = max_params
        self.max_epochs = max_epochs
        self.image_shape = image_shape
        self.workers = workers
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.image_shape is None
        return tags

    def _for_fit(self, x: ArrayLike, y: ArrayLike) -> Any:
        """`x` and `y`, checked by scikit-learn's rules."""
        numeric = self._task == "regression"
        return validate_data(
            self, x, y, ensure_min_samples=2, y_numeric=numeric, **self._input_rules()
        )

    def _input_rules(self) -> dict[str, Any]:
        finite = "allow-nan" if self.image_shape is None else True
        return {"dtype": np.float64, "ensure_all_finite": finite}

    def _inputs(self, x: NDArray[np.float64]) -> NDArray[np.float32]:
        """Rows as the search takes them: float32, in the shape of images where there is one."""
        # Numbers beyond float32 are further away than anything that is learned from.
        limit = np.finfo(np.float32).max
        values = np.clip(x, -limit, limit).astype(np.float32)
        if self.image_shape is None:
            return values
        shape = tuple(self.image_shape)
        if len(shape) not in (2, 3) or math.prod(shape) != x.shape[1]:
            raise ValueError(
                f"image_shape {shape} does not fit rows of {x.shape[1]} values: "
                "give (height, width) or (channels, height, width)"
            )
        channels = shape if len(shape) == 3 else (1, *shape)
        return values.reshape(len(x), *channels)

    def _search(self, x: NDArray[np.float64], y: NDArray[Any]) -> None:
        inputs = self._inputs(x)
        with tempfile.TemporaryDirectory(prefix="nasturtium-") as folder:
            try:
                run = self._run(inputs, y, Path(folder) / "run")
            except UserError as error:
                raise ValueError(str(error)) from error
            self.network_ = run.network()
        self.architecture_: str = run.result["architecture"]
        self.n_params_: int = run.result["params"]

    def _run(self, x: NDArray[np.float32], y: NDArray[Any], folder: Path) -> Run:
        from nasturtium.job import search_arrays
        from nasturtium.job.config import parse_seconds

        seconds = parse_seconds(self.time) if isinstance(self.time, str) else self.time
        if seconds is None and self.trials is None:
            seconds = DEFAULT_SECONDS
        return search_arrays(
            x,
            y,
            task=self._task,
            test_fraction=0.0,
            strict=False,
            out=folder,
            time=seconds,
            trials=self.trials,
            space=self.space,
            method=self.method,
            max_params=self.max_params,
            max_epochs=self.max_epochs,
            workers=self.workers,
            seed=self._seed(),
            baselines="none",
            export=False,
        )

    def _seed(self) -> int:
        if self.random_state is None:
            return secrets.randbits(31)
        if isinstance(self.random_state, (int, np.integer)):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _outputs(self, x: ArrayLike) -> NDArray[np.float64]:
        check_is_fitted(self)
        rows = validate_data(self, x, reset=False, **self._input_rules())
        return self.network_(self._inputs(rows))


class NASClassifier(ClassifierMixin, _NASEstimator):  # type: ignore[misc]
    """A classifier whose network architecture is searched for the data it is fitted to.

    Args:
        time: seconds, or text such as "90s" or "2m", for the whole fit; 2 minutes without `trials`.
        trials: number of evaluated architectures instead; then the fit is a function of the data
            and `random_state`, whatever the machine's speed.
        space: id of a search space; for rows `residual_mlp`, for images `image_cell`.
        method: text of a search method.
        max_params: largest number of parameters of the network.
        max_epochs: most epochs of any training.
        image_shape: (height, width) or (channels, height, width): rows are images.
        workers: processes that evaluate; 0 evaluates in this one. With more, a script needs the
            usual `if __name__ == "__main__":` guard.
        random_state: seed of everything random; None draws another one at each fit.

    Attributes:
        classes_: the labels, [K].
        architecture_: text of the found architecture.
        n_params_: number of its parameters.
        network_: the trained network, callable on float32 rows.
        n_features_in_, feature_names_in_: as in scikit-learn.

    Missing values (NaN) are imputed. `fit` takes no sample weights.

    >>> from sklearn.datasets import load_iris
    >>> x, y = load_iris(return_X_y=True)
    >>> found = NASClassifier(trials=2, max_epochs=20, random_state=0).fit(x, y)
    >>> bool(found.score(x, y) > 0.8)
    True
    """

    _task = "classification"

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Search and train on X, [N, F] numbers, and y, [N] labels of any kind.

        Raises `ValueError` where the data make no search possible: one class only, for example.
        """
        rows, labels = self._for_fit(X, y)
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("the classifier needs at least 2 classes; y has only one class")
        self._search(rows, codes)
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probabilities [N, K] of the classes in the order of `classes_`."""
        logits = self._outputs(X)
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        chances: NDArray[np.float64] = raised / raised.sum(axis=1, keepdims=True)
        return chances

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """The most probable label [N] of each row of X."""
        codes = self._outputs(X).argmax(axis=1)
        labels: NDArray[Any] = self.classes_[codes]
        return labels


class NASRegressor(RegressorMixin, _NASEstimator):  # type: ignore[misc]
    """A regressor whose network architecture is searched for the data it is fitted to.

    Parameters and attributes are those of `NASClassifier`, without `classes_`.
    """

    _task = "regression"

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Search and train on X, [N, F] numbers, and y, [N] numbers.

        Raises `ValueError` where the data make no search possible.
        """
        rows, targets = self._for_fit(X, y)
        self._search(rows, targets)
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """The predicted number [N] of each row of X."""
        return self._outputs(X)[:, 0]
