"""A space, an optimizer and evaluators small enough to reason about."""

from __future__ import annotations

import ctypes
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nasturtium.errors import SpaceExhausted
from nasturtium.evaluators.base import Result
from nasturtium.search.base import Observation, Proposal


@dataclass(frozen=True)
class Word:
    """An architecture: a word of five letters."""

    text: str

    def __str__(self) -> str:
        return f"words:{self.text}"


@dataclass(frozen=True)
class Words:
    """The space of words."""

    name: str = "words"
    fingerprint: str = "0" * 64

    def parse(self, text: str) -> Word:
        assert text.startswith("words:")
        return Word(text.removeprefix("words:"))


@dataclass
class Chain:
    """Proposes a digest of all that it was asked and told: any difference shows at once."""

    seed: int
    limit: int | None = None
    space: Words = field(default_factory=Words)
    asked: int = 0
    told: list[int] = field(default_factory=list)
    digest: str = ""

    def ask(self, n: int = 1) -> list[Proposal]:
        return [self._next() for _ in range(n)]

    def _next(self) -> Proposal:
        if self.limit is not None and self.asked >= self.limit:
            raise SpaceExhausted("all words were proposed")
        word = self._hash("ask", self.asked)[:5]
        parent = self.asked - 1 if self.asked else None
        stop = {1: 0.25} if self.asked % 3 == 0 else {}
        self.asked += 1
        return Proposal(Word(word), {"epochs": 1 + self.asked % 2}, "chain", parent, stop)  # type: ignore[arg-type]

    def tell(self, observations: Sequence[Observation]) -> None:
        for seen in observations:
            self.told.append(seen.number)
            text = f"{seen.proposal}|{seen.status}|{seen.score!r}|{seen.values}|{seen.curve}"
            self.digest = self._hash(text, seen.number)

    def state(self) -> dict[str, Any]:
        return {"asked": self.asked, "digest": self.digest}

    def load(self, state: Mapping[str, Any]) -> None:
        self.asked, self.digest = state["asked"], state["digest"]

    def _hash(self, text: str, number: int) -> str:
        return hashlib.sha256(f"{self.seed}|{self.digest}|{text}|{number}".encode()).hexdigest()


def score_of(arch: object, seed: int) -> float:
    """The score that `Scored` gives: a function of architecture and seed."""
    digest = hashlib.sha256(f"{arch}|{seed}".encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32


@dataclass(frozen=True)
class Scored:
    """Sleeps and scores; words that begin with a digit take longer, so that trials overtake."""

    seconds: float = 0.0

    def evaluate(
        self, arch: Any, fidelity: Mapping[str, int], seed: int, *, stop: Mapping[int, float] = {}
    ) -> Result:
        time.sleep(self.seconds * (2.0 if str(arch)[6].isdigit() else 0.5))
        score = score_of(arch, seed)
        return Result("ok", score, {"params": 10.0}, (score / 2, score))


@dataclass(frozen=True)
class Misbehaving:
    """Does to the worker what `how` says, every time or until a marker file says enough."""

    how: str
    folder: str
    times: int = 1_000_000

    def evaluate(
        self, arch: Any, fidelity: Mapping[str, int], seed: int, *, stop: Mapping[int, float] = {}
    ) -> Result:
        done = len(list(Path(self.folder).glob("call-*")))
        Path(self.folder, f"call-{time.time_ns()}-{os.getpid()}").touch()
        if done < self.times:
            self._misbehave()
        return Result("ok", score_of(arch, seed))

    def _misbehave(self) -> None:
        if self.how == "exit":
            os._exit(7)
        elif self.how == "segfault":
            ctypes.string_at(0)
        elif self.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.how == "hang":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            Path(self.folder, "child").write_text(str(child.pid))
            time.sleep(600)
        elif self.how == "raise":
            raise ValueError("no such layer")
        elif self.how == "sys.exit":
            sys.exit(3)


@dataclass(frozen=True)
class Returning:
    """Returns whatever it is told to."""

    value: Any

    def evaluate(
        self, arch: Any, fidelity: Mapping[str, int], seed: int, *, stop: Mapping[int, float] = {}
    ) -> Any:
        return self.value


def running(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def wait_until(condition: Any, seconds: float = 10.0) -> bool:
    """Whether the condition comes true within the time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return bool(condition())
