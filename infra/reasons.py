"""Why an answer, or a part of it, is absent: the names of ``reason`` in plain words."""

from __future__ import annotations

from collections.abc import Mapping

IN_WORDS: Mapping[str, str] = {
    "impossible_sums": "the sums are in flux, users or outcomes are still on their way",
    "too_few_units": "fewer than two users in an arm",
    "zero_denominator": "nothing to divide by in an arm",
    "zero_variance": "every user has the same value so far",
    "baseline_near_zero": "the control's mean may be zero, so there is no lift relative to it",
    "one_arm_constant": "every user of one arm has the same value so far",
    "all_or_none_converted": "all users of an arm converted, or none",
    "version_left_out": "a config version with fewer than two users in an arm is left out",
    "one_look_only": "this question is asked once",
    "never_matures": "the metric has no window, so more outcomes may come of any user",
    "metric_changed": "the metric means another thing in each config version: ask for one of them",
    "crossed_unbalanced": "more users crossed in one arm than in another: leaving them out misleads",
    "leak": "users are in a variant that should get nobody",
    "no_units": "no users yet",
    "no_allocation": "fewer than two variants should get users",
    "no_arrivals": "no new users come",
}
"""Every ``udfs.stats.Reason``; written out, so that readers of results need not load the statistics."""


def in_words(reason: str) -> str:
    """A reason in plain words; one of a newer release by its name."""
    return IN_WORDS.get(reason, reason.replace("_", " "))
