"""The `nasturtium` command: its application, which command modules join, and its errors."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from nasturtium.errors import ExportError, UserError, nearest
from nasturtium.version import version

__all__ = ["app", "cmake_dir", "main", "run"]

INTERRUPTED = 130
# Typer brings its own click or uses the installed one; the base of its usage errors says which.
_USAGE: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
_MODULES = {
    "search": "search",
    "report": "report",
    "export": "export",
    "predict": "export",
    "methods": "methods",
    "spaces": "methods",
    "doctor": "doctor",
    "bench": "bench",
}

app = typer.Typer(
    name="nasturtium",
    help="Neural architecture search: from a data set to a found and verified network.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def cmake_dir() -> Path:
    """The folder that a C++ program gives CMake as `nasturtium_DIR`.

    Raises UserError where the package was not built by its installation.
    """
    folder = Path(__file__).resolve().parents[1] / "lib" / "cmake" / "nasturtium"
    if (folder / "nasturtiumConfig.cmake").is_file():
        return folder
    for entry in importlib.import_module("nasturtium").__path__:
        folder = Path(entry) / "lib" / "cmake" / "nasturtium"
        if (folder / "nasturtiumConfig.cmake").is_file():
            return folder
    raise UserError("no CMake package is installed; install nasturtium with: pip install .")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nasturtium {version()}")
        raise typer.Exit


def _print_cmake_dir(wanted: bool) -> None:
    if wanted:
        typer.echo(cmake_dir())
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="print the version and exit"
        ),
    ] = False,
    cmake_dir: Annotated[
        bool,
        typer.Option(
            "--cmake-dir",
            callback=_print_cmake_dir,
            is_eager=True,
            help="print the folder of the CMake package and exit",
        ),
    ] = False,
) -> None:
    """Options that stand before the command."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0: done; 2: the input is wrong, one line on stderr says what and what to do; 130: interrupted.
    Other exceptions are errors of the library and keep their traceback.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _load(given)
        code = app(args=given, prog_name="nasturtium", standalone_mode=False)
    except ExportError as error:
        return _fail(str(error), 1)
    except UserError as error:
        return _fail(str(error), 2)
    except _USAGE as error:
        return _fail(error.format_message(), 2)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", INTERRUPTED)
    if code == INTERRUPTED:  # what typer makes of a Ctrl-C
        return _fail("interrupted", INTERRUPTED)
    return code if isinstance(code, int) else 0


def _load(arguments: Sequence[str]) -> None:
    """Import the module of the command that is called, or all of them for the help."""
    command = next((a for a in arguments if not a.startswith("-")), "")
    if command in _MODULES:
        needed = {_MODULES[command]}
    elif {"--version", "--cmake-dir"} & set(arguments):
        needed = set()
    elif command:
        raise UserError(f'unknown command "{command}"; {nearest(command, _MODULES)}')
    else:
        needed = set(_MODULES.values())
    for module in sorted(needed):
        importlib.import_module(f"nasturtium.cli.{module}")


def main() -> int:
    """Entry point of the command."""
    return run()


def _fail(message: str, code: int) -> int:
    line = " ".join(message.split())
    printable = "".join(c if c.isprintable() else "?" for c in line)
    typer.echo(f"nasturtium: {printable}", err=True)
    return code
