"""The first step of the main job: data, split, space, and the limits that hold for it."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nasturtium import registry
from nasturtium.data import Dataset, Split, Statistics, load, split
from nasturtium.errors import NasturtiumError, UserError
from nasturtium.evaluators.latency_model import LatencyModel
from nasturtium.job.config import SearchConfig
from nasturtium.networks import Cost, Net, baselines, cost, for_space
from nasturtium.rng import derive
from nasturtium.search import Limit, Limits
from nasturtium.search.base import Codes
from nasturtium.spaces import Architecture, Space

if TYPE_CHECKING:
    from nasturtium.job.plan import Plan

Floats = npt.NDArray[np.float64]
SPACE_OF = {"image": "image_cell", "table": "residual_mlp"}
SAMPLED = 256  # architectures by which limits are judged
SHARE = 0.24  # a found image network's largest share of the hand-designed one, by default
SMALLEST_DEFAULT = 8_000  # parameters: the default limit is never below


@dataclasses.dataclass(frozen=True)
class Task:
    """The data of one run, split, with everything that follows from it.

    `net_input` is the shape that a network sees: (C, H, W), or (features,) after the table's
    preprocessing; `outputs` is the number of classes, or 1.
    """

    dataset: Dataset
    parts: Split
    statistics: Statistics
    space: Space
    net_input: tuple[int, ...]
    outputs: int
    metric: str
    max_params: int

    @property
    def kind(self) -> str:
        return self.dataset.schema.task

    def lower(self, arch: Architecture) -> Net:
        """The layer graph of an architecture of the run's space for the run's data."""
        return for_space(self.space.name)(arch, self.net_input, self.outputs)

    def cost(self, arch: Architecture) -> Cost:
        return cost(self.lower(arch))

    def hand_designed(self, params: int | None = None) -> Net:
        """The usual network for such data, or for images one brought to at least `params`."""
        if len(self.net_input) == 3:
            return baselines.residual_net(self.net_input, self.outputs, params=params)
        return baselines.plain_mlp(self.net_input, self.outputs)

    def fingerprint(self) -> str:
        """A hash of all values but the test labels: a resumed run must find the same data."""
        digest = hashlib.sha256()
        seen = np.concatenate([self.parts.train, self.parts.validation])
        for array in (self.dataset.x, self.dataset.y[seen], seen):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def prepare(
    config: SearchConfig, *, dataset: Dataset | None = None, parts: Split | None = None
) -> Task:
    """Load and split the data of `config`, or take those given, and choose space and limits.

    Raises:
        UserError: the data, the names or the limits make no search possible.
    """
    if dataset is None:
        dataset = load(config.data, target=config.target, task=config.task, group=config.group)
    metric = config.chosen_metric(dataset.schema.task)
    if parts is None:
        test = _test_file(config, dataset)
        parts = split(dataset, seed=derive(config.seed, "split"), test=test)
    x, y = dataset.x[parts.train], dataset.y[parts.train]
    statistics = Statistics.fit(x, y, dataset.schema)
    space = registry.create(config.space or SPACE_OF[dataset.schema.kind], "space")
    net_input = (
        tuple(int(n) for n in dataset.x.shape[1:])
        if dataset.schema.kind == "image"
        else (statistics.out_features,)
    )
    outputs = dataset.schema.outputs
    _check_space(space, net_input, outputs)
    task = Task(
        dataset, parts, statistics, space, net_input, outputs, metric, config.max_params or 0
    )
    if config.max_params is None:
        task = dataclasses.replace(task, max_params=_default_max_params(task))
    return task


class Limited:
    """Measures codes once: parameters, multiply-adds and, if asked for, predicted latency."""

    def __init__(self, task: Task, *, latency: LatencyModel | None = None) -> None:
        self._task = task
        self._latency = latency
        self._costs: dict[bytes, Cost] = {}
        self._times: dict[str, dict[bytes, float]] = {}

    def params(self, codes: Codes) -> Floats:
        return np.array([self._cost(code).params for code in codes], dtype=np.float64)

    def macs(self, codes: Codes) -> Floats:
        return np.array([self._cost(code).macs for code in codes], dtype=np.float64)

    def proxy(self, plan: Plan) -> Callable[[Codes], Floats]:
        """A zero-cost proxy: the logarithm of parameters times multiply-adds.

        Each is divided by the time of a training step where the plan predicts that: what counts
        is then how much a network holds and computes for its time.
        """
        pace = plan.pace()
        steps = None if pace is None else self._predicted("--time", pace.predict)

        def score(codes: Codes) -> Floats:
            size = np.log(self.params(codes)) + np.log(self.macs(codes))
            return size if steps is None else size - 2 * np.log(steps(codes))

        return score

    def _predicted(self, option: str, predict: Callable[[Net], float]) -> Callable[[Codes], Floats]:
        """The `predict` of an option as a measure of codes, asked once for each code of the run."""
        known = self._times.setdefault(option, {})

        def measure(codes: Codes) -> Floats:
            for code in codes:
                if code.tobytes() not in known:
                    known[code.tobytes()] = predict(
                        self._task.lower(self._task.space.architecture(code))
                    )
            return np.array([known[code.tobytes()] for code in codes])

        return measure

    def limits(
        self,
        config: SearchConfig,
        *,
        plan: Plan | None = None,
        final: bool = False,
    ) -> Limits:
        """The user's limits, and what the time of `plan` affords: of its rungs, or its end."""
        found = [Limit(self.params, self._task.max_params, "parameters", "--max-params")]
        if config.max_macs is not None:
            found.append(Limit(self.macs, config.max_macs, "multiply-adds", "--max-macs"))
        pace = None if plan is None else plan.pace()
        if plan is not None and pace is not None:
            most = plan.max_step_ms if final else plan.search_step_ms
            assert most is not None
            measure = self._predicted("--time", pace.predict)
            found.append(Limit(measure, most, "ms a training step", "--time"))
        if config.max_latency_ms is not None and self._latency is not None:
            measure = self._predicted("--max-latency", self._latency.upper)
            found.append(Limit(measure, config.max_latency_ms, "ms", "--max-latency"))
        return Limits(tuple(found))

    def _cost(self, code: npt.NDArray[np.uint8]) -> Cost:
        key = code.tobytes()
        if key not in self._costs:
            self._costs[key] = self._task.cost(self._task.space.architecture(code))
        return self._costs[key]


def starts(space: Space, limits: Limits) -> Codes:
    """Of each known design of the space the largest version within the limits, uint8[n, d]."""
    found = [largest(space, space.parse(text), limits) for text in space.designs]
    codes = [arch.code for arch in found if arch is not None]
    return np.array(codes, dtype=np.uint8).reshape(-1, len(space.decisions))


def largest(space: Space, arch: Architecture, limits: Limits) -> Architecture | None:
    """The largest version of an architecture (`Space.scaled`) that the limits allow, or None."""
    for version in space.scaled(arch.code):
        if limits(version[None])[0]:
            return space.architecture(version)
    return None


def check_search(task: Task, config: SearchConfig) -> None:
    """Raise `UserError` where the method is unknown or the sizes leave no architecture."""
    sizes = dataclasses.replace(config, max_latency_ms=None)
    limits = Limited(task).limits(sizes)
    registry.create(
        config.method,
        "method",
        space=task.space,
        seed=0,
        allowed=limits,
        fidelities=({"epochs": 1}, {"epochs": 3}),
    )
    codes = task.space.sample(SAMPLED, seed=derive(config.seed, "limits"))
    if not limits(codes).any():
        raise UserError(limits.explain(codes))


def _test_file(config: SearchConfig, dataset: Dataset) -> Dataset | None:
    if config.test is None:
        return None
    return load(config.test, target=config.target, like=dataset.schema)


def _check_space(space: Space, net_input: tuple[int, ...], outputs: int) -> None:
    """Raise `UserError` where the space's networks do not take such data."""
    lower = for_space(space.name)
    arch = space.architecture(space.sample(1, seed=0)[0])
    try:
        cost(lower(arch, net_input, outputs))
    except (NasturtiumError, IndexError, ValueError, TypeError) as error:
        raise UserError(
            f"--space {space.name} has no networks for rows of shape {net_input}: "
            "leave --space out, or choose one of nasturtium spaces"
        ) from error


def _default_max_params(task: Task) -> int:
    standard = cost(task.hand_designed()).params
    if len(task.net_input) != 3:
        return standard
    return max(int(SHARE * standard), SMALLEST_DEFAULT)
