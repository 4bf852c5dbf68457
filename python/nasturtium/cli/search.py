"""`nasturtium search DATA`: from a data set to a found and verified network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from nasturtium.cli import search_options as options
from nasturtium.cli.app import app
from nasturtium.job.config import SearchConfig


@app.command()
def search(
    context: typer.Context,
    data: options.Data,
    space: options.Space = None,
    method: options.Method = "halving_evolution",
    time: options.Time = None,
    trials: options.Trials = None,
    target: options.Target = None,
    task: options.Task = None,
    metric: options.Metric = None,
    test: options.Test = None,
    group: options.Group = None,
    max_params: options.MaxParams = None,
    max_macs: options.MaxMacs = None,
    max_latency_ms: options.MaxLatency = None,
    max_epochs: options.MaxEpochs = None,
    baseline: options.Baseline = None,
    baselines: options.Baselines = "quick",
    device: options.Device = "auto",
    seed: options.Seed = 0,
    workers: options.Workers = 2,
    out: options.Out = None,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> None:
    """Search a network for DATA, train it, compare it, and write it to a folder."""
    from nasturtium.cli.view import view
    from nasturtium.job import run_search

    given: dict[str, Any] = {
        "data": data,
        "space": space,
        "method": method,
        "time": time,
        "trials": trials,
        "target": target,
        "task": task,
        "metric": metric,
        "test": test,
        "group": group,
        "max_params": max_params,
        "max_macs": max_macs,
        "max_latency_ms": max_latency_ms,
        "max_epochs": max_epochs,
        "baseline": baseline,
        "baselines": baselines,
        "device": device,
        "seed": seed,
        "workers": workers,
    }
    explicit = {name: given[name] for name in given if _was_given(context, name)}
    if not resume and time is None and trials is None:
        given["time"] = 120.0
    folder = out if out is not None else Path("runs") / (Path(data).stem or "data")
    with view(Console(stderr=True), quiet=quiet) as progress:
        run = run_search(
            SearchConfig(**given),
            folder=folder,
            resume=resume,
            overwrite=overwrite,
            explicit=explicit,
            command=["nasturtium", *sys.argv[1:]],
            progress=progress,
        )
    typer.echo(run.summary())


def _was_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
