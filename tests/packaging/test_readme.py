"""Every code block of the README runs, in order and in one folder."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"


def _reader() -> ModuleType:
    # A name of its own: test folders are not on the path.
    path = Path(__file__).with_name("readme_blocks.py")
    spec = importlib.util.spec_from_file_location("nasturtium_readme_blocks", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


reader = _reader()
BLOCKS = reader.read(README)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readme")


@pytest.mark.parametrize("block", BLOCKS, ids=lambda b: f"line-{b.line}-{b.language}")
def test_a_block_runs(block: object, folder: Path) -> None:
    assert isinstance(block, reader.Block)
    language, text, skip = vars(block)["language"], vars(block)["text"], vars(block)["skip"]
    if skip:
        assert re.search(r"make |cmake ", text), "only what other tests run may be skipped"
        return
    if language == "python":
        command = [sys.executable, "-c", text]
    else:
        assert language == "sh", f"a block of {language!r} is neither python nor sh"
        command = ["bash", "-euo", "pipefail", "-c", text]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"


def test_the_page_starts_with_what_why_and_two_commands() -> None:
    page = README.read_text(encoding="utf-8")
    shown = [block for block in BLOCKS if not vars(block)["hidden"]]
    commands = re.findall(r"^make \w+", vars(shown[0])["text"], re.MULTILINE)
    assert commands == ["make demo", "make test"]
    assert page.index("![") < page.index("make demo")
    assert page.count("\n", 0, page.index("make demo")) < 15


def test_files_and_links_of_the_page_exist() -> None:
    page = README.read_text(encoding="utf-8")
    linked = re.findall(r"\]\(([^)#:]+)\)", page)
    named = re.findall(r"\b(?:tests|bench)/[\w/]+(?:\.\w+)?", page)
    missing = [name for name in {*linked, *named} if not (ROOT / name).exists()]
    assert missing == []


def test_the_reader_follows_its_instructions(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- readme: setup\n```python\na = 1\n```\n-->\n"
        '<!-- readme: replace "x=\\"1\\"" with "x=2" -->\n```python\nf(x="1")\n```\n'
        "<!-- readme: skip, slow -->\n```sh\nmake demo\n```\n```sh\nls\n```\n"
    )
    blocks = [vars(block) for block in reader.read(page)]
    assert [(b["text"], b["skip"], b["hidden"]) for b in blocks] == [
        ("a = 1\n", "", True),
        ("f(x=2)\n", "", False),
        ("make demo\n", "slow", False),
        ("ls\n", "", False),
    ]
    page.write_text('<!-- readme: replace "a" with "b" -->\n```sh\nls\n```\n')
    with pytest.raises(ValueError, match="does not hold 'a'"):
        reader.read(page)
