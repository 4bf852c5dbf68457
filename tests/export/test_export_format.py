"""Text that becomes source: literals, docstrings, layout; and files that appear in one step."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasturtium.errors import ExportError
from nasturtium.export import write_atomic
from nasturtium.export.format import WIDTH, assign, docstring_text, list_constant, literal

HOSTILE = [
    "quote \" and ' both",
    '"""',
    "'''",
    "back\\slash",
    "line\nbreak\r\n",
    "\u202ereversed",
    "\u2028separator",
    "\x00\x07",
    "\ud800",
    "😀 ünï",
    "",
    "{braces} %s \\N{BULLET}",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_literal_reads_back(text: str) -> None:
    assert ast.literal_eval(literal(text)) == text


@given(st.text(st.characters(), max_size=30))
def test_literal_reads_back_for_any_text(text: str) -> None:
    written = literal(text)
    assert ast.literal_eval(written) == text
    assert written.isprintable()


@given(st.lists(st.text(st.characters(), max_size=12), max_size=12))
def test_list_constant_reads_back(items: list[str]) -> None:
    lines = list_constant("NAMES", items)
    statement = ast.parse("\n".join(lines)).body[0]
    assert isinstance(statement, ast.Assign)
    assert ast.literal_eval(statement.value) == items


@given(st.text(st.characters(), max_size=40))
def test_docstring_holds_any_text(text: str) -> None:
    module = ast.parse(f'"""Target: {docstring_text(text)}."""\nmarker = 1\n')
    assert len(module.body) == 2
    shown = "".join(character if character.isprintable() else " " for character in text)
    assert ast.get_docstring(module, clean=False) == f"Target: {shown}."


def test_assign_breaks_long_lines_without_changing_them() -> None:
    names = [f"a_rather_long_variable_{i}" for i in range(8)]
    for text in (" + ".join(names), f"torch.cat(({', '.join(names)}), dim=1)", "short(x)"):
        value = ast.parse(text, mode="eval").body
        lines = assign("y", value, indent=0)
        assert max(map(len, lines)) <= WIDTH
        again = ast.parse("\n".join(lines)).body[0]
        assert isinstance(again, ast.Assign)
        assert ast.dump(again.value) == ast.dump(value)


def test_write_atomic_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a file with ünicode.txt"
    assert write_atomic(path, "first") == path
    write_atomic(path, b"second \xff")
    assert path.read_bytes() == b"second \xff"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    plain = tmp_path / "plain"
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode


def test_write_atomic_keeps_the_old_file_when_the_disk_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kept.txt"
    write_atomic(path, "old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ExportError, match=r"kept.txt: No space left on device"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept.txt"]


def test_write_atomic_names_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"cannot write .*nowhere.*No such file") as error:
        write_atomic(tmp_path / "nowhere" / "file", "text")
    assert "\n" not in str(error.value)
