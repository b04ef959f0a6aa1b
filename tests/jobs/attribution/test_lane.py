"""A lane is whom a job serves and at which epoch; everything it is known by follows from that."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.attribution.lane import Lane

TENANTS = st.from_regex(r"[a-z0-9-]{1,8}", fullmatch=True)
EXPERIMENTS = st.text(min_size=1, max_size=60)


@st.composite
def lanes(draw: st.DrawFn) -> Lane:
    tenant = draw(st.just("") | TENANTS)
    experiment = draw(st.just("") | EXPERIMENTS) if tenant else ""
    return Lane(tenant, experiment, draw(st.integers(0, 2047)))


def test_the_lane_of_everyone_has_the_plain_name() -> None:
    assert Lane().name == "livelift-attribution"
    assert Lane(epoch=3).name == "livelift-attribution-e3"


def test_other_lanes_are_named_for_whom_they_serve_and_their_epoch() -> None:
    assert Lane("acme", epoch=2).name == "livelift-attribution-acme-e2"
    assert Lane("acme", "Checkout button!", 2).name == "livelift-attribution-acme-checkout-button.68a3ffee-e2"


@given(lanes(), lanes())
def test_no_two_lanes_share_a_name(one: Lane, other: Lane) -> None:
    assert (one.name == other.name) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Lane("a", "b", 1), Lane("a-b", epoch=1)),
        (Lane("a", "b c", 1), Lane("a", "b-c", 1)),
        (Lane("e3", epoch=1), Lane(epoch=3)),
    ],
)
def test_lanes_that_look_alike_do_not_share_a_name(one: Lane, other: Lane) -> None:
    assert one.name != other.name


@given(lanes())
def test_a_name_is_good_for_a_folder(lane: Lane) -> None:
    assert re.fullmatch(r"livelift-attribution[a-z0-9.-]*", lane.name)
    assert len(lane.name) < 130


def test_a_lane_of_a_tenant_reads_his_topics_only() -> None:
    assert re.fullmatch(Lane("acme", epoch=1).topic_pattern, "livelift.acme.outcomes")
    assert not re.fullmatch(Lane("acme", epoch=1).topic_pattern, "livelift.other.outcomes")
    assert re.fullmatch(Lane().topic_pattern, "livelift.other.outcomes")


def test_the_java_functions_are_told_whom_the_lane_serves() -> None:
    assert Lane("acme", "button", 7).parameters == {
        "livelift.tenant": "acme",
        "livelift.experiment": "button",
        "livelift.epoch": "7",
    }


@pytest.mark.parametrize(
    ("whom", "said"),
    [
        (("Acme", "", 1), "tenant 'Acme' does not match [a-z0-9-]{1,40}"),
        (("", "button", 1), "experiment 'button' of which tenant?"),
        (("acme", "", 2048), "epoch 2048 is not in 0..2047"),
        (("acme", "", -1), "epoch -1 is not in 0..2047"),
    ],
)
def test_a_lane_of_nobody_is_refused(whom: tuple[str, str, int], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        Lane(*whom)
