"""The pages over a real ClickHouse: complete, escaped, of one tenant only, and honest when it is away."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from config.settings import Settings
from infra.console import ConsoleError
from infra.console.definitions import Known
from infra.console.queries import Query
from infra.console.server import application, listening_socket
from infra.console.source import Source
from infra.console.state import State
from infra.migrations import apply, revert
from tests.infra.clickhouse_process import clickhouse, running_front
from tests.infra.console.running import DEFINITIONS, HOSTILE, KNOWN, World, now, world_of
from tests.infra.console.worlds import (
    a_decision,
    a_definition,
    a_ledger_minute,
    a_ratio,
    a_result,
    a_slot,
    a_version,
    moved,
    undetermined,
)
from tests.waiting import eventually

pytestmark = pytest.mark.clickhouse

CHECKOUT = State("acme", "checkout-button").url


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with clickhouse(tmp_path_factory.mktemp("clickhouse")) as found:
        apply(found)
        yield found


@pytest.fixture(scope="module")
def world(settings: Settings) -> World:
    found = world_of(settings)
    found.fill()
    globex = {"tenant_id": "globex", "experiment_id": "gate-level"}
    found.add("result_rows", moved(0.2, 0.1, **globex))
    found.add("ledger_rows", a_ledger_minute(tenant_id="globex", minute=now(), received=7_777_777))
    found.add("sample_ratio_rows", a_ratio(counts=[5_555, 5_556], **globex))
    found.add("decision_rows", a_decision(message="only globex may read this", **globex))
    return found


def pages(settings: Settings, **options: Any) -> TestClient:
    return TestClient(application(lambda: settings, **{"definitions": lambda: KNOWN, **options}))


def words(html: str) -> str:
    """What a page says, without its marks; ids stay in the sentence they are a part of."""
    html = re.sub(r"</?(?:code|b)>", "", html)
    return " ".join(re.sub(r"<[^>]*>", " ", html).replace("\u00a0", " ").split())


def test_the_list_tells_each_experiment_at_a_glance(settings: Settings, world: World) -> None:
    said = words(pages(settings).get("/").text)
    assert "revenue is 0.9 % to 5.3 % higher with treatment." in said
    assert "onboarding-tour no results Waiting for the first users." in said
    assert "gate-level" in said
    assert words(pages(settings).get("/tenants/acme").text).count("gate-level") == 0


def test_very_many_experiments_are_told_a_page_at_a_time_and_none_is_left_out(
    settings: Settings, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("infra.console.pages", "infra.console.server"):
        monkeypatch.setattr(f"{module}.EXPERIMENTS_SHOWN", 2)
    world.add("result_rows", *(a_result(experiment_id=f"test-{number}") for number in range(5)))
    client, address, told = pages(settings), "/tenants/acme", []
    for _ in range(10):
        page = client.get(address).text
        told += re.findall(r'<h3><a href="[^"]*">([^<]*)</a></h3>', page)
        following = re.search(r'href="([^"]*after=[^"]*)"', page)
        if following is None:
            break
        address = following.group(1)
    assert told == sorted(told)
    assert set(told) >= {"checkout-button", "onboarding-tour", *(f"test-{number}" for number in range(5))}
    assert len(told) == len(set(told))
    assert client.get("/tenants/acme?after=zzz").status_code == 200


def test_an_experiment_says_the_answer_and_everything_behind_it(settings: Settings, world: World) -> None:
    answer = pages(settings).get(CHECKOUT)
    said = words(answer.text)
    assert answer.status_code == 200
    for expected in (
        "revenue is higher with treatment",
        "No guardrail is harmed and users were split as planned.",
        "+0.9 % … +5.3 %",
        "0.0042 by chance alone in 1 of 240 experiments",
        "in one arm nobody, or everybody, has converted so far",
        "holds cannot be 2.0 % worse",
        "By country",
        "received 2,418,330",
        "difference 0",
        "Users 185,022 185,022 in the last day",
        "all experiments: 412 late, counted · 31 refused",
        "Nothing had to be decided",
    ):
        assert expected in said
    assert not re.search(r"signific|\bnan\b|\bNone\b", said)


def test_a_page_allows_no_script_of_its_own_and_no_other_place(settings: Settings, world: World) -> None:
    for address in ("/", CHECKOUT, "/nowhere", "/static/console.css"):
        answer = pages(settings).get(address)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert (
            not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=|https?://", answer.text)
            or "css" in address
        )


def test_ids_that_would_be_markup_are_shown_as_they_are(settings: Settings, world: World) -> None:
    hostile = {"experiment_id": HOSTILE, "treatment_variant": HOSTILE, "control_variant": HOSTILE}
    world.add("result_rows", a_result(metric_id=HOSTILE, **hostile))
    world.add("decision_rows", a_decision(decision_id=HOSTILE, metric_id=HOSTILE, message=HOSTILE, **hostile))
    client = pages(settings)
    link = re.findall(r'href="(/tenants/acme/experiment[^"]*script[^"]*)"', client.get("/tenants/acme").text)
    page = client.get(link[0].replace("&amp;", "&"))
    assert page.status_code == 200
    assert "<img src=x" not in page.text
    assert "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;" in page.text
    assert "{{7*7}}" in page.text


@pytest.mark.parametrize(
    "experiment",
    ["gate-level", "' OR '1'='1", "checkout-button' UNION SELECT * FROM results --", "{tenant:String}"],
)
def test_no_address_of_one_tenant_shows_anothers_rows(
    settings: Settings, world: World, experiment: str
) -> None:
    said = pages(settings).get(State("acme", experiment).url).text
    for secret in ("7,777,777", "5,555", "only globex may read this"):
        assert secret not in said
    source = Source(lambda: settings)
    place = {"tenant": "acme", "experiment": experiment}
    look = {"view": "all", "policy": "first_seen", "config_version": 0}
    for query, parameters in (
        (Query.RESULTS, {**place, **look}),
        (Query.RESULTS_AS_OF, {**place, **look, "moment_ms": 0}),
        (Query.SAMPLE_RATIO, place),
        (Query.DECISIONS, {**place, "moment_ms": 0}),
        (Query.HEADLINES, {"tenant": "acme", "after": "", "most": 100}),
    ):
        found = source.ask(query, **parameters)
        assert not found.failure
        assert {row.get("tenant_id", "acme") for row in found.rows} <= {"acme"}
    assert "globex" not in str(source.ask(Query.DECISIONS, tenant="acme", experiment="", moment_ms=0).rows)


def test_a_console_of_one_tenant_knows_no_other(settings: Settings, world: World) -> None:
    client = pages(settings, tenant="acme")
    assert client.get("/", follow_redirects=False).headers["location"] == "/tenants/acme"
    assert client.get("/tenants/acme").status_code == 200
    assert client.get("/tenants/globex").status_code == 404
    assert client.get("/tenants/globex/experiment?id=gate-level").status_code == 404


@pytest.mark.parametrize(
    ("address", "status", "said"),
    [
        ("/tenants/ACME", 404, "There is no such tenant here."),
        ("/nowhere", 404, "There is no such page."),
        (f"{CHECKOUT}&view=tomorrow", 400, "view must be one of all, matured, rolling_24h, rolling_7d"),
        (f"{CHECKOUT}&as_of=then", 400, "as_of must be a moment such as 2026-11-22T14:05Z"),
    ],
)
def test_an_address_that_is_nowhere_is_refused_in_words(
    settings: Settings, world: World, address: str, status: int, said: str
) -> None:
    answer = pages(settings).get(address)
    assert answer.status_code == status
    assert said in words(answer.text).replace("&#39;", "'")


def test_nothing_can_be_written_through_a_page(settings: Settings, world: World) -> None:
    assert pages(settings).post(CHECKOUT).status_code == 405


def test_another_name_for_this_machine_is_refused(settings: Settings, world: World) -> None:
    assert pages(settings).get("/", headers={"Host": "evil.example"}).status_code == 400


def test_an_experiment_nobody_has_seen_says_what_it_waits_for(settings: Settings, world: World) -> None:
    said = words(pages(settings).get(State("acme", "onboarding-tour").url).text)
    assert "Waiting for the first users" in said
    assert "No user has been counted yet." in said


@pytest.mark.parametrize(
    ("address", "said", "instead"),
    [
        (State("acme", "nosuch").url, "There is no experiment nosuch of acme.", 'href="/tenants/acme"'),
        ("/tenants/nosuch", "There is no tenant nosuch here.", 'href="/"'),
    ],
)
def test_a_name_that_nobody_defined_is_nowhere(
    settings: Settings, world: World, address: str, said: str, instead: str
) -> None:
    answer = pages(settings).get(address)
    assert answer.status_code == 404
    assert said in words(answer.text)
    assert instead in answer.text
    assert 'data-live="yes"' in answer.text, "it may be defined the next moment"


@pytest.mark.parametrize("address", [State("acme", "nosuch").url, "/tenants/nosuch"])
def test_a_name_is_not_called_unknown_before_all_definitions_are_read(
    settings: Settings, world: World, address: str
) -> None:
    for known in (Known(), Known(DEFINITIONS, was_read=True)):
        answer = pages(settings, definitions=lambda known=known: known).get(address)
        assert answer.status_code == 200
        assert ("definitions are not read yet" in words(answer.text)) is not known.was_read
    assert pages(settings, tenant="nosuch").get("/tenants/nosuch").status_code == 200


def test_an_ended_experiment_waits_for_nobody(settings: Settings, world: World) -> None:
    over = replace(a_version(), ended_at=now() - timedelta(hours=1))
    ended = {("acme", "never-began"): a_definition(over, experiment_id="never-began")}
    client = pages(settings, definitions=lambda: Known(ended, was_read=True, is_complete=True))
    never = State("acme", "never-began")
    assert "It ended before the first user" in words(client.get(never.url).text)
    assert "It ended before the first user." in words(client.get("/tenants/acme").text)
    rolling = words(client.get(never.but(view="rolling_24h").url).text)
    assert "No result of these users There are no results for last 24 hours" in rolling


def test_results_that_are_behind_what_is_counted_show_their_own_age(settings: Settings, world: World) -> None:
    told, counted = now() - timedelta(seconds=40), now() - timedelta(seconds=2)
    behind = {"experiment_id": "behind"}
    world.add_as_of(told, "result_rows", a_result(**behind))
    covers = {"eu": now()}
    rows = "SELECT 'eu' AS region, {eu:DateTime64(3)} AS watermark, 1. AS lag_s"
    with covered(world, rows, covers):
        level = pages(settings).get(State("acme", "behind").url).text
        world.add_as_of(counted, "slot_rows", a_slot("control", 5, kind="total", **behind))
        later = pages(settings).get(State("acme", "behind").url).text
    assert re.search(r"\b[0-9] s old", words(level))
    assert re.search(r"\b4[0-9] s old", words(later))
    assert "asked again every few seconds" in words(later)


def test_a_stopped_experiment_shows_over_time_what_it_was_stopped_for(
    settings: Settings, world: World
) -> None:
    stopped = {"experiment_id": "stopped"}
    latency = moved(0.07, 0.01, mean=312.0, metric_id="latency_ms", p_adjusted=None, **stopped)
    world.add("result_rows", a_result(**stopped), latency)
    state = State("acme", "stopped")
    known = Known({("acme", "stopped"): a_definition(experiment_id="stopped")}, was_read=True)
    found = pages(settings, definitions=lambda: known)
    assert "revenue over time" in words(found.get(state.url).text)
    world.add("decision_rows", a_decision(decision_id="d-stopped", decided_at=now(), **stopped))
    found = pages(settings, definitions=lambda: known)
    assert "latency_ms over time" in words(found.get(state.url).text)
    assert "revenue over time" in words(found.get(state.but(metric="revenue").url).text)


def test_the_past_is_shown_as_it_was_and_does_not_refresh(settings: Settings, world: World) -> None:
    then = now() - timedelta(hours=3)
    story = {"experiment_id": "with-a-past", "as_of": then}
    world.add_history(moved(-0.02, 0.004, computed_at=then, version=1, **story))
    world.add_history(moved(0.02, 0.004, computed_at=then + timedelta(hours=1), version=2, **story))
    world.add("result_rows", moved(0.03, 0.004, experiment_id="with-a-past"))
    client = pages(settings)
    past = State("acme", "with-a-past", as_of=then + timedelta(minutes=30))
    page = client.get(past.url)
    assert "−2.6 % … −1.4 %" in words(page.text)
    assert 'data-live="no"' in page.text
    assert "back to now" in page.text
    live = client.get(past.but(as_of=None).url)
    assert "+2.4 % … +3.6 %" in words(live.text)
    assert live.text.count("data-estimate=") == 3
    before = words(client.get(past.but(as_of=then - timedelta(hours=1)).url).text)
    assert "Nothing is kept of this moment It is before the first result" in before
    assert "Waiting for the first users" not in before


def test_users_not_split_as_planned_make_every_number_one_not_to_be_read(
    settings: Settings, world: World
) -> None:
    skewed = {"experiment_id": "skewed"}
    world.add("result_rows", a_result(**skewed))
    world.add("sample_ratio_rows", a_ratio(counts=[1000, 1400], seq_p_value=1e-9, seq_p_min=1e-9, **skewed))
    said = words(pages(settings).get(State("acme", "skewed").url).text)
    assert "These numbers must not be read" in said
    assert "not as planned" in said
    assert "fewer than 1 of a million experiments would ever be this far from it" in said


def test_too_few_users_are_said_in_the_place_of_the_interval(settings: Settings, world: World) -> None:
    world.add("result_rows", undetermined("too_few_units", experiment_id="young", n_control=1, n_treatment=0))
    said = words(pages(settings).get(State("acme", "young").url).text)
    assert "It is too early to say anything" in said
    assert "too few users to say (1 in control, 0 in treatment)" in said


def test_a_region_that_is_behind_is_named(settings: Settings, world: World) -> None:
    moment = now()
    rows = (
        "SELECT 'eu' AS region, {eu:DateTime64(3)} AS watermark, 1. AS lag_s UNION ALL "
        "SELECT 'us', {us:DateTime64(3)}, 7200."
    )
    given = {"eu": moment, "us": moment - timedelta(hours=2)}
    with covered(world, rows, given):
        said = words(pages(settings).get(CHECKOUT).text)
    assert "Part of the users." in said
    assert "us is missing since" in said


@contextmanager
def covered(world: World, rows: str, given: dict[str, Any]) -> Iterator[None]:
    """These rows as the view ``coverage``, in the place of the real one, for as long as the block runs."""
    was = world.client.command("EXISTS TABLE coverage")
    if was:
        world.client.command("RENAME TABLE coverage TO coverage_kept")
    world.client.command(f"CREATE TABLE coverage ENGINE = Memory AS {rows}", parameters=given)
    try:
        yield
    finally:
        world.client.command("DROP TABLE coverage")
        if was:
            world.client.command("RENAME TABLE coverage_kept TO coverage")


def test_when_clickhouse_goes_away_the_last_numbers_stay_and_look_stopped(tmp_path: Path) -> None:
    with running_front(tmp_path) as front:
        apply(front.settings("livelift"))
        world_of(front.settings("livelift")).fill()
        # The settings are read anew for every connection: a front that is started again listens elsewhere.
        load = partial(front.settings, "livelift")
        client = TestClient(application(load, definitions=lambda: KNOWN))
        unseen = TestClient(application(load, definitions=lambda: KNOWN))
        assert "Stopped." not in client.get(CHECKOUT).text
        front.kill()
        page = eventually(lambda: stopped(client), "the page says that its numbers stopped")
        assert "+0.9 % … +5.3 %" in words(page)
        assert "ClickHouse does not answer: these are the numbers of" in words(page)
        assert 'class="is-stopped"' in page
        never_read = unseen.get(CHECKOUT)
        assert never_read.status_code == 503
        assert "The results cannot be read: no ClickHouse answers at" in words(never_read.text)
        front.start()
        eventually(lambda: not stopped(client), "the page goes on")


def test_a_clickhouse_that_hangs_holds_a_page_up_once_and_not_for_each_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.console.source.ANSWER_WITHIN_S", 2)
    with running_front(tmp_path) as front:
        apply(front.settings("livelift"))
        world_of(front.settings("livelift")).fill()
        client = TestClient(application(lambda: front.settings("livelift"), definitions=lambda: KNOWN))
        assert "Stopped." not in client.get(CHECKOUT).text
        front.signal(signal.SIGSTOP)
        eventually(lambda: stopped(client), "the page says that its numbers stopped")
        began = time.monotonic()
        assert stopped(client)
        assert time.monotonic() - began < 3 * 2, "seven questions would take seven times as long"
        front.signal(signal.SIGCONT)


def stopped(client: TestClient) -> str:
    """The page, if it says that its numbers stopped."""
    text = client.get(CHECKOUT).text
    return text if "Stopped." in text else ""


def test_a_database_without_the_newer_views_still_shows_its_results(tmp_path: Path) -> None:
    with clickhouse(tmp_path) as old:
        apply(old)
        revert(old, 12)
        row = {name: value for name, value in a_result().items() if not name.startswith("seq_rel_")}
        world_of(old).add("result_rows", row)
        said = words(pages(old).get(CHECKOUT).text)
        assert "revenue is higher with treatment" in said
        assert "0.04320 … 0.2544 in the metric&#39;s unit" in said
        assert "This database keeps no decisions yet." in said
        assert "This database keeps no history yet." in said
        past = pages(old).get(State("acme", "checkout-button", as_of=now()).url)
        assert "This database keeps no history, so the past cannot be shown." in words(past.text)


def test_a_question_asked_with_other_parameters_is_a_mistake(settings: Settings) -> None:
    with pytest.raises(ValueError, match="ledger takes"):
        Source(lambda: settings).ask(Query.LEDGER, tenant="acme", moment_ms=0)


def test_the_same_question_within_a_second_is_asked_once(settings: Settings, world: World) -> None:
    source = Source(lambda: settings)
    first = source.ask(Query.TENANTS)
    assert source.ask(Query.TENANTS) is first


def test_a_taken_port_is_named() -> None:
    with listening_socket(0) as first:
        first.listen()
        port = first.getsockname()[1]
        with pytest.raises(ConsoleError, match=f"127.0.0.1:{port} is taken"):
            listening_socket(port)


def test_questions_cannot_write(settings: Settings, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Query, "text", property(lambda self: "INSERT INTO epochs (tenant_id) SELECT ''"))
    answer = Source(lambda: replace(settings)).ask(Query.TENANTS)
    assert "readonly" in answer.failure.lower()
