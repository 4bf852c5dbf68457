"""The folder of a run: made, found again, or refused in one line."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from nasturtium.errors import RunExists, StudyError, UserError

RECORD = "study.db"
RESULT = "result.json"


def check_folder(folder: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse a folder that cannot hold the run, before any work is done and without touching it.

    Raises:
        RunExists: a run is there and neither `resume` nor `overwrite` was asked for.
        UserError: the folder holds other things, or cannot be written.
        StudyError: there is nothing to resume.
    """
    if resume and overwrite:
        raise UserError("--resume and --overwrite exclude each other: give one of them")
    has_run = (folder / RECORD).is_file()
    if resume:
        if not has_run:
            raise StudyError(f"{folder} holds no run to resume: leave --resume out to begin one")
        if not os.access(folder, os.W_OK):
            raise UserError(f"{folder} cannot be written: choose another folder with --out")
        return
    if has_run and not overwrite:
        raise RunExists(
            f"{folder} holds a run: continue it with --resume or replace it with --overwrite"
        )
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file: choose another folder with --out")
    if folder.is_dir() and not has_run and any(folder.iterdir()):
        raise UserError(f"{folder} holds other files and no run: choose another folder with --out")
    parent = next(p for p in (folder, *folder.resolve().parents) if p.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise UserError(f"{folder} cannot be written: choose another folder with --out")


def make_folder(folder: Path, *, overwrite: bool) -> None:
    """An empty folder; a run that is there goes when `overwrite` says so (see `check_folder`)."""
    try:
        if overwrite and (folder / RECORD).is_file():
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written: {error.strerror}: choose another with --out"
        ) from error
