"""Which implementation is picked, what is said of it, and kernels of users' own."""

from __future__ import annotations

import doctest
import importlib
import os
import subprocess
import sys

import pytest
import torch
from test_normalize_and_mix import derive, exactly, running, tensors

from nasturtium.cli.app import run
from nasturtium.kernels import KernelFallback, Running, dispatch, example, gpu, normalize_and_mix
from nasturtium.kernels.mix.ops import NAME, explain
from nasturtium.testing.edges import within


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """The implementations as they were, after each test."""
    monkeypatch.setattr(
        dispatch, "_implementations", {k: dict(v) for k, v in dispatch._implementations.items()}
    )
    monkeypatch.setattr(dispatch, "_warned", set())


def test_a_kernel_of_ones_own_runs_as_the_others_do(monkeypatch):
    example.register()
    branches, alpha, grad = tensors((2, 3, 4, 5), 3)
    flags = [True, False, True]
    ours = derive(branches, alpha, grad, "double", normalized=flags)
    eager = derive(branches, alpha, grad, "reference", normalized=flags)
    exact = exactly(branches, alpha, grad, normalized=flags)
    for a, b, c in zip(ours, eager, exact, strict=True):
        assert within(a, b, c, times_eager=1, epsilons=4)
    own = running(3, 2)
    more = {"normalized": flags, "training": False}
    double = Running([m.double() for m in own.means], [v.double() for v in own.variances])
    found = derive(branches, alpha, grad, "double", running=own, **more)
    exact = exactly(branches, alpha, grad, running=double, **more)
    assert all(within(a, a, c, times_eager=0, epsilons=16) for a, c in zip(found, exact,
                                                                          strict=True))  # fmt: skip
    monkeypatch.setenv(dispatch.VARIABLE, "double")
    both = ([b.requires_grad_() for b in branches], alpha.requires_grad_())
    none = torch.empty(0)
    torch.library.opcheck(
        torch.ops.nasturtium.normalize_and_mix, (*both, none, none, flags, True, 1e-5)
    )


def test_the_example_of_the_documentation_runs(monkeypatch):
    monkeypatch.setenv(dispatch.VARIABLE, "auto")
    names = {"importlib": importlib, "os": os, "torch": torch}
    done = doctest.testmod(example, extraglobs=names)
    assert done.attempted >= 6 and done.failed == 0


def test_an_automatic_kernel_that_comes_first_is_taken(monkeypatch):
    branches, alpha, _ = tensors((2, 3, 4, 5), 2)
    own = example
    dispatch.register(NAME, "mine", lambda: own, automatic=("cpu",))
    assert explain(branches, alpha).name == "cpu"
    dispatch.register(NAME, "mine", lambda: own, automatic=("cpu",), first=True)
    before = dispatch.ran.copy()
    normalize_and_mix(branches, alpha)
    assert (dispatch.ran - before) == {(NAME, "mine"): 1}
    dispatch.register(NAME, "mine", lambda: own, obstacle=lambda device: "not today",
                      automatic=("cpu",), first=True)  # fmt: skip
    assert explain(branches, alpha).name == "cpu"
    monkeypatch.setenv(dispatch.VARIABLE, "mine")
    with pytest.warns(KernelFallback, match="not today"):
        normalize_and_mix(branches, alpha)
    normalize_and_mix(branches, alpha)  # warnings are errors here


@pytest.mark.parametrize("name", ["auto", "reference", ""])
def test_names_that_mean_something_else(name):
    with pytest.raises(ValueError, match="cannot be called"):
        dispatch.register(NAME, name, "nowhere")


def test_an_unknown_mode_names_the_known_ones(monkeypatch):
    example.register()
    monkeypatch.setenv(dispatch.VARIABLE, "quick")
    with pytest.raises(ValueError, match="auto, reference, cpu, triton, cuda, double"):
        dispatch.mode()


def test_what_is_picked_on_a_gpu(monkeypatch):
    importlib.import_module("nasturtium.kernels.separable.ops")  # which registers its kernels

    def picked(operator=NAME):
        choice = dispatch.choose(operator, device="cuda", dtype="torch.float32")
        return choice.name, choice.reason

    def find(name):
        return object() if name == there else None

    there = "triton"
    monkeypatch.setattr(gpu, "find_spec", find)
    monkeypatch.setattr(gpu.metadata, "version", lambda name: "9")
    assert picked()[0] == "triton" and "triton 9" in picked()[1]
    monkeypatch.setenv(dispatch.VARIABLE, "cpu")
    assert picked() == ("reference", "no cpu kernel for device cuda")
    monkeypatch.setenv(dispatch.VARIABLE, "cuda")
    monkeypatch.setattr(gpu, "nvcc", lambda: "/somewhere/nvcc")
    assert picked("separable_bank")[0] == "cuda"
    assert picked() == ("reference", "no cuda kernel for device cuda")
    monkeypatch.setattr(gpu, "nvcc", lambda: None)
    assert "nvcc" in picked("separable_bank")[1]
    there = ""
    monkeypatch.setenv(dispatch.VARIABLE, "auto")
    assert picked()[0] == "reference" and "pip install" in picked()[1]


PLAIN = """
import sys
import torch
from nasturtium.kernels import normalize_and_mix, dispatch
from nasturtium.kernels.mix.ops import explain
x = [torch.zeros(2, 3, 4, 4)]
print(explain(x, torch.ones(1)))
normalize_and_mix(x, torch.ones(1))
assert dispatch.ran == {("normalize_and_mix", "reference"): 1}
assert "nasturtium.kernels.tiles" not in sys.modules
"""


def test_without_the_interpreter_triton_says_why_not():
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", PLAIN],
        env={**environment, dispatch.VARIABLE: "triton"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "reference" in done.stdout
    if gpu.find_spec("triton") is not None:
        assert "TRITON_INTERPRET" in done.stdout
        assert "KernelFallback" in done.stderr and "TRITON_INTERPRET" in done.stderr


def test_importing_the_kernels_imports_neither_torch_nor_triton():
    code = "import sys, nasturtium.kernels; print({'torch', 'triton'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_doctor_says_what_is_picked_and_why(capsys):
    run(["doctor"])
    text = capsys.readouterr().out
    assert "normalize_and_mix on cpu" in text and "mixed_operation on cuda" in text
    assert "CUDA compiler" in text and "triton [triton]" in text
