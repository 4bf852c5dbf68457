"""Augmentations: what they keep, their bounds, and that the generator alone decides."""

import pytest
import torch

from nasturtium.evaluators import Recipe
from nasturtium.evaluators.augment import affine, augment, cutout, flip, noise, shift

NAMES = ("none", "affine", "flip_crop", "crop", "noise")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


IMAGES = torch.rand(64, 3, 12, 18, generator=generator())


@pytest.mark.parametrize("name", NAMES)
def test_shape_input_and_randomness(name):
    recipe = Recipe(augment=name, cutout=0.0 if name in ("none", "noise") else 0.25)
    before, state = IMAGES.clone(), torch.random.get_rng_state()
    one, same = (augment(IMAGES, recipe, generator(3)) for _ in range(2))
    other = augment(IMAGES, recipe, generator(4))
    assert one.shape == IMAGES.shape
    assert torch.equal(one, same)
    assert torch.equal(IMAGES, before)
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(one, other) == (name == "none")


def test_a_flip_mirrors_about_half_of_the_images():
    out = flip(IMAGES, generator())
    mirrored = [torch.equal(o, i.flip(2)) for o, i in zip(out, IMAGES, strict=True)]
    kept = [torch.equal(o, i) for o, i in zip(out, IMAGES, strict=True)]
    assert all(m != k for m, k in zip(mirrored, kept, strict=True))
    assert 16 <= sum(mirrored) <= 48


def test_a_shift_moves_by_whole_pixels_and_repeats_the_border():
    out = shift(IMAGES, generator())
    seen = set()
    for o, image in zip(out, IMAGES, strict=True):
        padded = torch.nn.functional.pad(image[None], (2, 2, 1, 1), mode="replicate")[0]
        found = [
            (dy, dx)
            for dy in range(3)
            for dx in range(5)
            if torch.equal(o, padded[:, dy : dy + 12, dx : dx + 18])
        ]
        assert found
        seen.update(found)
    assert {(0, 0), (2, 4)} & seen or len(seen) > 8


def test_an_affine_map_keeps_constant_images_and_moves_a_blob_little():
    assert torch.allclose(affine(torch.full((8, 1, 9, 9), 2.5), generator()), torch.tensor(2.5))
    blob = torch.zeros(256, 1, 15, 15)
    blob[:, :, 6:9, 6:9] = 1.0
    out = affine(blob, generator())
    rows = torch.arange(15.0)
    mass = out.sum((1, 2, 3))
    y = (out.sum((1, 3)) * rows).sum(1) / mass
    x = (out.sum((1, 2)) * rows).sum(1) / mass
    # A sixteenth of 15 pixels is a shift of less than one, before it is zoomed and sheared.
    assert ((y - 7).abs() < 1.5).all()
    assert ((x - 7).abs() < 1.5).all()
    assert y.std() > 0.3
    # Zooming by 15 % either way changes the area by less than two fifths, smoothed a little.
    assert ((mass / 9 - 1).abs() < 0.45).all()
    assert out.min() >= 0
    assert out.max() <= 1
    assert 25 < (out == blob).flatten(1).all(1).sum() < 80  # a fifth of the images is left alone


def test_cutout_clears_one_square():
    out = cutout(torch.ones(200, 2, 16, 16), 0.25, generator())
    cleared = (out == 0).sum((2, 3))
    assert torch.equal(cleared[:, 0], cleared[:, 1])
    assert cleared.max() == 16
    assert (cleared >= 2).all()


def test_noise_has_a_twentieth_of_the_unit():
    out = noise(torch.zeros(500, 40), generator())
    assert abs(float(out.std()) - 0.05) < 0.002
