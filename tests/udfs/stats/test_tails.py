import math

import numpy as np
import pytest

from udfs.stats import tails


def test_p_is_a_survival_function_far_beyond_where_one_minus_cdf_is_zero():
    assert tails.two_sided_p(9.0, math.inf) == pytest.approx(2.2571768119076845e-19, rel=1e-12)
    assert tails.two_sided_p(37.0, math.inf) == pytest.approx(1.1451428732e-299, rel=1e-9)


def test_the_logarithm_of_p_goes_on_where_p_underflows():
    assert tails.two_sided_p(40.0, math.inf) == 0.0
    assert tails.log_two_sided_p(40.0, math.inf) == pytest.approx(-803.915294833194, rel=1e-12)
    assert tails.log_two_sided_p(1000.0, 200.0) == pytest.approx(-854.6154182, rel=1e-9)


@pytest.mark.parametrize("df", [1.0, 12.5, 200.0, 1e5, 1e9, math.inf])
def test_the_logarithm_is_continuous_where_its_formula_changes(df):
    t = np.geomspace(0.01, 60.0 if df > 1e4 else 1e9, 4000)
    logs = tails.log_two_sided_p(t, df)
    slopes = np.diff(logs) / np.diff(np.log(t))
    assert np.all(np.diff(logs) < 0.0)
    assert np.all(np.diff(slopes) < 1e-4 * np.abs(slopes[1:]) + 1e-6)


@pytest.mark.parametrize("df", [2.0, 30.0, 1e6, math.inf])
@pytest.mark.parametrize("alpha", [0.5, 0.05, 1e-6])
def test_the_critical_value_has_the_p_it_was_asked_for(df, alpha):
    assert tails.two_sided_p(tails.critical_value(alpha, df), df) == pytest.approx(alpha, rel=1e-12)
