"""Reading a run's folder into ``ReportData``."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasturtium.errors import NasturtiumError, UserError
from nasturtium.networks.cost import Cost, cost
from nasturtium.networks.ir import Net
from nasturtium.networks.lowering import for_space
from nasturtium.registry import create
from nasturtium.report.data import (
    RANDOM_SEARCH,
    SEARCH,
    Predictions,
    ReportData,
    TrialRow,
    finite,
    net_from_json,
)
from nasturtium.study.records import TrialRecord
from nasturtium.study.store import Store

_FOUND, _TRUE = "y_pred", "y_true"


def load(folder: str | Path) -> ReportData:
    """What a run left in ``folder``.

    ``result.json`` has to be there; the record of the trials, the predictions and the network
    may be absent, as they are in a run that was stopped early.

    Raises:
        UserError: no ``result.json``, or one that cannot be read.
        StudyError: the record is damaged.
    """
    root = Path(folder)
    result = _result(root / "result.json")
    network = _network(result)
    return ReportData(
        result=result,
        trials=_with_costs(_trials(root / "study.db"), str(result.get("space")), network),
        predictions=_predictions(root / "predictions.npz", result.get("task")),
        network=network,
        files=frozenset(path.name for path in root.iterdir() if path.is_file()),
    )


def _result(path: Path) -> Mapping[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{path.parent} holds no result.json; finish the run with --resume"
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path} ({error}); restore it, or run again") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} holds no JSON object; restore it, or run again")
    return value


def _network(result: Mapping[str, Any]) -> Net | None:
    value = result.get("network")
    if not isinstance(value, Mapping):
        return None
    try:
        return net_from_json(value)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"the network in result.json cannot be read: {error!r}") from None


def _trials(path: Path) -> tuple[TrialRow, ...]:
    if not path.is_file():
        return ()
    rows: list[TrialRow] = []
    for name in (SEARCH, RANDOM_SEARCH):
        if name in Store.studies(path):
            with Store.open(path, name) as store:
                rows.extend(_rows(name, store.trials()))
    return tuple(rows)


def _rows(study: str, records: list[TrialRecord]) -> list[TrialRow]:
    # Trials without a result come last: they have not ended.
    ended = sorted(records, key=lambda r: (r.told_at is None, r.told_at or 0.0, r.number))
    return [_row(study, record, order) for order, record in enumerate(ended)]


def _row(study: str, record: TrialRecord, order: int) -> TrialRow:
    values = record.values
    return TrialRow(
        number=record.number,
        architecture=record.arch,
        status=record.status,
        study=study,
        fidelity=dict(record.fidelity),
        score=finite(record.score),
        metric=finite(values.get("val_accuracy", values.get("val_rmse"))),
        params=finite(values.get("params")),
        macs=finite(values.get("macs")),
        latency_ms=finite(values.get("latency_ms")),
        seconds=finite(record.seconds),
        origin=record.origin,
        parent=record.parent,
        curve=tuple(record.curve),
        order=order,
    )


def _with_costs(
    trials: tuple[TrialRow, ...], space_name: str, network: Net | None
) -> tuple[TrialRow, ...]:
    """Add parameters and MACs where the record lacks them and the space tells them."""
    if network is None or all(trial.params is not None for trial in trials):
        return trials
    shape, outputs = network.input_shape, prod(network.output_shape)

    @cache
    def spent(text: str) -> Cost | None:
        try:
            space = create(space_name, "space")
            return cost(for_space(space.name)(space.parse(text), shape, outputs))
        except NasturtiumError:
            return None

    return tuple(
        replace(trial, params=float(known.params), macs=float(known.macs))
        if trial.params is None and (known := spent(trial.architecture)) is not None
        else trial
        for trial in trials
    )


def _predictions(path: Path, task: Any) -> Predictions | None:
    if not path.is_file():
        return None
    try:
        # Opened here, as numpy leaves a file open that turns out to be no archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            if _TRUE not in arrays or _FOUND not in arrays:
                raise UserError(f"{path} holds no {_TRUE} and {_FOUND}; restore it, or run again")
            found = Predictions(arrays[_TRUE], arrays[_FOUND])
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"cannot read {path} ({error}); restore it, or run again") from None
    if found.y_true.ndim != 1 or found.y_true.shape != found.y_pred.shape:
        raise UserError(f"{path}: {_TRUE} and {_FOUND} differ in length; restore it, or run again")
    if task == "classification" and not (_classes(found.y_true) and _classes(found.y_pred)):
        raise UserError(f"{path}: a class is no whole number from 0; restore it, or run again")
    return found


def _classes(values: NDArray[Any]) -> bool:
    return bool(np.issubdtype(values.dtype, np.integer) and (values >= 0).all())
