"""Draw the pictures of docs/statistics.md with the package itself: python -m docs.pictures.statistics.make

Needs matplotlib (of the development packages). Seeds are fixed, so a picture changes only with the code.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np

from tests.calibration.experiments import Arm, answers, arm_at_looks, bernoulli, exponential, normal, revenue
from tests.calibration.test_sequential import welch_sequence
from udfs.stats import Comparison, Moments, compare
from udfs.stats.sample_ratio import multinomial_log_e

mpl.use("svg")
mpl.rcParams.update(
    {
        "svg.hashsalt": "livelift",
        "svg.fonttype": "none",
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.figsize": (7.0, 3.4),
        "legend.frameon": False,
    }
)
from matplotlib import pyplot as plt  # noqa: E402 - the backend is chosen first

HERE = Path(__file__).parent
BLUE, ORANGE, GREY, GREEN = "#2b6cb0", "#dd6b20", "#718096", "#2f855a"


def save(name: str) -> None:
    plt.tight_layout()
    plt.savefig(HERE / f"{name}.svg", metadata={"Date": None})
    plt.close()


def peeking() -> None:
    rng = np.random.default_rng(1)
    looks = np.unique(np.round(np.geomspace(100, 20_000, 120)).astype(int))
    arms = [arm_at_looks(rng, exponential, 2000, looks) for _ in range(2)]
    found = answers(*arms, planned=20_000.0)
    for column, colour, label in (
        ("p_value", ORANGE, "stop at the first p < .05 of a one-look test"),
        ("seq_p_value", BLUE, "stop at the first sequential p < .05"),
    ):
        so_far = np.minimum.accumulate(found[column], axis=1) < 0.05
        plt.plot(looks, 100 * so_far.mean(axis=0), color=colour, label=label)
    plt.axhline(5, color=GREY, linestyle=":", label="what was promised: 5 %")
    plt.xscale("log")
    plt.xlabel("users per arm")
    plt.ylabel("experiments with a false alarm, %")
    plt.ylim(0)
    plt.legend()
    save("peeking")


def one_experiment() -> None:
    rng = np.random.default_rng(12)
    looks = np.unique(np.round(np.geomspace(60, 20_000, 200)).astype(int))
    control = arm_at_looks(rng, normal, 1, looks)
    treatment = arm_at_looks(rng, normal, 1, looks).shift(0.06)
    found = {name: values[0] for name, values in answers(control, treatment, planned=20_000.0).items()}
    plt.fill_between(
        looks,
        found["seq_ci_lower"],
        found["seq_ci_upper"],
        color=BLUE,
        alpha=0.25,
        label="confidence sequence",
    )
    plt.fill_between(
        looks,
        found["abs_ci_lower"],
        found["abs_ci_upper"],
        color=ORANGE,
        alpha=0.45,
        label="Welch's interval",
    )
    plt.plot(looks, found["abs_diff"], color="black", linewidth=1, label="estimate")
    plt.axhline(0, color=GREY, linewidth=0.8)
    plt.axhline(0.06, color=GREEN, linestyle="--", linewidth=1, label="the true effect")
    plt.xscale("log")
    plt.ylim(-0.4, 0.5)
    plt.xlabel("users per arm")
    plt.ylabel("difference")
    plt.legend(ncols=2, fontsize=9)
    save("one-experiment")


def small_arm() -> None:
    rng = np.random.default_rng(2)
    treated = np.unique(np.round(np.geomspace(5, 400, 60)).astype(int))
    control = arm_at_looks(rng, bernoulli(0.02), 1000, treated * 49)
    treatment = arm_at_looks(rng, bernoulli(0.02), 1000, treated)
    planned = 4 * 20_000 * 0.02 * 0.98
    alarms = {
        "Welch's variance alone": (welch_sequence(control, treatment, planned), ORANGE),
        "with the pooled variance as a floor": (
            answers(control, treatment, planned=planned)["seq_p_value"] < 0.05,
            BLUE,
        ),
    }
    for label, (found, colour) in alarms.items():
        plt.plot(treated, 100 * np.maximum.accumulate(found, axis=1).mean(axis=0), color=colour, label=label)
    plt.axhline(5, color=GREY, linestyle=":", label="what was promised: 5 %")
    plt.xscale("log")
    plt.xlabel("users in the small arm (2 % of all; 2 in 100 convert)")
    plt.ylabel("false alarms so far, %")
    plt.legend()
    save("small-arm")


def fieller() -> None:
    rng = np.random.default_rng(3)
    sizes = np.array([100, 150, 200, 300, 500, 800, 1200, 2000, 4000])
    lift = 0.5
    control = arm_at_looks(rng, revenue, 4000, sizes)
    treatment = arm_at_looks(rng, lambda g, shape: (1 + lift) * revenue(g, shape), 4000, sizes)
    found = answers(control, treatment)
    with np.errstate(divide="ignore", invalid="ignore"):
        v_c, v_t = control.variance / control.n, treatment.variance / treatment.n
        ratio = treatment.mean / control.mean
        error = np.sqrt(v_t + ratio**2 * v_c) / control.mean
    misses = {
        "Fieller": (found["rel_ci_lower"] > lift, found["rel_ci_upper"] < lift, BLUE),
        "delta method": (ratio - 1 - 1.96 * error > lift, ratio - 1 + 1.96 * error < lift, ORANGE),
    }
    for label, (above, below, colour) in misses.items():
        plt.plot(sizes, 100 * above.mean(axis=0), color=colour, label=f"{label}: interval too high")
        plt.plot(sizes, 100 * below.mean(axis=0), color=colour, linestyle="--", label=f"{label}: too low")
    plt.axhline(2.5, color=GREY, linestyle=":")
    plt.xscale("log")
    plt.xlabel("users per arm (one in ten pays)")
    plt.ylabel("intervals that miss the lift, %")
    plt.legend(fontsize=9)
    save("fieller")


def cuped() -> None:
    rng = np.random.default_rng(41)
    x = rng.gamma(3.0, 4.0, 140)
    y = 0.9 * x + rng.normal(4.0, 3.0, 140)
    _, (left, right) = plt.subplots(1, 2)
    left.scatter(x, y, s=9, color=BLUE, alpha=0.7)
    slope = np.cov(x, y)[0, 1] / x.var(ddof=1)
    ends = np.array([x.min(), x.max()])
    left.plot(ends, y.mean() + slope * (ends - x.mean()), color=ORANGE)
    left.set_xlabel("spent before exposure")
    left.set_ylabel("spent after exposure")
    effect = 2.0
    control = Moments.from_units(y[:70].tolist(), x=x[:70].tolist())
    treatment = Moments.from_units((y[70:] + effect).tolist(), x=x[70:].tolist())
    (row,) = compare([Comparison(kind="mean", strata=((control, treatment),), has_covariate=True)]).rows()
    for height, (name, colour, ends) in enumerate(
        (
            ("adjusted", BLUE, ("cuped_ci_lower", "cuped_ci_upper")),
            ("as it is", ORANGE, ("abs_ci_lower", "abs_ci_upper")),
        )
    ):
        lower, upper = (float(row[end] or 0.0) for end in ends)
        right.plot([lower, upper], [height, height], color=colour, linewidth=4, solid_capstyle="butt")
        right.text(lower, height + 0.12, name, color=colour)
    right.axvline(0, color=GREY, linewidth=0.8)
    right.axvline(effect, color=GREEN, linestyle="--", linewidth=1)
    right.text(effect, -0.5, " the true effect", color=GREEN, fontsize=9)
    right.set_ylim(-0.6, 1.8)
    right.set_yticks([])
    right.spines["left"].set_visible(False)
    right.set_xlabel("difference, 95 % interval")
    save("cuped")


def versions() -> None:
    rng = np.random.default_rng(5)

    def users(mean: float, n: int) -> Moments:
        return Moments.from_units((mean + rng.normal(0, 1, n)).tolist())

    first, second = (users(1.0, 2500), users(1.0, 2500)), (users(2.0, 1000), users(2.0, 4000))
    summed = (first[0] + second[0], first[1] + second[1])
    cases = {
        "first version, 50/50": (first,),
        "second version, 20/80": (second,),
        "sum of both (wrong)": (summed,),
        "combination (config_version 0)": (first, second),
    }
    rows = list(compare([Comparison(kind="mean", strata=strata) for strata in cases.values()]).rows())
    for height, (name, row) in enumerate(zip(cases, rows, strict=True)):
        colour = ORANGE if "wrong" in name else BLUE
        lower, upper, middle = (
            float(row[end] or 0.0) for end in ("abs_ci_lower", "abs_ci_upper", "abs_diff")
        )
        plt.plot([lower, upper], [-height, -height], color=colour, linewidth=4, solid_capstyle="butt")
        plt.plot([middle], [-height], "o", color="white", markersize=3)
    plt.yticks([0, -1, -2, -3], list(cases))
    plt.ylim(-3.6, 0.6)
    plt.axvline(0, color=GREY, linewidth=0.8)
    plt.xlabel("difference of the means; the true one is 0 everywhere")
    save("versions")


def sample_ratio() -> None:
    rng = np.random.default_rng(6)
    looks = np.unique(np.round(np.geomspace(50, 60_000, 250)).astype(int))
    steps = np.diff(looks, prepend=0)
    for share, colour, label in (
        (0.5, BLUE, "50/50, as intended"),
        (0.51, GREEN, "51/49"),
        (0.52, ORANGE, "52/48"),
    ):
        for number in range(6):
            counts = np.cumsum(rng.multinomial(steps, [share, 1 - share]), axis=0)
            log_p = np.minimum.accumulate(np.minimum(0, -multinomial_log_e(counts, [0.5, 0.5])))
            plt.plot(
                looks,
                np.maximum(log_p / np.log(10), -8),
                color=colour,
                linewidth=1,
                label=None if number else label,
            )
    plt.axhline(-3, color=GREY, linestyle=":")
    plt.text(60, -3.5, "alarm at .001", color=GREY)
    plt.xscale("log")
    plt.ylim(-8, 0.3)
    plt.xlabel("users")
    plt.ylabel("log10 of the smallest p so far")
    plt.legend(loc="lower left")
    save("sample-ratio")


def prior() -> None:
    looks = np.array([50, 200, 1000, 5000])
    control = Arm(looks.astype(float), np.full((1, 4), 10.0), np.full((1, 4), 400.0))
    treatment = Arm(looks.astype(float), np.full((1, 4), 14.0), np.full((1, 4), 400.0))
    found = {name: values[0] for name, values in answers(control, treatment).items()}
    places = np.arange(4)
    plt.vlines(places - 0.08, found["rel_ci_lower"], found["rel_ci_upper"], color=ORANGE, linewidth=4)
    plt.vlines(
        places + 0.08, found["posterior_ci_lower"], found["posterior_ci_upper"], color=BLUE, linewidth=4
    )
    plt.plot(places - 0.08, found["rel_diff"], "o", color="white", markersize=3)
    plt.plot(places + 0.08, found["posterior_lift"], "o", color="white", markersize=3)
    plt.plot([], [], color=ORANGE, linewidth=4, label="the data alone (Fieller)")
    plt.plot([], [], color=BLUE, linewidth=4, label="data and prior (Bayes)")
    plt.axhline(0, color=GREY, linewidth=0.8)
    plt.xticks(places, [f"{each:,} users\nper arm" for each in looks])
    plt.ylabel("lift; 40 % was observed each time")
    plt.legend()
    save("prior")


if __name__ == "__main__":
    for picture in (peeking, one_experiment, small_arm, fieller, cuped, versions, sample_ratio, prior):
        picture()
        print(picture.__name__)
