"""An address holds everything that says what a page shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.console.state import POLICIES, VIEWS, State, UnknownStateError

MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(2199, 1, 1), timezones=st.just(UTC)).map(
    lambda moment: moment - timedelta(microseconds=moment.microsecond % 1000)
)
STATES = st.builds(
    State,
    tenant=st.just("acme"),
    experiment=st.text(min_size=1),
    view=st.sampled_from(VIEWS),
    policy=st.sampled_from(POLICIES),
    config_version=st.integers(0, 2**31 - 1),
    metric=st.text(),
    treatment=st.text(),
    as_of=st.none() | MOMENTS,
)


def test_what_is_as_by_default_is_left_out() -> None:
    assert State("acme", "checkout-button").url == "/tenants/acme/experiment?id=checkout-button"


@given(STATES.filter(lambda state: "\ud800" not in state.url))
def test_an_address_read_again_is_the_same_state(state: State) -> None:
    url = urlsplit(state.url)
    assert url.path == "/tenants/acme/experiment"
    assert State.of("acme", dict(parse_qsl(url.query, keep_blank_values=True))) == state


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"view": "tomorrow"}, "view must be one of all, matured, rolling_24h, rolling_7d, not 'tomorrow'"),
        ({"policy": "x"}, "policy must be one of"),
        ({"version": "-1"}, "version must be a whole number"),
        ({"version": "99999999999"}, "version must be a whole number"),
        ({"version": "²"}, "version must be a whole number"),
        ({"as_of": "yesterday"}, "as_of must be a moment such as 2026-11-22T14:05Z, not 'yesterday'"),
        ({"as_of": "0001-01-01T00:00Z"}, "as_of must be in the years 1970 to 2200"),
    ],
)
def test_an_address_that_says_nothing_is_named(query: dict[str, str], words: str) -> None:
    with pytest.raises(UnknownStateError, match=words):
        State.of("acme", query)


@pytest.mark.parametrize("text", ["2026-11-22T14:05", "2026-11-22T14:05Z", "2026-11-22T15:05+01:00"])
def test_a_moment_without_a_zone_is_utc(text: str) -> None:
    found = State.of("acme", {"id": "e", "as_of": text})
    assert found.as_of == datetime(2026, 11, 22, 14, 5, tzinfo=UTC)
    assert found.moment_ms == 1_795_356_300_000
    assert State("acme", "e").moment_ms == 0
