"""The programs of this folder, compiled with a sanitizer, and the spaces that they work on."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from sanitized import ADDRESS, THREAD, Sanitized, write_texts


@pytest.fixture(scope="session")
def builds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sanitized, Sanitized]:
    """Both at once: compiling takes longer than the tests."""
    if shutil.which("g++") is None:
        pytest.skip("no g++ on the path")
    folders = (tmp_path_factory.mktemp("address"), tmp_path_factory.mktemp("thread"))
    return Sanitized(folders[0], ADDRESS), Sanitized(folders[1], THREAD)


@pytest.fixture(scope="session")
def address(builds: tuple[Sanitized, Sanitized]) -> Sanitized:
    return builds[0]


@pytest.fixture(scope="session")
def thread(builds: tuple[Sanitized, Sanitized]) -> Sanitized:
    return builds[1]


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_texts(tmp_path_factory.mktemp("texts"))
