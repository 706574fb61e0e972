"""Singular-value and eigenvector filters on simulated tissue of low rank and blood."""

import numpy as np
import pytest

import sonoray
from sonoray import ArgumentError, EigenFilter, HankelFilter, SvdFilter
from sonoray.imaging.svd_filters import two_squares

from .flow_scenes import LIMIT, LUMEN, RATE, TISSUE, C, F, decibel, scene


def test_the_filter_is_the_truncated_singular_value_decomposition():
    rng = np.random.default_rng(0)
    frames = (rng.standard_normal((9, 5, 7)) + 1j * rng.standard_normal((9, 5, 7))).astype("c8")
    u, s, v = np.linalg.svd(frames.reshape(9, -1).astype("c16"), full_matrices=False)
    for rank, weakest in ((0, 0), (1, 0), (2, 3), (7, 1)):
        kept = slice(rank, 9 - weakest)
        expected = (u[:, kept] * s[kept]) @ v[kept]
        np.testing.assert_allclose(SvdFilter(rank, weakest)(frames).reshape(9, -1), expected, atol=3e-6)


def test_still_tissue_a_thousand_times_stronger_is_removed_by_more_than_60_decibel():
    blood, tissue, _ = scene()
    for wall_filter in (SvdFilter(1), SvdFilter(), SvdFilter("similarity"), EigenFilter(), HankelFilter()):
        left = wall_filter(1000 * tissue + blood)
        assert decibel(left[:, :, TISSUE]) - decibel(1000 * tissue[:, :, TISSUE]) < -60
        assert abs(decibel(left[:, :, LUMEN]) - decibel(blood[:, :, LUMEN])) < 1


@pytest.mark.parametrize(
    "wall_filter",
    [
        SvdFilter(),
        SvdFilter("similarity"),
        SvdFilter("similarity", "similarity"),
        SvdFilter(block=20),
        SvdFilter(block=(16, 41)),
        EigenFilter(),
        HankelFilter(),
    ],
    ids=str,
)
def test_beating_tissue_goes_and_blood_stays(wall_filter):
    """Tissue 40 dB above blood that moves by up to 1 % of Nyquist, differently from place to place."""
    blood, tissue, noise = scene(tissue_motion=0.01)
    seen = blood + 100 * tissue + noise
    left = wall_filter(seen)
    assert decibel(left[:, :, TISSUE]) - decibel(100 * tissue[:, :, TISSUE]) < -50  # to near the noise, 60 dB below
    assert abs(decibel(left[:, :, LUMEN]) - decibel(blood[:, :, LUMEN])) < 1
    velocity = sonoray.doppler_velocity(seen, F, RATE, C, wall_filter=wall_filter, average=3)[:, LUMEN]
    assert abs(velocity.mean() / LIMIT - 0.45) < 0.01
    assert velocity.std() / LIMIT < 0.03


def test_rules_find_the_rank():
    """Still tissue is one component, tissue that shears two: what is left of one is 28 dB above the blood's level."""
    blood, tissue, noise = scene()
    for rule in ("frequency", "similarity"):
        assert SvdFilter(rule).components(blood + 1000 * tissue + noise)[0] == 1
    blood, tissue, noise = scene(tissue_motion=0.01)
    for rule in ("frequency", "similarity"):
        assert SvdFilter(rule).components(blood + 100 * tissue + noise)[0] == 2
    assert SvdFilter("frequency").components(noise * (1 + 0j))[1] == 24
    first, end = SvdFilter("similarity", "similarity").components(blood + 100 * tissue + noise)
    assert first < end < 20


def test_blocks_follow_tissue_that_one_rank_cannot():
    """Two halves drifting apart fast need a component each; in its own block each is one."""
    n, shape = 24, (40, 30)
    rng = np.random.default_rng(3)
    texture = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) * 100
    drift = np.where(np.arange(40) < 20, 0.06, -0.06)[:, None]
    tissue = texture * np.exp(1j * np.pi * drift * np.arange(n)[:, None, None])
    left = SvdFilter(1, block=(10, 30))(tissue)
    whole = SvdFilter(1)(tissue)
    away = np.r_[0:10, 30:40]  # blocks that straddle the border hold both
    assert decibel(left[:, away]) < decibel(tissue[:, away]) - 100
    assert decibel(whole[:, away]) > decibel(tissue[:, away]) - 10


def test_two_squares_are_found_where_they_are():
    rng = np.random.default_rng(4)
    for a, b in ((1, 5), (3, 9), (6, 11), (4, 12)):
        similarity = 0.1 * rng.standard_normal((12, 12))
        similarity[:a, :a] += 1
        similarity[a:b, a:b] += 0.5
        assert two_squares(similarity) == (a, b)


def test_windows_of_the_whole_image_make_the_eigen_filter_the_svd_filter():
    """Averaging over everything around the centre is the correlation of all points, up to weights of mirrored edges."""
    blood, tissue, _ = scene(n_frames=24)
    seen = (100 * tissue + blood)[:8]
    point = EigenFilter(0.1, 81)(seen)[:, 20, 20]
    np.testing.assert_allclose(point, SvdFilter("frequency")(seen)[:, 20, 20], atol=0.05)


def test_silence_and_few_frames_pass():
    silent = np.zeros((6, 4, 5), "c8")
    for wall_filter in (SvdFilter(), SvdFilter("similarity", "similarity"), EigenFilter(), HankelFilter()):
        assert not wall_filter(silent).any()
    two = np.ones((2, 3), "c8")
    assert SvdFilter("similarity")(two).shape == (2, 3)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda q: SvdFilter("elbow"), "rank.*frequency"),
        (lambda q: SvdFilter(-1), "rank"),
        (lambda q: SvdFilter(noise="all"), "noise"),
        (lambda q: SvdFilter(8, 4)(q), "rank.*noise.*12 frames"),
        (lambda q: SvdFilter(cutoff=2), "cutoff"),
        (lambda q: SvdFilter(block=(3, 3, 3))(q), "block.*2 values"),
        (lambda q: SvdFilter(block=1)(q), "block"),
        (lambda q: SvdFilter()(q * np.nan), "finite"),
        (lambda q: EigenFilter(window=(3,))(q), "window"),
        (lambda q: EigenFilter(cutoff=0), "cutoff"),
        (lambda q: HankelFilter(length=1), "length"),
    ],
)
def test_refusals_name_the_argument(call, named):
    with pytest.raises(ArgumentError, match=named):
        call(np.ones((12, 4, 5), "c8"))
