"""Makes the cases of this folder importable, and generated sources."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
torch.set_num_threads(1)  # the networks are too small to share out


@pytest.fixture
def run_source(tmp_path: Path) -> Callable[[str], ModuleType]:
    """Writes a text to a file and imports it from there."""

    def run(text: str) -> ModuleType:
        path = tmp_path / "model.py"
        path.write_text(text, encoding="utf-8")
        spec = importlib.util.spec_from_file_location("exported_model", path)
        assert spec is not None and spec.loader is not None
        source = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(source)
        return source

    return run
