"""Makes the slow twin importable for the tests of this folder, and interprets Triton kernels."""

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

# Triton asks once, when a kernel is defined. The variable is set for just that long, so that
# processes that tests start compile kernels as users' do.
if find_spec("triton") is not None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        import_module("nasturtium.kernels.mixed_op.gpu")
        import_module("triton.experimental.gluon")  # or Triton does so itself, on the first launch
