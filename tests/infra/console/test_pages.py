"""What pages say, over rows at hand in the place of a ClickHouse: of a moment, nothing that is of now."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from config.settings import ROOT, load
from infra.console.definitions import Definition, Known
from infra.console.queries import Query
from infra.console.server import application
from infra.console.source import Answer, Row
from infra.console.state import State
from tests.infra.console.worlds import (
    A_DAY_LATER,
    BEGINNING,
    CONVERTED,
    NOW,
    a_decision,
    a_definition,
    a_ledger_minute,
    a_ratio,
    a_result,
    a_segment,
    a_version,
    moved,
    open_result,
    undetermined,
)

CHECKOUT = State("acme", "checkout-button")
THEN = CHECKOUT.but(as_of=A_DAY_LATER + timedelta(hours=1))
USERS_NOW = (
    {"unit_class": "clean", "users": 777_000, "users_of_a_day": 66_000},
    {"unit_class": "crossed", "users": 811, "users_of_a_day": 5},
)
LEDGER_NOW = a_ledger_minute() | {"rejected": 31, "residue": 0, "counted_up_to": NOW}

Pages = Callable[..., str]
"""A page of a state over rows by question."""


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> Pages:
    def page(
        state: State, rows: dict[Query, Sequence[Row]], definition: Definition | None = a_definition()
    ) -> str:
        class AtHand:
            def __init__(self, load: object) -> None:
                pass

            def ask(self, query: Query, **parameters: Any) -> Answer:
                assert parameters.keys() == query.parameters
                return Answer(tuple(rows.get(query, ())), NOW)

        monkeypatch.setattr("infra.console.server.Source", AtHand)
        found = {("acme", "checkout-button"): definition} if definition else {}
        known = Known(found, was_read=True, is_complete=True)
        settings = load(ROOT / "config" / "local.yaml", {})
        app = application(lambda: settings, definitions=lambda: known, now=lambda: NOW)
        return TestClient(app).get(state.url).text

    return page


def said(page: str) -> str:
    """What a page says to those who see it; ids stay in the sentence they are a part of."""
    text = re.sub(r"<p class=\"hidden\".*?</p>", " ", page)
    text = re.sub(r"</?(?:code|b)>", "", text)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).replace("\u00a0", " ").split())


RESULTS = (a_result(), open_result(), moved(0.0, 0.005, mean=312.0, metric_id="latency_ms", p_adjusted=None))


# ------------------------------------------------------------------------------------ as of a moment


def test_of_a_moment_users_are_those_counted_then_and_what_is_known_of_now_only_is_left_out(
    pages: Pages,
) -> None:
    rows = {
        Query.RESULTS_AS_OF: RESULTS,
        Query.SAMPLE_RATIO_AS_OF: [a_ratio(counts=[5_000, 5_010], expected=[5_005.0, 5_005.0])],
        Query.USERS: USERS_NOW,
        Query.LEDGER: [LEDGER_NOW],
        Query.COVERAGE: [{"region": "mars", "watermark": NOW, "lag_s": 1.0}],
    }
    words = said(pages(THEN, rows))
    assert "Users 10,010 counted by then" in words
    assert "Regions local counted then" in words
    assert "What became of each record is known as of now only" in words
    for of_now in ("777", "811", "2,418,330", "Crossed users", "Late and refused", "mars", "in the last day"):
        assert of_now not in words


def test_now_is_shown_as_of_now(pages: Pages) -> None:
    rows = {
        Query.RESULTS: RESULTS,
        Query.SAMPLE_RATIO: [a_ratio()],
        Query.USERS: USERS_NOW,
        Query.LEDGER: [LEDGER_NOW],
    }
    words = said(pages(CHECKOUT, rows))
    for of_now in ("777,811", "66,005 in the last day", "received 2,418,330", "Crossed users 0.10 %"):
        assert of_now in words


def test_of_a_moment_whose_users_are_not_kept_no_number_is_shown(pages: Pages) -> None:
    words = said(pages(THEN, {Query.RESULTS_AS_OF: RESULTS, Query.USERS: USERS_NOW}))
    assert "Users – not kept of this moment" in words


def test_of_a_moment_the_definition_is_that_of_then_and_its_decisions_were_in_force(pages: Pages) -> None:
    """A later version may have mended what an earlier one was stopped for, which was not known then."""
    later = replace(a_version(2), published_at=NOW - timedelta(hours=1), ended_at=NOW - timedelta(minutes=1))
    definition = a_definition(a_version(), later)
    stop = [a_decision()]
    now = said(pages(CHECKOUT, {Query.RESULTS: RESULTS, Query.DECISIONS: stop}, definition))
    then = said(pages(THEN, {Query.RESULTS_AS_OF: RESULTS, Query.DECISIONS: stop}, definition))
    assert "version 2, since" in now
    assert "Stop treatment: it harms" not in now
    assert "version 1, since" in then
    assert "ended" not in then
    assert "Stop treatment: it harms latency_ms" in then
    assert "At the moment shown latency_ms is anything from" in then
    assert "Now latency_ms" not in then


# ------------------------------------------------------------------------------- one time that remains


def test_one_time_remains_on_a_page_whatever_its_rows_would_say_alone(pages: Pages) -> None:
    rare = undetermined("all_or_none_converted", metric_id="refunded", n_control=900, days_left=31.0)
    rows = [open_result(days_left=4.2), open_result(metric_id="revenue", days_left=4.2), rare]
    words = said(pages(CHECKOUT, {Query.RESULTS: rows, Query.USERS: USERS_NOW}))
    assert set(re.findall(r"about (\d+) days?", words)) == {"5"}
    assert "66,005 in the last day · planned users in about 5 days" in words
    assert "The planned users are reached in about 5 days." in words


@pytest.mark.parametrize(
    ("days_left", "said_of_it"), [(0.0, "all planned users came"), (None, "66,005 in the last day #")]
)
def test_planned_users_who_came_are_not_waited_for(
    pages: Pages, days_left: float | None, said_of_it: str
) -> None:
    words = said(
        pages(CHECKOUT, {Query.RESULTS: [a_result(days_left=days_left)], Query.USERS: USERS_NOW})
    ).replace(" Sample ratio", " # Sample ratio", 1)
    assert said_of_it in words


# ------------------------------------------------------------------------------------- ids in sentences


def test_ids_are_set_apart_in_every_sentence(pages: Pages) -> None:
    harmed = moved(0.07, 0.01, mean=312.0, metric_id="latency_ms", p_adjusted=None)
    silent = undetermined("too_few_units", metric_id="refunded", n_control=1, n_treatment=0)
    segments = [
        a_segment(f"country={number}", 0.01, 0.1, 100) | {"metric_id": "latency_ms"} for number in range(20)
    ]
    message = "Stop acme/checkout-button: latency_ms of treatment is worse than control by more than 2 %."
    rows = {
        Query.RESULTS: [a_result(), harmed, silent, *segments],
        Query.SAMPLE_RATIO: [a_ratio()],
        Query.DECISIONS: [a_decision(message=message)],
        Query.HISTORY: [harmed | {"computed_at": BEGINNING}],
    }
    page = pages(CHECKOUT, rows)
    for sentence in (
        "<h1>Stop <code>treatment</code>: it harms <code>latency_ms</code></h1>",
        "Now <code>latency_ms</code> is ",
        "higher</b> with <code>treatment</code>.",
        "(1 in <code>control</code>, 0 in <code>treatment</code>)",
        "stop: <code>latency_ms</code>",
        "<code>control</code> 50",
        "<code>treatment</code> against <code>control</code>",
        "Stop <code>acme/checkout-button</code>: <code>latency_ms</code> of <code>treatment</code> is worse "
        "than <code>control</code> by more",
        "8 smaller ones: <code>livelift results acme checkout-button --segment …</code>",
    ):
        assert sentence in page
    assert not re.search("[\u2068\u2069]", page), "the marks of a sentence are for the page to show"
    assert "latency ms" not in page
    assert 'role="status">Stop treatment: it harms latency_ms.' in page, "spoken as it is"


def test_the_list_and_a_refusal_set_ids_apart_too(pages: Pages) -> None:
    page = pages(State("acme", ""), {Query.HEADLINES: [a_result()], Query.SAMPLE_RATIO: [a_ratio()]})
    assert "<code>revenue</code> is 0.9\u00a0% to 5.3\u00a0% higher with <code>treatment</code>." in page
    refusal = pages(CHECKOUT, {}, None)
    assert "There is no experiment <code>checkout-button</code> of <code>acme</code>." in refusal


def test_a_message_keeps_its_words_where_an_id_is_one_of_them(pages: Pages) -> None:
    message = "Stop acme/checkout-button: a of b is worse than control by more than a margin of 2 % allows."
    decision = a_decision(message=message, metric_id="a", treatment_variant="b")
    page = pages(CHECKOUT, {Query.RESULTS: [a_result()], Query.DECISIONS: [decision]})
    assert ": <code>a</code> of <code>b</code> is worse" in page
    assert "more than a margin of 2 % allows." in page


# ------------------------------------------------------------------------------------------- the crossing


def test_the_moment_of_the_crossing_is_marked_on_the_chart_and_told(pages: Pages) -> None:
    history = [open_result(metric_id="revenue", computed_at=BEGINNING), a_result(computed_at=A_DAY_LATER)]
    page = pages(CHECKOUT, {Query.RESULTS: [a_result()], Query.HISTORY: history})
    (mark,) = re.findall(r"<li class=\"crossing\" data-crossing [^>]*>[^<]*</li>", page)
    assert f'data-at="{A_DAY_LATER.timestamp()}"' in mark
    assert "21 Nov 2026 12:00:00 UTC: boundary first crossed" in mark
    (label,) = re.findall(r'id="chart"[^>]*aria-label="([^"]*)"', page)
    assert "boundary first crossed at 21 Nov 2026 12:00:00 UTC" in label


def test_a_crossing_before_the_history_began_is_told_and_without_one_nothing_is(pages: Pages) -> None:
    page = pages(CHECKOUT, {Query.RESULTS: [a_result()]})
    assert "boundary first crossed" in page
    assert "boundary first crossed" not in pages(CHECKOUT, {Query.RESULTS: [open_result()]})


# ---------------------------------------------------------------------- intervals that reach below nothing


def test_an_end_below_minus_100_percent_is_told_as_it_is_and_explained(pages: Pages) -> None:
    wide = {"p_adjusted": 0.9, "crossed_at": None}
    share = moved(1.5, 1.9, mean=0.001, metric_id="converted", **wide)
    money = moved(0.1, 1.0, metric_id="revenue", **wide)
    words = said(pages(CHECKOUT, {Query.RESULTS: [share, money]}, a_definition(a_version(1, CONVERTED))))
    assert "−135 % … +435 %" in words
    assert "at −100 % nothing is left: what lies below is arithmetic only" in words
    assert "below −100 % the treatment's mean would be negative" in words
    assert "converted is anything from nothing left to 435 % higher with treatment." in words
    assert "135 % lower" not in words
