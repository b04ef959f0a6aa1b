"""What analysts ask of a running stack: slices of days, which whole are the streamed rows, and files."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pyarrow import parquet

from infra.producer import EventProducer
from tests.running_stack import RunningStack
from tests.waiting import eventually
from udfs.attribution.reference import Assignment, Outcome

pytestmark = pytest.mark.stack

TENANT = f"analysts-{uuid4().hex[:12]}"
EXPERIMENT = "button"
DEFINITION = f"""
tenant_id: {TENANT}
experiment_id: {EXPERIMENT}
variants: {{control: 1, treatment: 1}}
segments: {{country: [DE, FR]}}
pre_period_days: 3
metrics:
  - {{id: revenue, source: purchase, kind: mean, role: goal}}
  - {{id: converted, source: purchase, kind: proportion}}
  - {{id: refunds, source: refund, kind: mean, role: guardrail, direction: decrease, margin: 0.02}}
"""
UNITS, DAYS = 120, 3
DAY_MS = 86_400_000
BEGINNING = (int(time.time() * 1000) // DAY_MS - DAYS) * DAY_MS
"""Three whole days that are over."""
FROM_LATER_LOOKS = ("computed_at", "slot_updates", "seq_p_min", "crossed_at", "p_adjusted", "cohorts")


@pytest.fixture(scope="module")
def counted(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> RunningStack:
    """Forty units a day in two countries, a tenth of them crossed; most bought something, before it too."""
    file: Path = tmp_path_factory.mktemp("slices") / "button.yaml"
    file.write_text(DEFINITION, encoding="utf-8")
    defined = stack.livelift("define", str(file))
    assert defined.returncode == 0, defined.stderr
    with EventProducer(stack.settings) as producer:
        for number in range(UNITS):
            for event in events_of(number):
                producer.send(event)
    producer.delivery.raise_for_failures()
    done = stack.livelift("wait", "--timeout", "180", timeout_s=200)
    assert done.returncode == 0, done.stderr
    return stack


def events_of(number: int) -> list[Assignment | Outcome]:
    unit, at = f"u-{number}", BEGINNING + number * DAYS * DAY_MS // UNITS
    variant, other = ("control", "treatment")[:: 1 if number % 2 else -1]
    country = {"country": "DE" if number % 3 else "FR"}
    events: list[Assignment | Outcome] = [
        Assignment(TENANT, unit, "a-1", EXPERIMENT, variant, at, attributes=country),
        Outcome(TENANT, unit, "before", "purchase", at - DAY_MS, value=float(number % 5)),
    ]
    if number % 10 == 0:
        events.append(Assignment(TENANT, unit, "a-2", EXPERIMENT, other, at + 1000, attributes=country))
    if number % 4:
        events.append(Outcome(TENANT, unit, "after", "purchase", at + 60_000, value=number % 7 + 0.25))
    return events


def rows(stack: RunningStack, *options: str) -> list[dict[str, Any]]:
    done = stack.livelift("results", TENANT, EXPERIMENT, "--format", "json", *options)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def bits(found: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Every column but those that tell when it was computed and what was seen before."""
    return [
        {name: repr(value) for name, value in row.items() if name not in FROM_LATER_LOOKS} for row in found
    ]


@pytest.mark.parametrize(
    "options", [(), ("--segment", "country=DE"), ("--policy", "exclude_crossed")], ids=" ".join
)
def test_all_days_together_are_the_streamed_rows_to_the_bit(
    counted: RunningStack, options: tuple[str, ...]
) -> None:
    def read() -> tuple[list[dict[str, Any]], list[dict[str, Any]]] | None:
        """Both, as of one moment: while nothing comes, the job goes on telling of later ones."""
        before, sliced = rows(counted, *options), rows(counted, *options, "--cohorts", "..")
        return (before, sliced) if rows(counted, *options) == before else None

    streamed, sliced = eventually(read, "rows that stay as they are while a slice is cut", deadline_s=90)
    assert [row["metric_id"] for row in streamed] == ["converted", "refunds", "revenue"]
    assert bits(sliced) == bits(streamed)


def test_each_day_has_its_users(counted: RunningStack) -> None:
    days = [time.strftime("%Y-%m-%d", time.gmtime((BEGINNING + day * DAY_MS) / 1000)) for day in range(DAYS)]
    users = [rows(counted, "--cohorts", text)[0] for text in (*days, f"{days[0]}..{days[1]}")]
    assert [row["n_control"] + row["n_treatment"] for row in users] == [40, 40, 40, 80]


def test_people_see_a_slice_with_its_guardrail_and_what_it_cannot_say(counted: RunningStack) -> None:
    shown = counted.livelift("results", TENANT, EXPERIMENT, "--cohorts", "..")
    assert shown.returncode == 0, shown.stderr
    text = " ".join(shown.stdout.split())
    assert "revenue (goal) treatment" in text
    assert "refunds (guardrail ≤ +2 %) treatment 0 0 undetermined: every user has the same value" in text
    assert "intervals of 95 %" in text


def test_a_refusal_is_one_line(counted: RunningStack) -> None:
    refused = counted.livelift("results", TENANT, EXPERIMENT, "--segment", "country=ES", "--cohorts", "..")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == (
        f"livelift: {TENANT}/{EXPERIMENT} has no segment country=ES: "
        "it has country=DE, country=FR, country=__other__\n"
    )


def test_slots_are_exported_with_the_sums_of_the_view(counted: RunningStack, tmp_path: Path) -> None:
    file = tmp_path / "slots.parquet"
    done = counted.livelift("export", "slots", TENANT, EXPERIMENT, "--to", str(file))
    assert done.returncode == 0, done.stderr
    slots = parquet.read_table(file).to_pylist()
    assert done.stdout == f"{file}: {len(slots):,} rows of slots of {TENANT}/{EXPERIMENT}\n"
    main = [row for row in slots if row["segment"] == ""]
    assert sum(row["n"] for row in main) == UNITS
    expected = sum(round((number % 7 + 0.25) * 10**6) for number in range(UNITS) if number % 4)
    assert sum(int(row["sum_y"]) for row in main if row["metric_id"] == "revenue") == expected
    again = counted.livelift("export", "slots", TENANT, EXPERIMENT, "--to", str(file))
    assert (again.returncode, again.stderr) == (
        1,
        f"livelift: {file} is there already: --force replaces it\n",
    )
