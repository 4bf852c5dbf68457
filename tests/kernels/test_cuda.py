"""The CUDA kernel: what nvcc makes of it, and, run on the CPU, what it computes."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from test_separable_bank import Case

from nasturtium.kernels import KernelFallback, dispatch, gpu, separable_bank
from nasturtium.kernels.separable import cuda
from nasturtium.kernels.separable.ops import explain
from nasturtium.testing.edges import error

launch = pytest.importorskip("nasturtium.kernels.separable.launch", reason="triton is missing")
tiles = pytest.importorskip("nasturtium.kernels.separable.tiles")

PLACE = Path(__file__).parent
FILTERS = [(k, d, s) for k in (3, 5) for d in (1, 2) for s in (1, 2)]


@pytest.mark.parametrize("architecture", [80, 90])
def test_what_the_compiler_makes_of_it(architecture, tmp_path):
    if gpu.nvcc() is None:
        pytest.skip("nvcc is not installed")
    said = cuda.compiled(architecture, tmp_path / "kernel.cubin")
    registers = [int(n) for n in re.findall(r"Used (\d+) registers", said)]
    assert len(registers) == 2 * len(FILTERS) and max(registers) <= 128
    assert set(re.findall(r"(\d+) bytes spill", said)) == {"0"}
    assert max(int(n) for n in re.findall(r"(\d+) bytes smem", said)) <= 48 * 1024
    assert set(re.findall(r"used (\d+) barriers", said)) == {"1"}


def test_its_loads_are_wide(tmp_path):
    if gpu.nvcc() is None:
        pytest.skip("nvcc is not installed")
    path = tmp_path / "kernel.ptx"
    command = [gpu.nvcc(), "-std=c++17", "-ptx", "-arch=sm_80", "-o", path, cuda.SOURCE]
    subprocess.run(command, check=True)
    bodies = re.split(r"\.visible \.entry ", path.read_text())[1:]
    assert len(bodies) == 2 * len(FILTERS)
    for body in bodies:
        wide = len(re.findall(r"ld\.global\S*\.v4", body))
        assert (wide > 0) == ("_4(" in body.split("\n")[0]), body[:80]
        assert body.count("bar.sync") == 1


@pytest.fixture(scope="module")
def on_the_cpu(tmp_path_factory):
    """The kernels, compiled by the C++ compiler, as functions of grid, threads and arguments."""
    compiler = os.environ.get("CXX") or shutil.which("g++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    folder = tmp_path_factory.mktemp("cuda")
    kinds = "const float*, const float*, float*, int, const float*, const float*, const float*,"
    kinds += "float, int, int, int, int, int, int, int, int, int"
    names = "abcdefghijklmnopq"
    pairs = ", ".join(f"{k} {n}" for k, n in zip(kinds.split(","), names, strict=True))
    wrappers = "".join(
        f'extern "C" void run_{k}_{d}_{s}_{v}(unsigned x, unsigned y, unsigned t, {pairs}) {{'
        f" run_blocks(depthwise_weights_{k}_{d}_{s}_{v}, x, y, t, {', '.join(names)}); }}\n"
        for k, d, s in FILTERS
        for v in (1, 4)
    )
    source = folder / "host.cc"
    source.write_text(f'#include "cuda_host.hpp"\n#include "{cuda.SOURCE}"\n{wrappers}')
    library = folder / "host.so"
    subprocess.run(
        [compiler, "-std=c++20", "-O1", "-Wall", "-Werror", "-Wno-unknown-pragmas", "-shared",
         "-fPIC", "-pthread", f"-I{PLACE}", str(source), "-o", str(library)],
        check=True,
    )  # fmt: skip
    return ctypes.CDLL(str(library))


@pytest.mark.parametrize("form", [tiles.RAW, tiles.SCALED, tiles.NORMED])
@pytest.mark.parametrize(("side", "dilation", "stride"), FILTERS)
def test_on_the_cpu_it_computes_the_gradient(on_the_cpu, side, dilation, stride, form):
    for shape in ((2, 4, 9, 11), (1, 3, 6, 5), (2, 8, 1, 7)):
        case = Case(shape, ((side, dilation),), stride=stride, affine=form == tiles.SCALED)
        own = [t.detach() for t in case.inputs(torch.float32)]
        x = own[0].contiguous(memory_format=torch.channels_last)
        c = shape[1]
        statistics = launch.Statistics(torch.rand(2, c), torch.rand(2, c) + 0.5, 1e-5)
        if form == tiles.NORMED:
            mean, variance = (
                t[1].double().view(-1, 1, 1) for t in (statistics.mean, statistics.variance)
            )
            case.x = (case.x.double() - mean) / (variance + 1e-5).sqrt()
        exact = case.derive("reference", torch.float64)[4]
        grad = case.grads[0]
        middle = torch.einsum("nohw,oi->nhwi", grad, own[2][:, :, 0, 0]).contiguous()
        shift = -dilation * (side // 2)
        f = launch.Filter(x, own[1], own[2], grad, 0, dilation, shift, before=1)
        both = torch.stack(case.affine) if case.affine else None
        bank = launch.Bank((f,), shape, tuple(grad.shape[2:]), stride, statistics, int(form), both)
        shares = torch.full((bank.units.count, own[1].numel() + 5), float("nan"))
        ((name, grid, values),) = cuda.calls(bank, [middle], shares, [5])
        assert name.endswith("_4") == (c % 4 == 0)
        run = getattr(on_the_cpu, name.replace("depthwise_weights", "run"))
        run(*map(ctypes.c_uint, (*grid, cuda.THREADS)), *values)
        found = shares[:, 5:].double().sum(0).view_as(exact)
        assert error(found, exact) < 1e-6 and shares[:, :5].isnan().all()


def test_a_backward_pass_takes_it_in_the_place_of_tritons(monkeypatch):
    taken = []
    monkeypatch.setattr(gpu, "cuda_obstacle", lambda device: "")
    monkeypatch.setattr(cuda, "depthwise_weights", lambda bank, middles, shares, places: (
        taken.append(places), shares.zero_()))  # fmt: skip
    implementations = {k: dict(v) for k, v in dispatch._implementations.items()}
    monkeypatch.setattr(dispatch, "_implementations", implementations)
    gpu.register_cuda("separable_bank", "nasturtium.kernels.separable.gpu")
    case = Case((2, 3, 4, 5), ((3, 1), (5, 2)), affine=False)
    found, ours = case.derive("cuda"), case.derive("triton")
    assert taken == [[0, 36]] and not cuda.in_use()
    assert all(torch.equal(a, b) for a, b in zip(found[:5], ours[:5], strict=True))
    assert not found[5].any() and not found[7].any() and ours[5].any() and ours[7].any()


def test_it_is_chosen_by_name_and_only_on_a_gpu(monkeypatch):
    monkeypatch.setattr(dispatch, "_warned", set())
    case = Case((2, 3, 4, 5), ((3, 1),))
    monkeypatch.setenv(dispatch.VARIABLE, "cuda")
    choice = explain(case.x, case.weights, dilations=[1])
    assert (choice.name, choice.reason) == ("reference", "no cuda kernel for device cpu")
    with pytest.warns(KernelFallback, match="no cuda kernel"):
        separable_bank(case.x, case.weights, dilations=[1])
    monkeypatch.setattr(gpu, "nvcc", lambda: None)
    assert "nvcc" in gpu.cuda_obstacle("cuda")


def test_short_images_are_widened_and_others_are_not_copied():
    short, whole = torch.randn(2, 1, 3, 3, 8).bfloat16().unbind(0)[0], torch.randn(1, 8, 3, 3)
    weight = torch.randn(8, 1, 3, 3)
    filters = tuple(launch.Filter(x, weight, weight, whole, 0) for x in (short, whole))
    statistics = launch.Statistics(torch.zeros(1, 8), torch.ones(1, 8), 0.0)
    bank = launch.Bank(filters, (1, 8, 3, 3), (3, 3), 1, statistics)
    first, second = (f.image for f in cuda.widened(bank).filters)
    assert first.dtype == torch.float32 and torch.equal(first, short.float())
    assert second is whole


def test_where_the_compiler_is_looked_for(monkeypatch, tmp_path):
    own = tmp_path / "nvidia" / "cu13" / "bin" / "nvcc"
    own.parent.mkdir(parents=True)
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("NVCC", raising=False)
    assert gpu.nvcc() == str(own)
    monkeypatch.setenv("PATH", str(tmp_path / "nvidia" / "cu13" / "bin"))
    assert gpu.nvcc() == str(own)
    monkeypatch.setenv("NVCC", "/nowhere/nvcc")
    assert gpu.nvcc() is None
