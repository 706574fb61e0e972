"""Large images in tiles: the seams are not seen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import correlate

from sonoray import ArgumentError, OnnxModel
from sonoray.learning import TensorSpec, attach_spec
from sonoray.learning.tiling import run_tiled

from .makers import SPEC, convolution, elementwise, product, saved


@given(
    n_rows=st.integers(1, 90),
    n_columns=st.integers(1, 90),
    tile=st.tuples(st.integers(17, 40), st.integers(17, 40)),
    overlap=st.integers(0, 16),
    margin=st.integers(0, 8),
    multiple=st.sampled_from([1, 4]),
    max_tiles=st.integers(1, 5),
)
def test_the_weights_of_all_tiles_add_up_to_one(n_rows, n_columns, tile, overlap, margin, multiple, max_tiles):
    image = np.random.default_rng(1).normal(size=(2, 3, n_rows, n_columns)).astype("f4")
    seen = []

    def network(x):
        seen.append(x.shape)
        return 2 * x

    result = run_tiled(
        network, image, tile=tile, overlap=max(overlap, 2 * margin), margin=margin, multiple=(multiple, 1),
        max_tiles=max_tiles,
    )  # fmt: skip
    np.testing.assert_allclose(result, 2 * image, rtol=1e-5, atol=1e-6)
    assert len(set(seen)) == 1 and seen[0][0] == max_tiles and seen[0][2] % multiple == 0


def test_a_convolution_does_not_see_the_tiles(tmp_path, rng):
    """Inner pixels: exact, since the kernel reaches 3 pixels and the margin is 3."""
    kernel = rng.normal(size=(7, 7)).astype("f4")
    network = OnnxModel(saved(tmp_path, convolution(kernel)), threads=1)
    image = rng.normal(size=(1, 1, 150, 203)).astype("f4")
    result = network.tiled(image, tile=(64, 48), overlap=16, margin=3)
    np.testing.assert_allclose(result, network(image), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(result[0, 0], correlate(image[0, 0], kernel, mode="constant"), rtol=1e-4, atol=1e-4)


def test_blending_hides_what_differs_between_tiles(rng):
    """Each tile gets its own brightness; hard seams show a step, blended ones a slope."""
    image = np.ones((1, 1, 40, 400), "f4")

    def network(x):
        return x * np.linspace(1, 2, len(x), dtype="f4")[:, None, None, None]

    steps = {}
    for overlap in (2, 32):
        result = run_tiled(network, image, tile=(40, 80), overlap=overlap, margin=1, max_tiles=16)
        steps[overlap] = np.abs(np.diff(result[0, 0, 20])).max()
    assert steps[32] < 1.5 * steps[2] / 30  # the same difference over 30 pixels


def test_graphs_of_fixed_size(tmp_path, rng):
    network = OnnxModel(saved(tmp_path, elementwise("Neg", [2, 1, 32, 48])))
    image = rng.normal(size=(3, 1, 70, 100)).astype("f4")
    np.testing.assert_allclose(network.tiled(image, overlap=8, margin=2), -image, rtol=1e-6)
    small = image[:, :, :20, :5].copy()
    np.testing.assert_allclose(network.tiled(small), -small, rtol=1e-6)
    with pytest.raises(ArgumentError, match="tile: expected 32"):
        network.tiled(image, tile=(64, 48))


def test_the_specs_multiple_is_kept(tmp_path, rng):
    proto = elementwise("Neg", ["b", 1, "h", "w"])
    axes = ("batch", "channel", "x", "z")
    spec = SPEC.with_(inputs=(TensorSpec("x", axes, pad_multiple=(1, 1, 8, 16)),), outputs=(TensorSpec("y", axes),))
    attach_spec(proto, spec)
    network = OnnxModel(saved(tmp_path, proto))
    image = rng.normal(size=(1, 1, 37, 61)).astype("f4")
    np.testing.assert_allclose(network.tiled(image), -image, rtol=1e-6)


def test_torch_images(tmp_path):
    torch = pytest.importorskip("torch")
    network = OnnxModel(saved(tmp_path, elementwise("Neg", ["b", 2, "h", "w"])))
    image = torch.randn(1, 2, 70, 90)
    result = network.tiled(image, tile=(32, 32), overlap=8, margin=2)
    assert isinstance(result, torch.Tensor)
    torch.testing.assert_close(result, -image)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"overlap": 8, "margin": 8}, "twice the margin"),
        ({"overlap": 32}, "less than the tile"),
        ({"tile": (0, 32)}, "tile"),
        ({"max_tiles": 0}, "max_tiles"),
    ],
)
def test_refusals(options, message):
    image = np.zeros((1, 1, 100, 100), "f4")
    with pytest.raises(ArgumentError, match=message):
        run_tiled(np.negative, image, **{"tile": (32, 32), "overlap": 8, "margin": 2, **options})


def test_images_and_networks_of_other_kinds(tmp_path):
    for image in (np.zeros((4, 4), "f4"), np.zeros((1, 1, 4, 4)), np.zeros((1, 1, 0, 4), "f4"), 3):
        with pytest.raises(ArgumentError, match="image: expected float32"):
            run_tiled(np.negative, image)
    with pytest.raises(ArgumentError, match="expected results of"):
        run_tiled(lambda x: x[..., ::2], np.zeros((1, 1, 8, 8), "f4"))
    with pytest.raises(ArgumentError, match="one input"):
        OnnxModel(saved(tmp_path, product())).tiled(np.zeros((1, 1, 8, 8), "f4"))
