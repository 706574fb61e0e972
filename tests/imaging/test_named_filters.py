"""Wall filters by name."""

import pytest

import sonoray
from sonoray import ArgumentError
from sonoray.imaging.named_filters import named_wall_filter


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none", None),
        ("poly", sonoray.PolynomialFilter(1)),
        ("poly:3", sonoray.PolynomialFilter(3)),
        ("fir:0.3:8", sonoray.FirFilter(0.3, 8)),
        ("iir", sonoray.IirFilter(0.1)),
        ("iir:0.2:2", sonoray.IirFilter(0.2, 2)),
        ("svd", sonoray.SvdFilter()),
        ("svd:3:2", sonoray.SvdFilter(3, 2)),
        ("svd:similarity", sonoray.SvdFilter("similarity")),
        ("eigen:0.2", sonoray.EigenFilter(0.2)),
        ("hankel", sonoray.HankelFilter()),
    ],
)
def test_names_and_parameters(text, expected):
    assert named_wall_filter(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("median", "poly"),
        ("none:1", "none"),
        ("poly:1:2", "poly"),
        ("poly:high", "poly:high"),
        ("poly:-1", "poly:-1"),
        ("iir:7", "cutoff"),
        ("fir:0.3:7", "even"),
        ("svd:fast", "rank"),
        ("", "poly"),
    ],
)
def test_mistakes_name_the_filter(text, said):
    with pytest.raises(ArgumentError, match="wall_filter") as error:
        named_wall_filter(text)
    assert said in str(error.value)
