"""`nasturtium bench`: how fast the core and the kernels are here, beside their peers."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from nasturtium.bench import RUNS, SUITES, run_suites
from nasturtium.cli.app import app
from nasturtium.errors import UserError

bench = typer.Typer(help="Measure this installation.", no_args_is_help=True)
app.add_typer(bench, name="bench")


@bench.command()
def core(
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="write the list as JSON")
    ] = None,
    suite: Annotated[
        list[str] | None,
        typer.Option(help=f"only this one, may be repeated: {', '.join(SUITES)}"),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="one run of each, not seven")] = False,
) -> None:
    """Time the core: results are checked first, then the best of seven runs.

    Each operation has its figure, those of the peers that are installed (moocore, deap), the ratio
    to the best of them, the bar and whether it is met, and the growth over three sizes.
    """
    _check_folder(json_file)
    rows = run_suites(suite or SUITES, runs=1 if quick else RUNS, on_row=_print)
    _finish(rows, json_file)


@bench.command()
def kernels(
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="write the list as JSON")
    ] = None,
    compiled: Annotated[
        bool, typer.Option("--compile", help="torch.compile as well: needs a compiler, minutes")
    ] = False,
    networks: Annotated[
        bool, typer.Option("--networks", help="whole search steps as well: some minutes, 10 GB")
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="one run of each, not seven")] = False,
) -> None:
    """Time the fused kernels beside plain torch: results first, then the best of seven runs.

    All take turns in one run; a step is forward and backward with all gradients.
    """
    _check_folder(json_file)
    measure = importlib.import_module("nasturtium.bench.kernels").measure
    rows = []
    for row in measure(1 if quick else RUNS, compiled=compiled, networks=networks):
        rows.append({"suite": "kernels", **row.as_dict()})
        _print(rows[-1])
    _finish(rows, json_file)


def _check_folder(json_file: Path | None) -> None:
    if json_file is not None and not json_file.absolute().parent.is_dir():
        raise UserError(f"there is no folder {json_file.absolute().parent}")


def _finish(rows: list[dict[str, Any]], json_file: Path | None) -> None:
    if json_file is not None:
        text = json.dumps(rows, indent=1, ensure_ascii=False)
        json_file.write_text(text + "\n", encoding="utf-8")
    missed = [row["operation"] for row in rows if row["met"] is False]
    typer.echo(f"{len(rows)} operations, {len(missed)} below their bar")


def _print(row: dict[str, Any]) -> None:
    peers = ", ".join(f"{name} {value:.4g}" for name, value in row["peers"].items())
    notes = [f"{row['ours']:.4g} {row['unit']}"]
    if peers:
        notes.append(f"({peers}; ratio {row['ratio']:.3g})")
    if row["bar"] is not None:
        state = {True: "met", False: "missed", None: "no peer"}[row["met"]]
        notes.append(f"bar {row['bar']:.3g}: {state}")
    if row["exponent"] is not None:
        notes.append(f"n^{row['exponent']:.2f}")
    typer.echo(f"{row['operation']:64} {'  '.join(notes)}")
