"""The report's page: one HTML file that needs nothing else."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from functools import cache
from importlib.resources import files
from pathlib import Path

from jinja2 import DictLoader, Environment, StrictUndefined, Template
from markupsafe import Markup

from nasturtium.errors import UserError
from nasturtium.report.content import (
    by_rung,
    data_rows,
    facts,
    flat,
    phase_keys,
    phases,
    run_rows,
    table,
    usage,
    warnings,
)
from nasturtium.report.data import ReportData
from nasturtium.report.drawing import draw
from nasturtium.report.figures import (
    Figure,
    anytime,
    learning_curves,
    time_bar,
    tradeoff,
)
from nasturtium.report.loader import load
from nasturtium.report.results import intervals_figure, result_classes, result_figures
from nasturtium.report.scales import duration, percent
from nasturtium.report.svg import sentence
from nasturtium.report.verdict import summary, verdict

# A printed table of thousands of rows serves nobody; the file keeps them all.
_PRINTED = 60


def render(folder: str | Path) -> Path:
    """Write ``report.html`` into a run's folder, replacing an older one in one step.

    Args:
        folder: a run's folder with ``result.json`` and, as far as the run got, ``study.db`` and
            ``predictions.npz``.

    Returns:
        The path of the page.

    Raises:
        UserError: the folder holds no result, a damaged one, or cannot be written.
        StudyError: the record of the trials is damaged.
    """
    root = Path(folder)
    text = compose(load(root))
    target = root / "report.html"
    temporary = root / f".report.html.{secrets.token_hex(6)}.tmp"
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, target)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise UserError(f"cannot write {target}: {error.strerror or error}") from error
    return target


def compose(data: ReportData) -> str:
    """The page as text; every name in it is escaped."""
    found = verdict(data)
    results = result_figures(data)
    intervals = intervals_figure(data)
    return _template().render(
        style=Markup(_resource("style.css")),
        script=Markup(_resource("script.js")),
        data=data,
        result=data.result,
        verdict=found,
        counted=summary(found.comparisons),
        facts=facts(data),
        network=_network(data),
        known=_KNOWN if data.get("known_design") else None,
        finalists=_finalists(data),
        results=results,
        intervals=intervals,
        search=_search_figures(data),
        table=table(data.trials),
        rungs=by_rung(data.trials),
        classes=result_classes(data),
        statuses=sorted({t.status for t in data.trials}),
        printed=_PRINTED,
        time=time_bar(phases(data)),
        phases=phase_keys(data),
        usage=usage(data),
        repeat=run_rows(data),
        described=data_rows(data),
        environment=flat(data.get("environment")),
        budget=flat(data.get("budget")),
        limits=flat(data.get("limits")),
        exports=flat(data.get("exports")),
        warnings=warnings(data),
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=DictLoader({"page": _resource("template.html")}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(duration=duration, percent=percent)
    return environment.get_template("page")


def _resource(name: str) -> str:
    return files("nasturtium.report").joinpath(name).read_text(encoding="utf-8")


_KNOWN = (
    "At another scale it is one of the designs that the search began with: nothing that the search "
    "proposed beyond them was better."
)


def _finalists(data: ReportData) -> str | None:
    """Who was left in the end, in words; None where there was no last round."""
    left = data.get("finalists") or ()
    said = [
        f"trial {f['trial']} with {f['params']:,.0f} parameters"
        + ("" if f["validation_score"] is None else f" ({f['validation_score']:.4f})")
        for f in left
    ]
    if not said:
        return None
    return (
        "The search compares at a scale that short trainings can judge. Its best trials, or its "
        "best one and the known design that it began with, were then trained at the largest width "
        "and resolution that the time and the limits allow: " + ", ".join(said) + ". The first of "
        "them is the found network."
    )


def _network(data: ReportData) -> Markup:
    if data.network is None:
        return sentence("The layers of the network were not saved.")
    return draw(data.network)


def _search_figures(data: ReportData) -> list[Figure]:
    if not data.trials:
        return []
    figures = [anytime(data, "seconds"), anytime(data, "trials")]
    figures.append(tradeoff(data, "parameters", lambda t: t.params))
    latency = [t for t in data.trials if t.latency_ms is not None]
    if latency:
        figures.append(tradeoff(data, "latency in ms", lambda t: t.latency_ms))
    else:
        figures.append(tradeoff(data, "multiply-adds", lambda t: t.macs))
    figures.append(learning_curves(data))
    return figures
