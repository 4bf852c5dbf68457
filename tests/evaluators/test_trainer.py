"""The training loop against closed forms, second implementations and its promises."""

import itertools
import math
import time

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, log_loss
from torch import nn

from nasturtium.errors import DataError
from nasturtium.evaluators import Recipe
from nasturtium.evaluators.trainer import Fit, fit, measure, predict, score_of
from nasturtium.networks import Layer, Net, NetBuilder, baselines, module

TINY = Recipe(lr=0.01, batch_size=16, augment="none")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def blobs(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Three Gaussian blobs in four dimensions."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3
    centers = 3 * torch.eye(3, 4)
    return centers[y] + torch.randn(n, 4, generator=generator), y


def mlp(seed: int = 0, dropout: float = 0.2) -> nn.Module:
    build = NetBuilder("mlp", (4,))
    build.add("hidden", "linear", out=8)
    build.add("norm", "batch_norm1d")
    build.add("act", "relu")
    build.add("drop", "dropout", p=dropout)
    build.add("head", "linear", out=3)
    return module(build.build(), seed=seed)


def train(model: nn.Module, n: int = 90, recipe: Recipe = TINY, **changes) -> Fit:
    x, y = blobs(n)
    options = {"task": "classification", "outputs": 3, "epochs": 4, "seed": 5, **changes}
    return fit(model, x, y, recipe, **options)


def bits(model: nn.Module) -> bytes:
    return b"".join(t.numpy().tobytes() for t in model.state_dict().values())


@pytest.mark.parametrize(
    "recipe",
    [
        TINY,
        Recipe(optimizer="sgd", lr=0.05, batch_size=16, mixup=0.3, augment="noise"),
        Recipe(lr=0.01, batch_size=16, ema=0.9, grad_clip=1.0),
    ],
)
def test_one_seed_gives_the_same_bits_and_no_global_generator_moves(recipe):
    first, second, other = mlp(), mlp(), mlp()
    one, two = train(first, recipe=recipe), train(second, recipe=recipe)
    state = torch.random.get_rng_state()
    train(other, recipe=recipe, seed=6)
    assert torch.equal(state, torch.random.get_rng_state())
    assert bits(first) == bits(second) != bits(other)
    assert one.train_loss == two.train_loss
    assert not first.training


def test_a_linear_regression_reaches_the_least_squares_solution():
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(400, 5, generator=generator)
    y = x @ torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0]) + 0.7
    y = y + 0.1 * torch.randn(400, generator=generator)
    model = module(Net("linear", (5,), (Layer("head", "linear", ("x",), {"out": 1}),)))
    recipe = Recipe(lr=0.05, weight_decay=0.0, batch_size=50)
    done = fit(
        model, x, y, recipe, task="regression", outputs=1, epochs=60, seed=0, validation=(x, y)
    )
    design = np.column_stack([x.numpy(), np.ones(400)]).astype(float)
    solution, *_ = np.linalg.lstsq(design, y.numpy().astype(float), rcond=None)
    np.testing.assert_allclose(model.head.weight.detach().numpy()[0], solution[:5], atol=0.01)
    best = np.sqrt(np.mean((design @ solution - y.numpy()) ** 2))
    assert done.values["val_rmse"] == pytest.approx(best, rel=0.01)
    assert done.score == -done.values["val_rmse"]


def test_digits_are_learned():
    digits = load_digits()
    x = torch.tensor(digits.images[:, None] / 8 - 1, dtype=torch.float32)
    y = torch.tensor(digits.target)
    model = module(baselines.residual_net((1, 8, 8), 10, 8000))
    recipe = Recipe.default_for("classification", (1, 8, 8), 1200)
    done = fit(
        model,
        x[:1200],
        y[:1200],
        recipe,
        task="classification",
        outputs=10,
        epochs=6,
        seed=0,
        validation=(x[1200:], y[1200:]),
    )
    assert done.values["val_accuracy"] > 0.85
    assert len(done.curve) == done.epochs_done == 6
    assert all(t.is_contiguous() for t in model.state_dict().values())


def test_a_strided_pointwise_convolution_keeps_the_plain_layout():
    class Strided(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(4, 9, 1, stride=2)
            self.layouts = []

        def forward(self, x):
            self.layouts.append(x.is_contiguous())
            return self.conv(x).mean((2, 3))

    model, x = Strided(), torch.randn(64, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    options = {"task": "classification", "outputs": 9, "epochs": 30, "seed": 0}
    done = fit(model, x, torch.arange(64) % 9, TINY, **options)
    assert done.status == "ok"
    assert all(model.layouts)


def test_measures_equal_those_of_scikit_learn():
    x, y = blobs(1030)
    model = mlp(seed=3)
    found = measure(model, x, y, task="classification")
    outputs = predict(model, x)
    probabilities = outputs.double().softmax(1).numpy()
    assert found["val_accuracy"] == pytest.approx(accuracy_score(y, outputs.argmax(1)))
    assert found["val_loss"] == pytest.approx(log_loss(y, probabilities), rel=1e-5)


def test_the_score_orders_equal_accuracies_by_loss():
    assert score_of({"val_accuracy": 0.9, "val_loss": 0.5}) == pytest.approx(0.8995)
    assert score_of({"val_accuracy": 0.9, "val_loss": 80.0}) == pytest.approx(0.895)
    assert score_of({"val_rmse": 2.5}) == -2.5


@pytest.mark.parametrize("spoiled", ["rate", "input"])
def test_a_loss_that_is_not_finite_ends_as_diverged(spoiled):
    x, y = blobs(90)
    recipe = Recipe(optimizer="sgd", lr=1e30, batch_size=16) if spoiled == "rate" else TINY
    if spoiled == "input":
        x[7, 2] = math.nan
    options = {"task": "classification", "outputs": 3, "epochs": 50, "seed": 0}
    done = fit(mlp(), x, y, recipe, validation=blobs(30, 1), **options)
    assert done.status == "diverged"
    assert done.score is None
    assert done.epochs_done < 50


def test_chance_level_is_no_failure():
    x, y = blobs(60)
    generator = torch.Generator().manual_seed(0)
    shuffled = y[torch.randperm(60, generator=generator)]
    done = train(mlp(), validation=(x, shuffled), epochs=6)
    assert done.status == "ok"
    assert done.epochs_done == 6


def test_training_stops_below_the_asked_score():
    held = blobs(60, 1)
    assert train(mlp(), validation=held, epochs=6, stop={2: -9.0, 3: 2.0}).status == "stopped"
    done = train(mlp(), validation=held, epochs=6, stop={3: 2.0})
    assert (done.status, done.epochs_done, len(done.curve)) == ("stopped", 3, 3)
    assert done.score == done.curve[-1]
    assert train(mlp(), validation=held, epochs=3, stop={3: 2.0}).status == "ok"


def test_a_deadline_ends_the_training_in_time():
    train(mlp(), epochs=1)  # the first one of a process loads what torch loads late
    start = time.monotonic()
    done = train(mlp(), epochs=1_000_000, deadline=start + 1.0, validation=blobs(300, 1))
    assert 0.8 < time.monotonic() - start < 5
    assert done.status == "ok"
    assert 2 <= done.epochs_done < 1_000_000


def test_a_training_is_annealed_at_its_deadline(monkeypatch):
    ticks = itertools.count(time.monotonic(), 1e-3)  # each look at the clock is a millisecond
    monkeypatch.setattr(time, "monotonic", lambda: next(ticks))
    deadline = next(ticks) + 1.0
    done = train(mlp(dropout=0.0), epochs=1e6, deadline=deadline, validation=blobs(300, 1))
    assert 20 < len(done.curve) < 1000
    # The last epochs hardly move the score any more.
    assert max(done.curve[-3:]) - min(done.curve[-3:]) < 0.01


def test_a_share_of_an_epoch_is_a_training_of_its_own():
    held = blobs(300, 1)
    done = train(mlp(), validation=held, epochs=2.5)
    assert done.status == "ok" and len(done.curve) == 3
    assert done.epochs_done == pytest.approx(2.5, abs=0.1)
    little = train(mlp(), validation=held, epochs=1e-6)
    assert 0 < little.epochs_done < 0.2 and len(little.curve) == 1


def test_a_deadline_in_the_past_still_gives_a_result():
    done = train(mlp(), deadline=time.monotonic() - 5.0, validation=blobs(30, 1))
    assert done.epochs_done <= 1
    assert done.seconds < 5


@pytest.mark.parametrize("n", [2, 3, 5, 17, 33])
@pytest.mark.parametrize("batch_size", [2, 4, 16, 64])
def test_no_batch_has_a_single_sample(n, batch_size):
    model, sizes = mlp(), []
    model.norm.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    train(model, n, Recipe(batch_size=batch_size), epochs=1)
    assert sum(sizes) == n
    assert min(sizes) >= 2
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= max(batch_size, 3)


def test_too_little_data_is_refused():
    with pytest.raises(DataError, match="1 samples"):
        train(mlp(), 1)
    x, y = blobs(9)
    with pytest.raises(DataError, match="9 samples with 8"):
        fit(mlp(), x, y[:8], TINY, task="classification", outputs=3, epochs=1, seed=0)


def test_the_average_equals_a_plain_sum_of_the_steps():
    x, y = blobs(32)
    recipe = Recipe(optimizer="sgd", lr=0.1, batch_size=32, ema=0.6, warmup=0.0)
    model, snapshots = mlp(dropout=0.0), []
    start = model.head.weight.detach().clone()
    model.norm.register_forward_pre_hook(
        lambda m, _: snapshots.append(model.head.weight.detach().clone()) if m.training else None
    )
    fit(model, x, y, recipe, task="classification", outputs=3, epochs=30, seed=0)
    live = mlp(dropout=0.0)
    plain = Recipe(optimizer="sgd", lr=0.1, batch_size=32, ema=0.0, warmup=0.0)
    fit(live, x, y, plain, task="classification", outputs=3, epochs=30, seed=0)
    steps = [*snapshots[1:], live.head.weight.detach()]
    average = start
    for k, weights in enumerate(steps, start=1):
        decay = min(0.6, k / (k + 9))
        average = decay * average + (1 - decay) * weights
    torch.testing.assert_close(model.head.weight.detach(), average)


def test_class_weights_move_the_decision():
    x, y = torch.zeros(40, 4), (torch.arange(40) % 4 == 0).long()
    model = module(Net("linear", (4,), (Layer("head", "linear", ("x",), {"out": 2}),)))
    recipe = Recipe(lr=0.05, batch_size=40, label_smoothing=0.0)
    options = {"task": "classification", "outputs": 2, "epochs": 200, "seed": 0}
    fit(model, x, y, recipe, class_weights=torch.tensor([1.0, 9.0]), **options)
    # Weighted shares of the classes: 30 : 10 * 9.
    assert predict(model, x[:1]).softmax(1)[0, 1].item() == pytest.approx(0.75, abs=0.01)


def test_progress_hears_of_every_epoch():
    heard = []
    train(mlp(), epochs=3, progress=lambda epoch, score: heard.append((epoch, score)))
    assert heard == [(1, None), (2, None), (3, None)]
