"""`nasturtium methods` and `nasturtium spaces`: what the registry holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from nasturtium import registry
from nasturtium.cli.app import app
from nasturtium.errors import SpaceError, UserError
from nasturtium.spaces import Space

Json = Annotated[bool, typer.Option("--json", help="print JSON")]


@app.command()
def methods(
    as_json: Json = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="print the text of METHODS.md")
    ] = False,
) -> None:
    """List every registered method, space, proxy and benchmark."""
    if as_json and markdown:
        raise UserError("--json and --markdown exclude each other")
    if markdown:
        typer.echo(registry.markdown(), nl=False)
    elif as_json:
        rows = [registry.as_dict(info) for info in registry.infos()]
        typer.echo(json.dumps(rows, indent=1, ensure_ascii=False))
    else:
        _print_table(
            ("id", "kind", "family", "what", "source"),
            [
                (i.id, i.kind, i.family, f"{i.title} ({i.year})", i.reference)
                for i in registry.infos()
            ],
        )


@app.command()
def spaces(as_json: Json = False) -> None:
    """List the search spaces with their decisions and sizes."""
    entries: list[dict[str, Any]] = []
    for info in registry.infos("space"):
        space: Space = registry.create(info.id, "space")
        entries.append(
            {
                "id": info.id,
                "names": [*info.aliases, info.id],
                "title": info.title,
                "decisions": {c.name: list(c.options) for c in space.decisions},
                "size": _size(space),
                "fingerprint": space.fingerprint,
            }
        )
    if as_json:
        typer.echo(json.dumps(entries, indent=1, ensure_ascii=False))
        return
    _print_table(
        ("name", "what", "decisions", "architectures"),
        [
            (
                e["names"][0],
                e["title"],
                str(len(e["decisions"])),
                "not counted" if e["size"] is None else f"{e['size']:,}",
            )
            for e in entries
        ],
    )


def _size(space: Space) -> int | None:
    """The number of codes, or None where constraints make it too large to be counted."""
    try:
        return space.size("genotype")
    except SpaceError:
        return None


def _print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table as wide as the terminal; where there is none, as wide as it needs."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=1000)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(head)
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(table)
