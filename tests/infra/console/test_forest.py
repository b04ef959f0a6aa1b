"""Every row of a plot is on one scale, zero in its middle, and no wide row makes the others unreadable."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from infra.console.figures import Interval
from infra.console.forest import LEFT, MIDDLE, RIGHT, Scale
from infra.console.reading import Reading, read
from tests.infra.console.worlds import CONVERTED, LATENCY, REVENUE, a_result, moved, open_result, undetermined

REVENUES = read(a_result(), REVENUE)
CONVERTEDS = read(open_result(), CONVERTED)
LATENCIES = read(moved(0.006, 0.0075, mean=312.0, metric_id="latency_ms"), LATENCY)


def with_interval(lower: float, upper: float) -> Reading:
    return replace(REVENUES, always=Interval(lower, upper), once=None, estimate=(lower + upper) / 2)


def test_zero_is_in_the_middle_and_the_one_look_interval_inside_the_always_valid_one() -> None:
    scale = Scale.of([REVENUES, CONVERTEDS])
    marks = scale.marks(REVENUES)
    assert scale.limit == 0.1
    assert scale.x(0.0) == MIDDLE
    assert marks.whisker is not None
    assert marks.box is not None
    assert marks.dot is not None
    assert MIDDLE < marks.whisker.lower < marks.box.lower < marks.dot < marks.box.upper < marks.whisker.upper


def test_a_margin_is_always_on_the_scale() -> None:
    scale = Scale.of([LATENCIES])
    assert scale.limit >= 0.02
    assert scale.marks(LATENCIES).margin == scale.x(0.02)
    assert "harm begins at +2.0" in scale.marks(LATENCIES).label


def test_an_interval_much_wider_than_the_others_is_cut_and_says_so() -> None:
    rows = [with_interval(-0.01, 0.02), with_interval(-0.02, 0.02), with_interval(-5.0, 9.0)]
    scale = Scale.of(rows)
    assert scale.limit == 0.1
    marks = scale.marks(rows[2])
    assert (marks.cut_left, marks.cut_right) == (LEFT, RIGHT)
    assert "+900" in marks.label


def test_of_two_rows_the_narrower_one_stays_readable() -> None:
    """A harmed guardrail beside one that hardly happens yet."""
    harmed, rare = with_interval(0.16, 0.43), with_interval(-1.2, 8.8)
    scale = Scale.of([harmed, rare])
    assert scale.limit == 2.0
    marks = scale.marks(rare)
    assert (marks.cut_left, marks.cut_right) == (None, RIGHT)


def test_a_share_that_cannot_fall_further_is_drawn_to_minus_100_percent_with_an_arrow_there() -> None:
    wide = replace(with_interval(-1.2, 4.4), metric=CONVERTED)
    scale = Scale.of([wide])
    assert scale.limit == 2.0
    marks = scale.marks(wide)
    assert marks.whisker is not None
    assert marks.whisker.lower == scale.x(-1.0) == marks.cut_left
    assert marks.cut_right == RIGHT
    assert "−120" in marks.label, "the numbers stay what they are"
    money = scale.marks(replace(wide, metric=REVENUE))
    assert money.cut_left is None, "what may be negative can fall further"
    assert money.whisker is not None
    assert money.whisker.lower == scale.x(-1.2)


def test_an_interval_that_reaches_below_minus_100_percent_stretches_the_scale_to_its_dot_only() -> None:
    absurd = with_interval(-30.0, 31.0)
    scale = Scale.of([absurd])
    assert scale.limit == 1.0
    marks = scale.marks(absurd)
    assert (marks.cut_left, marks.cut_right) == (LEFT, RIGHT)
    assert marks.dot is not None
    large = with_interval(1.5, 4.5)
    assert Scale.of([large]).limit == 5.0, "a large effect is seen whole"


def test_a_dot_beyond_the_scale_is_not_drawn_at_its_end() -> None:
    scale = Scale.of([with_interval(0.16, 0.43), with_interval(-1.2, 8.8)])
    assert scale.marks(with_interval(-1.2, 8.8)).dot is None


def test_a_row_without_an_answer_has_no_mark() -> None:
    marks = Scale.of([REVENUES]).marks(read(undetermined("zero_variance"), REVENUE))
    assert (marks.whisker, marks.box, marks.dot) == (None, None, None)
    assert Scale.of([]).limit > 0


@given(
    st.lists(
        st.tuples(st.floats(-3, 3), st.floats(-3, 3)).map(sorted).map(lambda ends: with_interval(*ends)),
        min_size=1,
    )
)
def test_whatever_the_intervals_marks_stay_in_the_drawing_and_in_order(rows: list[Reading]) -> None:
    scale = Scale.of(rows)
    for row in rows:
        whisker = scale.marks(row).whisker
        assert whisker is not None
        assert 0 <= whisker.lower <= whisker.upper <= 260
        assert row.always is not None
        assert row.always.lower >= 0 or whisker.lower <= MIDDLE
