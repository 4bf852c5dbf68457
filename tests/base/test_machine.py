from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

import pytest

from nasturtium import machine


def test_versions_are_those_of_the_packages() -> None:
    found = machine.versions(("numpy", "no-such-package"))
    assert found == {"numpy": version("numpy"), "no-such-package": None}


def test_processor_and_cores_agree_with_the_system() -> None:
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        pytest.skip("there is no /proc/cpuinfo to compare with")
    text = info.read_text()
    assert machine.processor() in text
    assert machine.flags() <= set(text.split())
    assert 1 <= machine.cores() <= (os.cpu_count() or 1)


def test_commit_outside_of_a_checkout(tmp_path: Path) -> None:
    assert machine.commit(tmp_path) == "unknown"
    assert machine.measured_with(("numpy",), checkout=tmp_path)["commit"] == "unknown"
