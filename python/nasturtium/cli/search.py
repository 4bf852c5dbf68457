"""`nasturtium search DATA`: from a data set to a found and verified network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from nasturtium.cli.app import app
from nasturtium.job.config import SearchConfig, parse_count, parse_milliseconds, parse_seconds


@app.command()
def search(
    context: typer.Context,
    data: Annotated[
        str,
        typer.Argument(
            help="digits, an .npz with x and y, a CSV or Parquet file, or a folder of images"
        ),
    ],
    space: Annotated[
        str | None, typer.Option(help="search space; follows from the data unless named")
    ] = None,
    method: Annotated[
        str, typer.Option(help="search method, such as 'regularized_evolution(population=20)'")
    ] = "halving_evolution",
    time: Annotated[
        str | None,
        typer.Option(
            help="time for everything, such as 90s, 2m or 1h  [default: 2m]",
            metavar="TIME",
            show_default=False,
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(help="number of trials of the search, instead of --time", show_default=False),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="a table's target column", metavar="COLUMN")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="classification or regression; told apart by the target unless named"),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="accuracy, balanced_accuracy or log_loss; rmse or mae")
    ] = None,
    test: Annotated[
        str | None,
        typer.Option(
            help="file with the test part; a fifth of the data unless named", metavar="FILE"
        ),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            help="column whose equal rows stay in one part of the split", metavar="COLUMN"
        ),
    ] = None,
    max_params: Annotated[
        str | None, typer.Option(help="largest number of parameters, such as 10k", metavar="N")
    ] = None,
    max_macs: Annotated[
        str | None,
        typer.Option(
            help="largest number of multiply-adds of one prediction, such as 5M", metavar="N"
        ),
    ] = None,
    max_latency: Annotated[
        str | None,
        typer.Option(help="largest latency at batch 1 on one thread, such as 2ms", metavar="TIME"),
    ] = None,
    max_epochs: Annotated[
        int | None, typer.Option(help="most epochs of any training", show_default=False)
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            help="your own network to compare with: its file is run", metavar="FILE.py:CLASS"
        ),
    ] = None,
    baselines: Annotated[
        str, typer.Option(help="quick: estimate random search; full: run it at equal cost; none")
    ] = "quick",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    seed: Annotated[int, typer.Option(help="with --trials one seed gives one run")] = 0,
    workers: Annotated[int, typer.Option(help="processes that train; 0: this one")] = 2,
    out: Annotated[
        Path | None,
        typer.Option(
            help="folder of the run  [default: runs/<name of the data>]", show_default=False
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="continue the run in the folder")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="remove the run in the folder first")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="say nothing but the result")
    ] = False,
) -> None:
    """Search a network for DATA, train it, compare it, and write it to a folder."""
    from nasturtium.cli.view import view
    from nasturtium.job import run_search

    given: dict[str, Any] = {
        "data": data,
        "space": space,
        "method": method,
        "time": None if time is None else parse_seconds(time),
        "trials": trials,
        "target": target,
        "task": task,
        "metric": metric,
        "test": test,
        "group": group,
        "max_params": None if max_params is None else parse_count(max_params),
        "max_macs": None if max_macs is None else parse_count(max_macs),
        "max_latency_ms": None if max_latency is None else parse_milliseconds(max_latency),
        "max_epochs": max_epochs,
        "baseline": baseline,
        "baselines": baselines,
        "device": device,
        "seed": seed,
        "workers": workers,
    }
    explicit = {name for name in given if _was_given(context, name)}
    if not resume and given["time"] is None and given["trials"] is None:
        given["time"] = 120.0
    folder = out if out is not None else Path("runs") / (Path(data).stem or "data")
    console = Console(stderr=True)
    with view(console, quiet=quiet) as progress:
        run = run_search(
            SearchConfig(**given),
            folder=folder,
            resume=resume,
            overwrite=overwrite,
            explicit={name: given[name] for name in explicit | {"data"}},
            command=["nasturtium", *sys.argv[1:]],
            progress=progress,
        )
    typer.echo(run.summary())


def _was_given(context: typer.Context, name: str) -> bool:
    option = {"max_latency_ms": "max_latency"}.get(name, name)
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"
