"""A number that stopped updating says so, and a missing region is named."""

from __future__ import annotations

from datetime import timedelta

from infra.console.freshness import Freshness, Liveness, freshness
from infra.console.source import Answer
from tests.infra.console.worlds import NOW, written

READ = Answer(read_at=NOW)
MISSING = Answer(read_at=NOW, is_missing=True)


def coverage(**lags_s: float) -> Answer:
    rows = tuple(
        {"region": name, "watermark": NOW - timedelta(seconds=lag), "lag_s": lag}
        for name, lag in lags_s.items()
    )
    return Answer(rows, NOW)


def of(found: Freshness) -> tuple[Liveness, str]:
    return found.liveness, written(found.words)


def test_counted_seconds_ago_is_live() -> None:
    assert of(freshness(NOW, NOW, READ, coverage(eu=2, us=3))) == (Liveness.LIVE, "3 s old")
    assert of(freshness(NOW, NOW - timedelta(seconds=5), READ, MISSING)) == (Liveness.LIVE, "5 s old")


def test_without_coverage_silence_is_not_called_a_failure() -> None:
    found = freshness(NOW, NOW - timedelta(minutes=14), READ, MISSING)
    assert of(found) == (Liveness.QUIET, "last event 14 min ago")
    assert found.explanation == ""


def test_a_quiet_tenant_is_live_while_its_regions_count() -> None:
    assert freshness(NOW, NOW - timedelta(days=2), READ, coverage(eu=2)).liveness is Liveness.LIVE


def test_a_region_that_is_behind_is_missing_since_then() -> None:
    found = freshness(NOW, NOW, READ, coverage(eu=2, us=7200))
    assert of(found) == (Liveness.PARTIAL, "2 s old, without `us`")
    assert [written(each) for each in found.missing] == ["`us` is missing since 26 Nov 2026 10:00:00 UTC"]
    assert [written(each) for each in found.cautions] == [
        "Region `us` is missing since 26 Nov 2026 10:00:00 UTC: its users are counted only up to then."
    ]
    assert (found.behind, found.regions) == (("us",), ("eu", "us"))


def test_results_behind_what_is_counted_have_their_own_age() -> None:
    half_a_minute_ago, an_hour_ago = NOW - timedelta(seconds=30), NOW - timedelta(hours=3)
    found = freshness(NOW, NOW, READ, coverage(eu=2), behind_since=half_a_minute_ago)
    assert of(found) == (Liveness.LIVE, "30 s old")
    found = freshness(NOW, NOW, READ, coverage(eu=2, us=7200), behind_since=half_a_minute_ago)
    assert of(found) == (Liveness.PARTIAL, "30 s old, without `us`")
    for covered in (coverage(eu=2), MISSING):
        found = freshness(NOW, NOW, READ, covered, behind_since=an_hour_ago)
        assert of(found) == (Liveness.BEHIND, "3 h old, newer events are on their way")
        assert not found.is_well


def test_no_region_counting_is_stopped() -> None:
    found = freshness(NOW, NOW, READ, coverage(eu=90, us=7200))
    assert of(found) == (Liveness.STOPPED, "stopped at 26 Nov 2026 11:58:30 UTC")
    assert found.explanation.startswith("Nothing has been counted since 26 Nov 2026 11:58:30 UTC")


def test_an_unreachable_clickhouse_is_stopped_whatever_was_read_before() -> None:
    found = freshness(NOW, NOW, Answer(read_at=NOW, failure="no ClickHouse answers"), coverage(eu=2))
    assert of(found) == (Liveness.STOPPED, "stopped at 26 Nov 2026 12:00:00 UTC")
    unread = freshness(NOW, None, Answer(failure="no ClickHouse answers"), Answer())
    assert unread.explanation == "The results cannot be read: no ClickHouse answers."


def test_the_past_is_neither_live_nor_stopped() -> None:
    found = freshness(NOW, NOW, READ, coverage(eu=7200), past=NOW - timedelta(days=1))
    assert of(found) == (Liveness.PAST, "as of 25 Nov 2026 12:00:00 UTC")
    assert found.short == "as of then"


def test_nothing_counted_is_told() -> None:
    assert freshness(NOW, None, READ, MISSING).words == "nothing counted yet"
