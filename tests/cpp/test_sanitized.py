"""The core as C++, compiled with all warnings as errors, under the sanitizers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sanitizers import Sanitized


def test_all_operations(address: Sanitized, texts: list[Path]) -> None:
    done = address.run("check_core", *texts)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == "4 texts\n"


def test_batches_of_graphs(address: Sanitized) -> None:
    done = address.run("check_graphs")
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr[-3000:]


def test_cells_of_nas_bench_101(address: Sanitized) -> None:
    done = address.run("check_nb101")
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr[-3000:]


@pytest.mark.parametrize("sanitizer", ["address", "thread"])
def test_bookkeeping(request: pytest.FixtureRequest, sanitizer: str) -> None:
    built: Sanitized = request.getfixturevalue(sanitizer)
    done = built.run("check_bookkeeping")
    assert (done.returncode, done.stdout) == (0, "300 rounds\n"), done.stderr[-3000:]


def test_encodings_and_distances(address: Sanitized, texts: list[Path]) -> None:
    done = address.run("check_encodings", *texts)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == "4 texts\n"


def test_encodings_and_distances_on_threads(thread: Sanitized, texts: list[Path]) -> None:
    quick = [path for path in texts if path.stem in ("nb201", "strings")]
    done = thread.run("check_encodings", *quick)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == "2 texts\n"


def test_damaged_inputs_are_refused_by_every_decoder(address: Sanitized, texts: list[Path]) -> None:
    done = address.run("fuzz", "3000", "1", *texts)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith("3000 executions; accepted: ")


@pytest.mark.parametrize(
    ("what", "code", "said"), [("overflow", None, "heap-buffer-overflow"), ("allocation", 3, "")]
)
def test_the_search_for_damage_sees_a_bad_decoder(
    address: Sanitized, what: str, code: int | None, said: str
) -> None:
    done = address.run("fuzz", "control", what)
    assert done.returncode == code if code else done.returncode != 0
    assert said in done.stderr


def test_running_out_of_memory_is_a_status(address: Sanitized, texts: list[Path]) -> None:
    done = address.run("check_memory", *texts)
    assert done.returncode == 0, done.stderr[-3000:]
    found = re.fullmatch(r"4 texts, (\d+) failures told\n", done.stdout)
    assert found and int(found.group(1)) > 1000


def test_threads_share_a_space_without_a_race(thread: Sanitized, texts: list[Path]) -> None:
    # Under this sanitizer the image cell takes longer than the others together.
    quick = [path for path in texts if path.stem != "image_cell"]
    done = thread.run("check_threads", *quick)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == "3 texts\n"


def test_the_search_for_races_sees_one(thread: Sanitized) -> None:
    done = thread.run("check_threads", "control")
    assert done.returncode != 0
    assert "data race" in done.stderr
