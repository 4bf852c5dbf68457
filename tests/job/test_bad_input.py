"""Whatever is wrong with the input: one line on stderr, exit code 2, nothing left behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nasturtium.cli.app import run


def _npz(path: Path, x: np.ndarray, y: np.ndarray) -> str:
    np.savez(path, x=x, y=y)
    return str(path)


def _images(n: int = 60) -> np.ndarray:
    return np.random.default_rng(0).random((n, 8, 8))


def _with(value: float) -> np.ndarray:
    x = _images()
    x[7, 3, 3] = value
    return x


def _text(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


LABELS = np.arange(60) % 3
CASES: dict[str, tuple[Callable[[Path], list[str]], str]] = {
    "missing file": (lambda p: [str(p / "no.csv")], "does not exist"),
    "no table": (lambda p: [_text(p / "a.csv", "")], "empty"),
    "unknown kind": (lambda p: [_text(p / "a.doc", "x")], "no known kind"),
    "binary as a table": (lambda p: [_bytes(p / "a.csv")], "a.csv"),
    "no npz": (lambda p: [_text(p / "a.npz", "x")], "a.npz"),
    "one class": (lambda p: [_npz(p / "a.npz", _images(), np.zeros(60, int))], "class"),
    "class with one sample": (
        lambda p: [_npz(p / "a.npz", _images(), np.array([0] * 30 + [1] * 29 + [2]))],
        "class",
    ),
    "NaN pixels": (lambda p: [_npz(p / "a.npz", _with(np.nan), LABELS)], "NaN"),
    "infinite pixels": (lambda p: [_npz(p / "a.npz", _with(np.inf), LABELS)], "inf"),
    "lengths": (lambda p: [_npz(p / "a.npz", _images(), LABELS[:50])], "50"),
    "unknown space": (lambda p: ["digits", "--space", "image_sell"], 'did you mean "image-cell"'),
    "space for images": (
        lambda p: [_npz(p / "a.npz", _images().reshape(60, 64), LABELS), "--space", "image_cell"],
        "--space image_cell",
    ),
    "unknown method": (lambda p: ["digits", "--method", "random_serch"], "random-search"),
    "wrong method argument": (
        lambda p: ["digits", "--method", "regularized_evolution(populaton=3)"],
        "population",
    ),
    "impossible limit": (lambda p: ["digits", "--max-params", "3"], "raise --max-params"),
    "time": (lambda p: ["digits", "--time", "2x"], "2x"),
    "short time": (lambda p: ["digits", "--time", "3s"], "too short"),
    "folder": (lambda p: ["digits", "--out", str(_bytes(p / "taken"))], "is a file"),
    "resume of nothing": (lambda p: ["digits", "--resume"], "no run to resume"),
    "baseline": (lambda p: ["digits", "--baseline", "no.py:Net"], "--baseline"),
    "other version": (lambda p: ["digits", "--resume", "--out", _newer(p / "run")], "version"),
}


def _bytes(path: Path) -> str:
    path.write_bytes(bytes(range(256)) * 20)
    return str(path)


def _newer(folder: Path) -> str:
    import sqlite3

    from nasturtium.study import Store

    folder.mkdir()
    Store.create(folder / "study.db", "search", config={}).close()
    with sqlite3.connect(folder / "study.db") as connection:
        connection.execute("PRAGMA user_version = 999")
    return str(folder)


@pytest.mark.parametrize("name", CASES)
def test_one_line_and_nothing_written(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, words = CASES[name]
    given = arguments(tmp_path)
    out = tmp_path / "out"
    if "--out" not in given:
        given = [*given, "--out", str(out)]
    if "--time" not in given and "--resume" not in given:
        given = [*given, "--trials", "2", "--max-epochs", "1", "--workers", "0"]
    before = sorted(tmp_path.rglob("*"))
    assert run(["search", *given]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    complaint = [line for line in said if line.startswith("nasturtium: ")]
    assert len(complaint) == 1 and said[-1] == complaint[0]
    assert words in complaint[0]
    left = [p for p in tmp_path.rglob("*") if p not in before and "study.db-" not in p.name]
    assert left == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_folder_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "locked"
    place.mkdir(mode=0o500)
    assert run(["search", "digits", "--trials", "1", "--out", str(place / "run")]) == 2
    assert "cannot be written" in capsys.readouterr().err
