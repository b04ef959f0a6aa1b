import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.udfs.stats.samples import TwoArms, two_arms
from udfs.stats import (
    Comparison,
    Estimate,
    ImpossibleSumsError,
    Moments,
    Pairs,
    Plan,
    Questions,
    Reason,
    SequentialEstimate,
    Undetermined,
    belief,
    compare,
    compare_pairs,
    cuped_difference,
    holm,
    mean_difference,
    plan,
    planned_information,
    relative_lift,
    sequential_difference,
)
from udfs.stats.central import CentralMoments, pairs_of
from udfs.stats.contrast import Strata
from udfs.stats.cuped import CupedEstimate

IMPOSSIBLE = Moments.from_sums(5, {"y": 10, "yy": 1}, check=False)
FINE = Moments.from_units([11.0, 12.0, 12.0, 13.0])


@settings(max_examples=50)
@given(st.lists(st.tuples(two_arms(), st.sampled_from(["mean", "ratio"])), min_size=1, max_size=5))
def test_many_at_once_are_the_single_questions(questions: list[tuple[TwoArms, str]]):
    card = compare(
        [Comparison(kind=kind, strata=(arms.moments,), has_covariate=True) for arms, kind in questions]
    )
    for row, (arms, kind) in zip(card.rows(), questions, strict=True):
        absolute = mean_difference(*arms.moments, kind=kind)
        assert isinstance(absolute, Estimate)
        assert (row["abs_diff"], row["abs_ci_lower"], row["p_value"]) == (
            absolute.estimate,
            absolute.ci_lower,
            absolute.p_value,
        )
        lift = relative_lift(*arms.moments, kind=kind)
        if isinstance(lift, Undetermined):
            assert (row["rel_ci_lower"], row["status"], row["reason"]) == (None, "ok", lift.reason)
        else:
            assert (row["rel_diff"], row["rel_ci_upper"]) == (lift.estimate, lift.ci_upper)
            assert row["reason"] in (None, Reason.ONE_ARM_CONSTANT)
        cuped = cuped_difference(*arms.moments, kind=kind)
        if isinstance(cuped, CupedEstimate):
            assert row["cuped_p_value"] == cuped.difference.p_value
            assert (row["cuped_theta"], row["variance_reduction"]) == (cuped.theta, cuped.variance_reduction)
        else:
            assert row["cuped_p_value"] is None


def test_an_answer_that_cannot_be_given_is_absent_and_says_why():
    card = compare(
        [
            Comparison(kind="mean", strata=((Moments(), FINE),)),
            Comparison(kind="mean", strata=((FINE, IMPOSSIBLE),)),
            Comparison(kind="ratio", strata=((FINE, FINE),)),
            Comparison(
                kind="mean", strata=((Moments.from_units([2.0, 2.0]), Moments.from_units([3.0, 3.0])),)
            ),
        ]
    )
    rows = list(card.rows())
    assert [row["reason"] for row in rows] == [
        Reason.TOO_FEW_UNITS,
        Reason.IMPOSSIBLE_SUMS,
        Reason.ZERO_DENOMINATOR,
        Reason.ZERO_VARIANCE,
    ]
    assert {row["status"] for row in rows} == {"undetermined"}
    assert all(row[name] is None for row in rows for name in ("p_value", "abs_ci_lower", "rel_ci_lower"))
    assert (rows[0]["n_treatment"], rows[0]["mean_treatment"], rows[0]["mean_control"]) == (4, 12.0, None)
    assert (rows[1]["n_control"], rows[1]["n_treatment"]) == (4, 5)
    assert (rows[3]["mean_control"], rows[3]["abs_diff"]) == (2.0, 1.0)


def converted(users: int, of: int) -> Moments:
    return Moments.from_units([1.0] * users + [0.0] * (of - users))


def test_where_nobody_of_the_treatment_converted_the_relative_interval_is_absent_and_the_small_one_answers():
    (row,) = compare(
        [Comparison(kind="proportion", strata=((converted(9, 20), converted(0, 21)),), planned_units=100)]
    ).rows()
    assert (row["status"], row["reason"]) == ("ok", "all_or_none_converted")
    assert row["rel_diff"] == -1.0
    pairs = ("rel_ci", "seq_rel_ci", "posterior_ci")
    assert {row[f"{name}_{end}"] for name in pairs for end in ("lower", "upper")} == {None}
    assert row["seq_rel_diff"] is None
    assert (row["chance_to_win"], row["expected_loss"]) == (None, None)
    for name in ("abs_ci", "small_ci", "seq_ci"):
        assert row[f"{name}_lower"] < row["abs_diff"] < row[f"{name}_upper"]
    assert row["mde"] > 0.0
    assert belief(converted(9, 20), converted(0, 21), kind="proportion") == Undetermined(
        Reason.ALL_OR_NONE_CONVERTED
    )
    alone = sequential_difference(converted(9, 20), converted(0, 21), planned=100.0, kind="proportion")
    assert isinstance(alone, SequentialEstimate)
    assert alone.relative_interval is None


@pytest.mark.parametrize(
    ("kind", "control", "treatment", "reason"),
    [
        ("proportion", converted(9, 20), converted(21, 21), "all_or_none_converted"),
        ("proportion", converted(0, 20), converted(9, 21), "all_or_none_converted"),
        ("mean", converted(9, 20), converted(0, 21), "one_arm_constant"),
        ("mean", converted(20, 20), converted(9, 21), "one_arm_constant"),
        ("mean", converted(0, 20), converted(9, 21), "baseline_near_zero"),
    ],
)
def test_an_interval_that_rests_on_one_arm_alone_says_so(kind, control, treatment, reason):
    (row,) = compare([Comparison(kind=kind, strata=((control, treatment),))]).rows()
    assert (row["status"], row["reason"]) == ("ok", reason)
    assert row["abs_ci_lower"] < row["abs_diff"] < row["abs_ci_upper"]


def test_impossible_sums_are_refused_when_asked():
    with pytest.raises(ImpossibleSumsError, match="sum_yy = 1"):
        compare([Comparison(kind="mean", strata=((FINE, IMPOSSIBLE),))], refuse_impossible=True)


def test_without_a_pre_period_there_are_no_adjusted_columns():
    (row,) = compare([Comparison(kind="mean", strata=((FINE, FINE),))]).rows()
    assert row["cuped_abs_diff"] is None
    assert row["cuped_theta"] is None
    assert row["status"] == "ok"


def test_versions_are_combined_by_their_shares_and_never_summed():
    """50/50 with mean 1, then 20/80 with mean 2: a plain sum shows a difference of .23 that is not there."""
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 0.01, 1000).round(6)
    first = (Moments.from_units(1 + noise[:500]), Moments.from_units(1 + noise[:500]))
    second = (Moments.from_units(2 + noise[500:600]), Moments.from_units(2 + np.tile(noise[500:600], 4)))
    (combined, single) = compare(
        [
            Comparison(kind="mean", strata=(first, second)),
            Comparison(kind="mean", strata=((first[0] + second[0], first[1] + second[1]),)),
        ]
    ).rows()
    assert combined["abs_diff"] == pytest.approx(0.0, abs=1e-12)
    assert combined["mean_control"] == pytest.approx((1000 * 1 + 500 * 2) / 1500, rel=1e-3)
    assert (combined["n_control"], combined["n_treatment"]) == (600, 900)
    assert single["abs_diff"] == pytest.approx(0.278, abs=0.01)


def test_the_combination_has_the_weighted_differences_and_squared_weights():
    versions = [
        (Moments.from_units([1.0, 2.0, 4.0]), Moments.from_units([3.0, 3.0, 5.0, 9.0])),
        (Moments.from_units([0.0, 2.0]), Moments.from_units([1.0, 6.0, 2.0])),
    ]
    (row,) = compare([Comparison(kind="mean", strata=tuple(versions))]).rows()
    single = [mean_difference(*version) for version in versions]
    assert all(isinstance(each, Estimate) for each in single)
    shares = [7 / 12, 5 / 12]
    expected = sum(share * each.estimate for share, each in zip(shares, single, strict=True))
    variance = sum((share * each.standard_error) ** 2 for share, each in zip(shares, single, strict=True))
    assert row["abs_diff"] == pytest.approx(expected, rel=1e-12)
    parts = [
        (share**2 * arm.variance("y") / arm.n, arm.n - 1)
        for share, version in zip(shares, versions, strict=True)
        for arm in version
    ]
    df = variance**2 / sum(part**2 / degrees for part, degrees in parts)
    half = stats.t.ppf(0.975, df) * np.sqrt(variance)
    assert (row["abs_ci_lower"], row["abs_ci_upper"]) == pytest.approx(
        (expected - half, expected + half), rel=1e-9
    )


def test_a_version_without_two_users_in_each_arm_waits_outside():
    version = (FINE, Moments.from_units([12.0, 13.0, 19.0]))
    with_young, without, none, broken = compare(
        [
            Comparison(kind="mean", strata=(version, (FINE, Moments.from_units([7.0])))),
            Comparison(kind="mean", strata=(version,)),
            Comparison(kind="mean", strata=((Moments(), FINE), (FINE, Moments()))),
            Comparison(kind="mean", strata=(version, (FINE, IMPOSSIBLE))),
        ]
    ).rows()
    assert with_young == without | {"reason": Reason.VERSION_LEFT_OUT}
    assert (none["status"], none["reason"], none["n_control"]) == ("undetermined", "too_few_units", 4)
    assert (broken["status"], broken["reason"]) == ("undetermined", "impossible_sums")


def test_no_comparison_gives_an_empty_scorecard():
    card = compare([])
    assert len(card) == 0
    assert list(card.rows()) == []


def test_a_malformed_question_names_its_fault():
    with pytest.raises(ValueError, match="kind is 'median'"):
        Comparison(kind="median", strata=((FINE, FINE),))
    with pytest.raises(ValueError, match="strata is empty"):
        Comparison(kind="mean", strata=())
    with pytest.raises(ValueError, match="alpha is 0"):
        Comparison(kind="mean", strata=((FINE, FINE),), alpha=0.0)


def sequential_row(control, treatment, **asked):
    (row,) = compare(
        [Comparison(kind="mean", strata=((control, treatment),), planned_units=1000, **asked)]
    ).rows()
    return row


def noisy(seed: int, mean: float, n: int = 200) -> Moments:
    return Moments.from_units(np.random.default_rng(seed).normal(mean, 1.0, n).round(6))


def test_the_sequential_columns_are_one_look_of_the_scalar_form():
    control, treatment = noisy(1, 10.0), noisy(2, 10.3, 120)
    row = sequential_row(control, treatment, shares=(0.5, 0.3))
    alone = sequential_difference(control, treatment, planned=float(planned_information(1000, 0.5, 0.3)))
    assert isinstance(alone, SequentialEstimate)
    assert (row["seq_ci_lower"], row["seq_ci_upper"]) == (alone.ci_lower, alone.ci_upper)
    assert (row["seq_rel_ci_lower"], row["seq_rel_ci_upper"]) == alone.relative_interval
    assert row["seq_rel_diff"] == row["rel_diff"]
    assert (row["seq_log_e"], row["seq_p_value"]) == (alone.log_e_value, np.exp(alone.log_p_value))


def test_the_lift_for_any_look_is_of_the_adjusted_difference_and_of_the_adjusted_baseline():
    """The treatment's users spent more before as well, so a part of what they spend more is theirs."""
    before = {"control": [1.0, 2.0, 3.0, 4.0] * 50, "treatment": [2.0, 3.0, 4.0, 5.0] * 50}
    arms = [
        Moments.from_units([10 + x + i % 3 for i, x in enumerate(values)], [1] * 200, values)
        for values in before.values()
    ]
    row = sequential_row(*arms, has_covariate=True)
    assert row["cuped_abs_diff"] < row["abs_diff"]
    adjusted_control = row["mean_control"] + (row["abs_diff"] - row["cuped_abs_diff"]) / 2  # arms of one size
    assert row["seq_rel_diff"] == pytest.approx(row["cuped_abs_diff"] / adjusted_control, rel=1e-12)
    assert row["seq_rel_ci_lower"] < row["seq_rel_diff"] < row["seq_rel_ci_upper"]


def test_the_smallest_p_of_all_looks_is_kept_and_handed_on():
    strong = sequential_row(noisy(1, 10.0), noisy(2, 10.8))
    weak = sequential_row(noisy(1, 10.0), noisy(2, 10.0), log_p_min=strong["seq_log_p_min"])
    assert weak["seq_p_value"] > 0.5
    assert weak["seq_p_min"] == strong["seq_p_min"] == strong["seq_p_value"] < 1e-6


def test_a_minimum_once_reached_outlives_a_look_without_an_answer():
    row = sequential_row(Moments(), FINE, log_p_min=-5.0)
    assert (row["seq_p_value"], row["seq_log_p_min"]) == (None, -5.0)
    assert sequential_row(Moments(), FINE)["seq_p_min"] is None


def test_a_view_looked_at_once_has_no_sequential_columns_and_says_so():
    row = sequential_row(noisy(1, 10.0), noisy(2, 10.8), one_look=True, family=None)
    assert (row["status"], row["reason"]) == ("ok", "one_look_only")
    absent = ("seq_ci_lower", "seq_p_value", "seq_p_min", "p_adjusted", "harm_p_value")
    assert all(row[name] is None for name in absent)
    assert row["mde"] > 0.0


def test_a_family_is_adjusted_by_holm_and_its_simultaneous_intervals_do_not_contradict_it():
    lifts = (10.0, 10.25, 10.35, 10.8)
    questions = [
        Comparison(kind="mean", strata=((noisy(1, 10.0), noisy(2, lift)),), planned_units=1000, family=4)
        for lift in lifts
    ]
    outside = Comparison(kind="mean", strata=((noisy(1, 10.0), noisy(2, 10.8)),), planned_units=1000)
    undetermined = Comparison(kind="mean", strata=((Moments(), FINE),), planned_units=1000, family=4)
    rows = list(compare([*questions, outside, undetermined]).rows())
    p = [row["seq_p_min"] for row in rows[:4]] + [1.0]
    assert [row["p_adjusted"] for row in rows[:4]] == pytest.approx(np.exp(holm(np.log(p)))[:4])
    assert rows[4]["p_adjusted"] is None
    assert rows[5]["p_adjusted"] is None
    for row in rows[:4]:
        excludes = not row["simultaneous_ci_lower"] <= 0.0 <= row["simultaneous_ci_upper"]
        assert excludes == (5 * row["seq_p_value"] < 0.05)
        assert not excludes or row["p_adjusted"] < 0.05
        assert row["simultaneous_ci_lower"] < row["seq_ci_lower"]


@pytest.mark.parametrize(("direction", "sign"), [("increase", 1), ("decrease", -1)])
def test_harm_and_non_inferiority_look_at_the_bad_side_and_the_margin(direction, sign):
    worse = sequential_row(noisy(1, 10.0), noisy(2, 10.0 - sign * 1.0), direction=direction, margin=0.02)
    alike = sequential_row(noisy(1, 10.0, 2000), noisy(2, 10.0, 2000), direction=direction, margin=0.02)
    assert worse["harm_p_value"] < 1e-6
    assert worse["noninferior_p_value"] > 0.9
    assert alike["noninferior_p_value"] < 0.01
    assert alike["harm_p_value"] > 0.9


def test_chance_to_win_and_loss_follow_the_good_direction():
    up = sequential_row(noisy(1, 10.0), noisy(2, 10.3), direction="increase")
    down = sequential_row(noisy(1, 10.0), noisy(2, 10.3), direction="decrease")
    assert up["chance_to_win"] > 0.95
    assert up["chance_to_win"] + down["chance_to_win"] == pytest.approx(1.0)
    assert up["expected_loss"] < 0.001 < down["expected_loss"]


def test_users_and_days_are_counted_to_the_target_lift_or_else_to_the_plan():
    planned = sequential_row(noisy(1, 10.0), noisy(2, 10.0), shares=(0.4, 0.4), users_per_day=50)
    assert (planned["users_needed"], planned["days_left"]) == (800.0, 8.0)
    target = sequential_row(noisy(1, 10.0), noisy(2, 10.0), target_lift=0.01, users_per_day=50)
    again = plan(
        noisy(1, 10.0), noisy(2, 10.0), lift=0.01, planned=float(planned_information(1000, 0.5, 0.5))
    )
    assert isinstance(again, Plan)
    assert target["users_needed"] == again.users_needed
    assert target["mde"] == pytest.approx(again.relative_mde)
    assert sequential_row(noisy(1, 10.0), noisy(2, 10.0))["days_left"] is None


def test_one_version_given_as_two_halves_keeps_the_clock_and_nearly_all_of_the_evidence():
    control, treatment = noisy(1, 10.0, 4000), noisy(2, 10.1, 4000)
    halves = [(noisy(1, 10.0, 2000), noisy(2, 10.1, 2000)) for _ in range(2)]
    (whole,) = compare([Comparison(kind="mean", strata=((control, treatment),), planned_units=8000)]).rows()
    (split,) = compare([Comparison(kind="mean", strata=tuple(halves), planned_units=8000)]).rows()
    width = whole["seq_ci_upper"] - whole["seq_ci_lower"]
    assert split["seq_ci_upper"] - split["seq_ci_lower"] == pytest.approx(width, rel=0.05)


def test_the_clock_over_versions_runs_as_their_variances_add():
    """50/50 then 20/80: a user of the second version adds 1/(4·.2·.8) of a user of the first."""
    strata = Strata.of(np.array([2]), np.array([1000.0, 1000.0]), np.array([True, True]))
    t = strata.information(np.array([500.0, 200.0]), np.array([500.0, 800.0]))
    assert t == pytest.approx([1000 + 1000 / (4 * 0.2 * 0.8)])


def test_central_moments_give_the_same_columns_as_sums():
    rng = np.random.default_rng(9)
    arms = []
    for _ in range(2):
        d, e = rng.poisson(3, 60) + 1.0, rng.poisson(3, 60) + 1.0
        arms.append((rng.gamma(2, 3, 60).round(6), d, rng.gamma(2, 3, 60).round(6), e))
    central = [
        CentralMoments(
            np.array([60.0]), np.mean(arm, axis=1)[:, None], np.cov(arm)[np.triu_indices(4)][:, None]
        )
        for arm in arms
    ]
    sums = [Moments.from_units(*arm) for arm in arms]
    for kind in ("mean", "ratio"):
        asked = Questions(has_covariate=True, planned=1000.0)
        ours = compare_pairs(pairs_of(*central, kind), asked).columns()
        exact = compare_pairs(Pairs.from_moments([tuple(sums)], [kind]), asked).columns()
        for name in ours.keys() - {"status", "reason"}:
            assert ours[name] == pytest.approx(exact[name], rel=1e-8, abs=1e-10, nan_ok=True), (kind, name)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"direction": "up"}, "direction is 'up'"),
        ({"planned_units": 0}, "planned_units is 0"),
        ({"shares": (0.9, 0.9)}, "shares are"),
        ({"margin": -1.0}, "margin is -1"),
        ({"log_p_min": 0.1}, r"log_p_min is 0\.1"),
        ({"family": -3}, "family is -3"),
        ({"power": 1.0}, r"power is 1\.0"),
        ({"prior_sd": 0.0}, r"prior_sd is 0\.0"),
    ],
)
def test_every_attribute_of_a_question_is_checked_by_name(wrong, told):
    with pytest.raises(ValueError, match=told):
        Comparison(kind="mean", strata=((FINE, FINE),), **wrong)
