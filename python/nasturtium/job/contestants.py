"""Who is trained to the end: the found network, and those that it is compared with."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nasturtium.errors import UserError
from nasturtium.job.config import SearchConfig
from nasturtium.job.plan import HAND_SHARE, Plan
from nasturtium.job.prepare import Task
from nasturtium.networks import Net
from nasturtium.spaces import Architecture

if TYPE_CHECKING:
    import torch


@dataclasses.dataclass(frozen=True)
class Contestant:
    """A network to be trained to the end.

    `net` is its layer graph, or None for a user's own class, then `file` is "FILE.py:Name".
    `seconds` bounds the training: with less time left than its epochs need, the schedule shortens.
    """

    name: str
    kind: str
    title: str
    net: Net | None
    epochs: int
    seconds: float | None = None
    file: str | None = None

    def module(self, input_shape: Sequence[int], outputs: int, *, seed: int = 0) -> torch.nn.Module:
        """The network with its initial weights."""
        from nasturtium.networks import module

        if self.net is not None:
            return module(self.net, seed=seed)
        assert self.file is not None
        return user_network(self.file, input_shape, outputs)


def contestants(
    config: SearchConfig,
    task: Task,
    plan: Plan,
    found: Architecture,
    rival: Architecture | None,
    epochs: int,
) -> list[Contestant]:
    """Who is trained to the end, in that order; `rival` is what random search found."""
    entry = Contestant("found", "found", "the found network", task.lower(found), epochs)
    hand = _hand_designed(config, task, plan, task.cost(found).params, epochs)
    if rival is None:
        return [*hand, entry]
    title = "the network that random search found"
    return [entry, Contestant("random", "random-search", title, task.lower(rival), epochs), *hand]


def _hand_designed(
    config: SearchConfig, task: Task, plan: Plan, params: int, epochs: int
) -> list[Contestant]:
    """The hand-designed network, for images also at `params` parameters, and the user's."""
    if config.baselines == "none":
        return []
    planned = plan.baseline_seconds
    share = None if planned is None else HAND_SHARE * planned
    title, net = "the hand-designed network", task.hand_designed()
    entries = [Contestant("hand", "hand-designed", title, net, epochs, share)]
    if len(task.net_input) == 3:
        title, thin = title + " at the found one's size", task.hand_designed(params)
        entries.append(Contestant("thinned", "thinned", title, thin, epochs, share))
    if config.baseline is not None:
        file = config.baseline
        entries.append(Contestant("user", "user", file, None, epochs, share, file))
    return entries


def user_network(reference: str, input_shape: Sequence[int], outputs: int) -> torch.nn.Module:
    """The user's own network class from "FILE.py:Name", made as `Name(input_shape, outputs)`.

    It takes what every network of the run takes (normalized images, or prepared table rows) and
    returns logits or one value. A class whose constructor takes no arguments is called so.

    Raises:
        UserError: no such file or class, or its output has another shape.
    """
    import inspect

    import torch

    path_text, _, name = reference.rpartition(":")
    path = Path(path_text)
    if not path_text or not path.is_file():
        raise UserError(
            f"--baseline {reference}: write it as FILE.py:ClassName, with an existing file"
        )
    spec = importlib.util.spec_from_file_location(f"_nasturtium_baseline_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    file_module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = file_module
    try:
        spec.loader.exec_module(file_module)
    except Exception as error:  # the user's file may raise anything
        raise UserError(f"--baseline {reference}: the file cannot be imported: {error}") from error
    make = vars(file_module).get(name)
    if make is None:
        raise UserError(f"--baseline {reference}: {path} has no {name}")
    try:
        bare = not inspect.signature(make).parameters
        network = make() if bare else make(tuple(input_shape), outputs)
        with torch.no_grad():
            shape = tuple(network.eval()(torch.zeros(2, *input_shape)).shape)
    except Exception as error:  # the user's class may raise anything
        raise UserError(f"--baseline {reference}: {name} does not run: {error}") from error
    if shape != (2, outputs):
        raise UserError(
            f"--baseline {reference}: {name} returns {shape} for 2 rows, not (2, {outputs})"
        )
    return network  # type: ignore[no-any-return]
