"""Texts of an experiment in one map of state."""

from __future__ import annotations

from jobs.scorecard.kept import Kept, Kind
from jobs.scorecard.slots import Cohort, decode_cohort, encode_cohort
from tests.jobs.scorecard.running import FakeState


def test_each_text_is_found_again_by_kind_and_place() -> None:
    state, place = FakeState(), Cohort(0, 1, "country=New Zealand", 0)
    kept = Kept(state)
    kept.put(Kind.TOTALS, encode_cohort(place), "first")
    kept.put(Kind.SPREADS, encode_cohort(place), "spread")
    kept.put(Kind.LOOKS, "0", "looks")
    kept.put(Kind.TOTALS, encode_cohort(place), "second")
    found = Kept(state).read()
    assert {decode_cohort(each): text for each, text in found[Kind.TOTALS].items()} == {place: "second"}
    assert (found[Kind.SPREADS], found[Kind.DEFINITION]) == ({encode_cohort(place): "spread"}, {})
    assert found[Kind.LOOKS] == {"0": "looks"}
