"""The programs of this folder, compiled with a sanitizer, and the spaces that they work on."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from mutate import write_texts
from sanitizers import ADDRESS, THREAD, Sanitized


def _build(factory: pytest.TempPathFactory, name: str, flags: tuple[str, ...]) -> Sanitized:
    if shutil.which("g++") is None:
        pytest.skip("no g++ on the path")
    return Sanitized(factory.mktemp(name), flags)


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Sanitized:
    return _build(tmp_path_factory, "address", ADDRESS)


@pytest.fixture(scope="session")
def thread(tmp_path_factory: pytest.TempPathFactory) -> Sanitized:
    return _build(tmp_path_factory, "thread", THREAD)


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_texts(tmp_path_factory.mktemp("texts"))
