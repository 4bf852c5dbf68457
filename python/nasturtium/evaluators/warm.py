"""What a training needs, imported once: worker processes that are forked after it start at once."""

import torch._dynamo  # noqa: F401 - the first optimizer of a process imports it

import nasturtium.evaluators.trainer
import nasturtium.evaluators.training
import nasturtium.networks.preprocess
import nasturtium.networks.torch_module  # noqa: F401

__all__: list[str] = []
