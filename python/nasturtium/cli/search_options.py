"""What the options of `nasturtium search` are, by their names; the command has their defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from nasturtium.job.config import parse_count, parse_milliseconds, parse_seconds

Data: TypeAlias = Annotated[
    str,
    typer.Argument(
        help="digits, an .npz with x and y, a CSV or Parquet file, or a folder of images"
    ),
]

# What is searched, and how.
Space: TypeAlias = Annotated[
    str | None, typer.Option(help="search space; follows from the data unless named")
]
Method: TypeAlias = Annotated[
    str, typer.Option(help="search method, such as 'regularized_evolution(population=20)'")
]
Time: TypeAlias = Annotated[
    float | None,
    typer.Option(
        parser=parse_seconds,
        metavar="TIME",
        help="time for everything, such as 90s, 2m or 1h  [default: 2m]",
        show_default=False,
    ),
]
Trials: TypeAlias = Annotated[
    int | None,
    typer.Option(help="number of trials of the search, instead of --time", show_default=False),
]

# What the data mean.
Target: TypeAlias = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="a table's target column")
]
Task: TypeAlias = Annotated[
    str | None,
    typer.Option(help="classification or regression; told apart by the target unless named"),
]
Metric: TypeAlias = Annotated[
    str | None, typer.Option(help="accuracy, balanced_accuracy or log_loss; rmse or mae")
]
Test: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="file with the test part; a fifth of the data unless named"),
]
Group: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="column whose equal rows stay in one part of the split"),
]

# Limits.
MaxParams: TypeAlias = Annotated[
    int | None,
    typer.Option(parser=parse_count, metavar="N", help="largest number of parameters, such as 10k"),
]
MaxMacs: TypeAlias = Annotated[
    int | None,
    typer.Option(
        parser=parse_count,
        metavar="N",
        help="largest number of multiply-adds of one prediction, such as 5M",
    ),
]
MaxLatency: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--max-latency",
        parser=parse_milliseconds,
        metavar="TIME",
        help="largest latency at batch 1 on one thread, such as 2ms",
    ),
]
MaxEpochs: TypeAlias = Annotated[
    int | None, typer.Option(help="most epochs of any training", show_default=False)
]

# What the found network is compared with.
Baseline: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="FILE.py:CLASS", help="your own network to compare with: its file is run"),
]
Baselines: TypeAlias = Annotated[
    str, typer.Option(help="quick: estimate random search; full: run it at equal cost; none")
]

# Where it runs, and what it leaves.
Device: TypeAlias = Annotated[str, typer.Option(help="auto, cpu or cuda")]
Seed: TypeAlias = Annotated[int, typer.Option(help="with --trials one seed gives one run")]
Workers: TypeAlias = Annotated[int, typer.Option(help="processes that train; 0: this one")]
Out: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="folder of the run  [default: runs/<name of the data>]", show_default=False),
]
Resume: TypeAlias = Annotated[bool, typer.Option("--resume", help="continue the run in the folder")]
Overwrite: TypeAlias = Annotated[
    bool, typer.Option("--overwrite", help="remove the run in the folder first")
]
Quiet: TypeAlias = Annotated[bool, typer.Option("--quiet", "-q", help="say nothing but the result")]
