"""The process that converts an exported model and runs every form of it, apart from the library."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nasturtium.errors import ExportError

__all__ = ["Conversion", "Converter", "Form"]

Form = Literal["onnx", "torch_export"]
LONGEST = 300.0  # seconds: far above any conversion, so that a stuck one ends
_PROGRAM = Path(__file__).with_name("worker.py")


@dataclasses.dataclass(frozen=True)
class Conversion:
    """What the process gave back.

    `outputs` maps a form ("source", "onnx", "torch_export") to its outputs, float32 [n, K], and
    `seconds` a step to the time it took.
    """

    outputs: Mapping[str, NDArray[np.float32]]
    seconds: Mapping[str, float]


class Converter:
    """One process `python -I` that has torch and cannot import nasturtium; used once.

    A converter that is made before it is needed imports and compiles its tables meanwhile, about
    five seconds' work on one core. It is a context manager: leaving it ends the process.
    """

    def __init__(self, *, prepare: Sequence[Form] = ()) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(_PROGRAM), *prepare],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
        )

    def run(
        self,
        source: Path,
        weights: Path,
        inputs: NDArray[np.float32],
        *,
        write: Mapping[Form, Path] | None = None,
        run: Mapping[Form, Path] | None = None,
        metadata: Mapping[str, str] | None = None,
        output_name: str = "output",
    ) -> Conversion:
        """Load `source` with `weights`, write the forms of `write`, run these and those of `run`.

        `inputs` is float32 [n, ...] with n >= 1: raw values as the model takes them, NaN included.

        Raises `ExportError` with the first line of whatever failed.
        """
        with tempfile.TemporaryDirectory(prefix="nasturtium-") as temporary:
            folder = Path(temporary)
            np.save(folder / "inputs.npy", np.ascontiguousarray(inputs, dtype=np.float32))
            forms = {**(run or {}), **(write or {})}
            request = {
                "source": str(source),
                "weights": str(weights),
                "inputs": str(folder / "inputs.npy"),
                "outputs": str(folder / "outputs.npz"),
                "write": {form: str(path) for form, path in (write or {}).items()},
                "run": {form: str(path) for form, path in forms.items()},
                "metadata": dict(metadata or {}),
                "output_name": output_name,
            }
            answer = self._ask(request)
            with np.load(folder / "outputs.npz", allow_pickle=False) as arrays:
                outputs = {name: arrays[name] for name in arrays.files}
        return Conversion(outputs, answer["seconds"])

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        line = (json.dumps(request) + "\n").encode()
        try:
            out, _ = self._process.communicate(line, timeout=LONGEST)
        except subprocess.TimeoutExpired:
            self.close()
            raise ExportError(f"the export took more than {LONGEST:g} s and was ended") from None
        if not out.strip():
            self._errors.seek(0)
            tail = self._errors.read().decode(errors="replace").strip().splitlines()[-1:]
            code = self._process.returncode
            raise ExportError(
                f"the exporting process ended with {code}: {' '.join(tail)}".rstrip(": ")
            )
        answer: dict[str, Any] = json.loads(out)
        if "error" in answer:
            raise ExportError(f"the network cannot be exported: {answer['error']}")
        return answer

    def close(self) -> None:
        """End the process if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._errors.close()

    def __enter__(self) -> Converter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
