"""Statistics of experiments from exact sums: numpy and scipy only, no stream, no store.

Start with ``Moments`` (exact sums that add) and either ``compare`` (everything about many comparisons)
or a single question such as ``mean_difference``. ``docs/statistics.md`` explains the choices.
"""

from udfs.stats.compare import Comparison, Scorecard, compare, compare_pairs
from udfs.stats.cuped import CupedEstimate, cuped_difference
from udfs.stats.mean import mean_difference
from udfs.stats.moments import MICROS, SUM_NAMES, Moments
from udfs.stats.outcome import Estimate, ImpossibleSumsError, Reason, Undetermined
from udfs.stats.pairs import Kind
from udfs.stats.relative import relative_lift
from udfs.stats.sample_ratio import Allocation, SampleRatio, sample_ratio

__all__ = [
    "MICROS",
    "SUM_NAMES",
    "Allocation",
    "Comparison",
    "CupedEstimate",
    "Estimate",
    "ImpossibleSumsError",
    "Kind",
    "Moments",
    "Reason",
    "SampleRatio",
    "Scorecard",
    "Undetermined",
    "compare",
    "compare_pairs",
    "cuped_difference",
    "mean_difference",
    "relative_lift",
    "sample_ratio",
]
