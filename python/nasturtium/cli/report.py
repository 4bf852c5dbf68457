"""`nasturtium report DIR`: the page of a run, drawn again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nasturtium.cli.app import app
from nasturtium.errors import UserError


@app.command()
def report(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="folder of a run", show_default=False)
    ],
) -> None:
    """Write report.html of the run in DIR anew and print its path."""
    from nasturtium.report import render

    if not (folder / "result.json").is_file():
        begun = (folder / "study.db").is_file()
        hint = "; continue it with nasturtium search ... --resume" if begun else ""
        raise UserError(f"{folder} holds no finished run{hint}")
    typer.echo(render(folder))
