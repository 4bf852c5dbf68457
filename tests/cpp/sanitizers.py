"""Builds the core under sanitizers; as a program, before anything needs it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORE = HERE.parents[1] / "csrc"
KEPT = HERE.parents[1] / "build" / "sanitized"
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Werror")
ADDRESS = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
THREAD = ("-O1", "-fsanitize=thread")


class Sanitized:
    """The core compiled once under a sanitizer, and the programs of this folder linked to it.

    The compilation starts at once, beside what else is done, and the first program waits for it.
    What it makes is kept for the next process, as long as nothing that it is made of changes.
    """

    def __init__(self, folder: Path, flags: tuple[str, ...]) -> None:
        self.folder, self.flags = folder, flags
        self._built: dict[str, Path] = {}
        # One translation unit: most of the time would go into reading headers again.
        whole = folder / "core.cc"
        sources = sorted((CORE / "src").glob("*.cc"))
        whole.write_text("".join(f'#include "{path}"\n' for path in sources), encoding="utf-8")
        self._core = KEPT / f"{self._digest()}.o"
        self._made = self._core.with_suffix(f".{os.getpid()}")
        self._compiling = None
        if not self._core.exists():
            KEPT.mkdir(parents=True, exist_ok=True)
            self._compiling = self._compile("-c", whole, "-o", self._made)

    def _digest(self) -> str:
        """A name for all that the core's object depends on."""
        compiler = subprocess.run(["g++", "-v"], capture_output=True, check=True).stderr
        made_of = [compiler, *map(str.encode, self._command())]
        for path in sorted((*CORE.glob("src/*"), *CORE.glob("include/*/*"))):
            made_of += [path.name.encode(), path.read_bytes()]
        parts = [hashlib.sha256(part).digest() for part in made_of]
        return hashlib.sha256(b"".join(parts)).hexdigest()

    def core(self) -> Path:
        """The core's object."""
        if self._compiling is not None:
            assert self._compiling.wait() == 0, "the core does not compile"
            self._compiling = None
            self._made.replace(self._core)  # no other process sees half a file
        return self._core

    def _command(self) -> list[str]:
        include = (f"-I{CORE / 'include'}", f"-I{CORE / 'src'}")
        checked = ("-g1", "-pthread", "-D_GLIBCXX_ASSERTIONS", *WARNINGS, *self.flags)
        return ["g++", "-std=c++20", *checked, *include]

    def _compile(self, *arguments: str | Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*self._command(), *map(str, arguments)])

    def program(self, name: str) -> Path:
        """The program made of the file of that name."""
        if name not in self._built:
            target = self.folder / name
            linked = self._compile(HERE / f"{name}.cc", self.core(), "-o", target)
            assert linked.wait() == 0, f"{name}.cc does not compile"
            self._built[name] = target
        return self._built[name]

    def run(self, name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(part) for part in (self.program(name), *arguments)],
            env=environment(),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )


def environment() -> dict[str, str]:
    """The process's, without what a sanitizer's runtime would stumble over."""
    return {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        for number, flags in enumerate((ADDRESS, THREAD)):
            (Path(name) / str(number)).mkdir()
            Sanitized(Path(name) / str(number), flags).core()
