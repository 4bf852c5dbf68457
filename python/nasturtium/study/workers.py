"""A pool of worker processes that survives what evaluators do to them."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import (
    ForkServerContext,
    ForkServerProcess,
    SpawnContext,
    SpawnProcess,
)
from multiprocessing.reduction import ForkingPickler
from typing import Any

from nasturtium.errors import StudyError
from nasturtium.evaluators.base import Evaluator, Result
from nasturtium.spaces import Space
from nasturtium.study.records import Trial
from nasturtium.study.worker import GUARD, serve

__all__ = ["Crash", "Pool"]

GRACE_SECONDS = 5.0
MAX_FALSE_STARTS = 3
_THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Crash:
    """A worker ended in the midst of a trial: an exit code, or minus the signal's number."""

    code: int

    def __str__(self) -> str:
        if self.code >= 0:
            return f"the worker process ended with exit code {self.code}"
        with contextlib.suppress(ValueError):
            return f"the worker process was killed by {signal.Signals(-self.code).name}"
        return f"the worker process was killed by signal {-self.code}"


@dataclass(eq=False)
class _Worker:
    process: SpawnProcess | ForkServerProcess
    connection: Connection[Any, Any]
    ready: bool = False
    trial: Trial | None = None
    started: float = field(default=0.0)  # of the trial, on the monotonic clock


class Pool:
    """`workers` processes, one thread each, that evaluate one trial at a time.

    They are spawned; where the evaluator names modules in `preload`, they are forked from a server
    process that has imported those once, and start in a moment.

    A worker that ends is replaced. `timeout` is in seconds for one evaluation; 5 seconds later
    the worker's process group is killed. When this process ends, however, its workers and what
    they have started end too. Raises StudyError where the evaluator cannot travel.
    """

    def __init__(
        self, evaluator: Evaluator, space: Space, workers: int, *, timeout: float | None = None
    ) -> None:
        try:
            self._payload = bytes(ForkingPickler.dumps((evaluator, space)))
        except Exception as error:
            raise StudyError(
                f"the evaluator cannot travel to worker processes ({_one_line(error)}); define it "
                f"at the top level of a module, or use workers=0"
            ) from error
        self._context = _context(getattr(evaluator, "preload", ()))
        self._timeout = timeout
        self._false_starts = 0
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", GUARD],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._workers: list[_Worker] = []
        try:
            self._workers.extend(self._start() for _ in range(workers))
        except BaseException:
            self.close()
            raise

    def idle(self) -> int:
        """How many workers have nothing to do."""
        return sum(worker.trial is None for worker in self._workers)

    def busy(self) -> list[Trial]:
        """The trials in flight."""
        return [worker.trial for worker in self._workers if worker.trial is not None]

    def submit(self, trial: Trial) -> None:
        """Give a trial to an idle worker."""
        worker = next(worker for worker in self._workers if worker.trial is None)
        worker.trial = trial
        if worker.ready:
            self._send(worker)

    def wait(self, seconds: float, wake: Sequence[int] = ()) -> list[tuple[Trial, Result | Crash]]:
        """What ended within `seconds`; returns early when something did, or `wake` is readable."""
        for worker in self._workers:
            if self._timeout is not None and worker.started:
                left = worker.started + self._timeout + GRACE_SECONDS - time.monotonic()
                seconds = min(seconds, max(left, 0.0))
        handles: list[Any] = [worker.connection for worker in self._workers]
        handles += [worker.process.sentinel for worker in self._workers]
        signaled = set(wait([*handles, *wake], seconds))
        found: list[tuple[Trial, Result | Crash]] = []
        for worker in list(self._workers):
            if worker.connection in signaled or worker.process.sentinel in signaled:
                found += self._read(worker)
            elif self._is_overdue(worker):
                found.append(self._stop(worker))
        return found

    def close(self) -> None:
        """End all workers at once, and everything they have started."""
        for worker in self._workers:  # first all signals: a second Ctrl-C may end the waiting
            _signal(worker)
        for worker in self._workers:
            self._kill(worker)
        self._workers.clear()
        assert self._guard.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._guard.stdin.close()
        self._guard.wait()

    def _start(self) -> _Worker:
        context = self._context
        ours, theirs = context.Pipe()
        parent = os.getpid() if context.get_start_method() == "spawn" else None
        process = context.Process(target=serve, args=(theirs, parent), daemon=False)
        # Libraries read the environment when they load, so it must be there before the child runs.
        with _environment(_THREADS), _no_interrupt():
            process.start()
        theirs.close()
        return _Worker(process, ours)

    def _send(self, worker: _Worker) -> None:
        assert worker.trial is not None
        proposal = worker.trial.proposal
        task = (
            str(proposal.arch),
            dict(proposal.fidelity),
            worker.trial.seed,
            dict(proposal.stop),
        )
        with contextlib.suppress(OSError):  # a dead worker is found by its sentinel
            worker.connection.send(task)
        worker.started = time.monotonic()

    def _read(self, worker: _Worker) -> list[tuple[Trial, Result | Crash]]:
        with contextlib.suppress(EOFError, OSError):
            if worker.connection.poll():
                return self._message(worker, *worker.connection.recv())
        worker.process.join(1.0)  # its pipe is closed: let it end by itself, for its exit code
        return self._bury(worker)

    def _message(
        self, worker: _Worker, kind: str, content: Any
    ) -> list[tuple[Trial, Result | Crash]]:
        if kind == "result":
            assert worker.trial is not None
            done = worker.trial
            worker.trial, worker.started = None, 0.0
            return [(done, content)]
        if kind == "broken":
            raise StudyError(
                f"the evaluator cannot be read by a worker process: {_last_line(content)}"
            )
        self._false_starts = 0
        worker.ready = True
        self._tell_guard("+", worker)
        with contextlib.suppress(OSError):
            worker.connection.send_bytes(self._payload)
        if worker.trial is not None:
            self._send(worker)
        return []

    def _bury(self, worker: _Worker) -> list[tuple[Trial, Result | Crash]]:
        """Replace a worker that has ended."""
        code = self._kill(worker)
        if not worker.ready:
            self._false_starts += 1
            if self._false_starts >= MAX_FALSE_STARTS:
                raise StudyError(
                    f"worker processes end before they are ready (exit code {code}); put the "
                    f'script\'s statements under if __name__ == "__main__":, or use workers=0'
                )
        self._workers.remove(worker)
        fresh = self._start()
        self._workers.append(fresh)
        if worker.trial is None:
            return []
        if not worker.started:  # the trial had not been sent yet
            fresh.trial = worker.trial
            return []
        return [(worker.trial, Crash(code))]

    def _is_overdue(self, worker: _Worker) -> bool:
        if self._timeout is None or not worker.started:
            return False
        return time.monotonic() - worker.started >= self._timeout + GRACE_SECONDS

    def _stop(self, worker: _Worker) -> tuple[Trial, Result]:
        assert worker.trial is not None
        trial, worker.trial = worker.trial, None
        seconds = time.monotonic() - worker.started
        self._bury(worker)
        detail = f"killed {GRACE_SECONDS:.0f} s after the limit of {self._timeout:g} s"
        return trial, Result("timeout", None, {}, seconds=seconds, detail=detail)

    def _kill(self, worker: _Worker) -> int:
        """Kill what is left of a worker's group, and return its exit code."""
        _signal(worker)
        if worker.ready:
            self._tell_guard("-", worker)
        worker.process.join()
        code = worker.process.exitcode
        worker.connection.close()
        worker.process.close()
        return 0 if code is None else code

    def _tell_guard(self, sign: str, worker: _Worker) -> None:
        assert self._guard.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._guard.stdin.write(f"{sign}{worker.process.pid}\n")
            self._guard.stdin.flush()


def _context(preload: Sequence[str]) -> SpawnContext | ForkServerContext:
    """How workers start. Modules to preload must not start threads when they are imported."""
    if not preload or sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    return context


def _signal(worker: _Worker) -> None:
    """Kill a worker and its group; before it is ready, it may not lead one."""
    if worker.ready and worker.process.pid:
        with contextlib.suppress(OSError):
            os.killpg(worker.process.pid, signal.SIGKILL)
    worker.process.kill()


@contextlib.contextmanager
def _no_interrupt() -> Iterator[None]:
    """Hold Ctrl-C back, here and in a process that starts here, until it ignores it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


def _last_line(trace: str) -> str:
    return trace.strip().splitlines()[-1][:300]
