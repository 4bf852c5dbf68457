"""For all tests: property tests draw the same examples each time and have no deadline.

Triton kernels are interpreted. Triton asks once, when a kernel is defined, its own ones when it is
first imported, by torch or anyone: so this is done before all else. The variable is set for just
that long, so that processes that tests start compile kernels as users' do.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

if find_spec("triton") is not None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        for operator in ("mixed_op", "parts"):  # whose modules have all kernels
            import_module(f"nasturtium.kernels.{operator}.gpu")
        import_module("triton.experimental.gluon")  # or Triton does so itself, on the first launch
