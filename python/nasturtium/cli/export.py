"""`nasturtium export` and `nasturtium predict`: the network out of a run, and put to use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from nasturtium.cli.app import app
from nasturtium.errors import UserError, nearest

FORMATS = ("source", "onnx", "torch-export")
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="folder of a run", show_default=False)]


@app.command()
def export(
    folder: Folder,
    format: Annotated[str, typer.Option(help="source, onnx or torch-export")] = "source",
    trial: Annotated[
        int | None,
        typer.Option(
            help="a trial other than the found one; it is trained first", show_default=False
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="folder to write to  [default: DIR, or DIR/trial-N]", show_default=False),
    ] = None,
) -> None:
    """Write the network of the run in DIR as files that need nothing of this library."""
    from nasturtium.job import export_run

    if format not in FORMATS:
        raise UserError(f"unknown --format {format!r}: {nearest(format, FORMATS)}")
    for path in export_run(folder, format=format, trial=trial, out=out):
        typer.echo(path)


@app.command()
def predict(
    folder: Folder,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="a CSV file, an image, or an .npz with x", show_default=False
        ),
    ],
) -> None:
    """Print a prediction for each row or image of FILE: class and probability, or the value."""
    script = folder / "predict.py"
    if not script.is_file():
        raise UserError(f"{folder} holds no finished run: there is no {script}")
    if not file.exists():
        raise UserError(f"there is no file {file}")
    done = subprocess.run([sys.executable, str(script), str(file)], capture_output=True, text=True)
    if done.returncode:
        raise UserError(
            done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "it failed"
        )
    typer.echo(done.stdout, nl=False)
