"""Statistics of experiments from exact sums: numpy and scipy only, no stream, no store.

Start with ``Moments`` (exact sums that add) and either ``compare`` (everything about many comparisons)
or a single question such as ``mean_difference``. ``docs/statistics.md`` explains the choices.
"""

from udfs.stats.bayes import Belief, belief
from udfs.stats.central import CentralMoments, pairs_of
from udfs.stats.compare import compare, compare_pairs
from udfs.stats.cuped import CupedEstimate, cuped_difference
from udfs.stats.guardrail import Direction, GuardrailTest, guardrail
from udfs.stats.mean import mean_difference
from udfs.stats.moments import MICROS, SUM_NAMES, Moments
from udfs.stats.multiplicity import (
    benjamini_hochberg,
    benjamini_yekutieli,
    bonferroni,
    e_benjamini_hochberg,
    holm,
)
from udfs.stats.outcome import Estimate, ImpossibleSumsError, Reason, Undetermined
from udfs.stats.pairs import Arms, Kind, Pairs
from udfs.stats.planning import DaysLeft, Plan, days_left, plan
from udfs.stats.proportion import ProportionInterval, proportion_difference
from udfs.stats.questions import Comparison, Questions
from udfs.stats.relative import relative_lift
from udfs.stats.sample_ratio import Allocation, SampleRatio, crossed_balance, leaked_users, sample_ratio
from udfs.stats.scorecard import Scorecard
from udfs.stats.sequential import SequentialEstimate, planned_information, sequential_difference

__all__ = [
    "MICROS",
    "SUM_NAMES",
    "Allocation",
    "Arms",
    "Belief",
    "CentralMoments",
    "Comparison",
    "CupedEstimate",
    "DaysLeft",
    "Direction",
    "Estimate",
    "GuardrailTest",
    "ImpossibleSumsError",
    "Kind",
    "Moments",
    "Pairs",
    "Plan",
    "ProportionInterval",
    "Questions",
    "Reason",
    "SampleRatio",
    "Scorecard",
    "SequentialEstimate",
    "Undetermined",
    "belief",
    "benjamini_hochberg",
    "benjamini_yekutieli",
    "bonferroni",
    "compare",
    "compare_pairs",
    "crossed_balance",
    "cuped_difference",
    "days_left",
    "e_benjamini_hochberg",
    "guardrail",
    "holm",
    "leaked_users",
    "mean_difference",
    "pairs_of",
    "plan",
    "planned_information",
    "proportion_difference",
    "relative_lift",
    "sample_ratio",
    "sequential_difference",
]
