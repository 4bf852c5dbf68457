"""The program of a worker process, and of the guard that outlives its parent by a moment."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from typing import Any

from nasturtium.study.evaluate import evaluate

__all__ = ["GUARD", "serve"]

PR_SET_PDEATHSIG = 1

# Reads process groups, "+1234" to watch and "-1234" to forget, and kills what is left of them when
# its input ends: then the parent is dead, however it died, and nobody else can stop the children
# that evaluators have started.
GUARD = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
groups = set()
for line in sys.stdin:
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass
"""


def serve(connection: Connection[Any, Any], parent: int | None) -> None:
    """Evaluate the trials that come through the connection until it ends or brings None.

    The first message out is ("ready", None), the first one in (evaluator, space); then
    (architecture's text, fidelity, seed, stop) in, ("result", Result) out.
    """
    _detach(parent)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        connection.send(("ready", None))
        try:
            evaluator, space = connection.recv()
        except EOFError:
            raise
        except Exception:
            connection.send(("broken", traceback.format_exc()))
            return
        while (task := connection.recv()) is not None:
            text, fidelity, seed, stop = task
            result = evaluate(evaluator, space.parse(text), fidelity, seed, stop)
            connection.send(("result", result))


def _detach(parent: int | None) -> None:
    """Lead a process group, leave Ctrl-C to the parent, and end when the parent does.

    `parent` is None where a server forks this process: it ends with its own parent, and this one
    with it.
    """
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != parent:
        os._exit(1)
