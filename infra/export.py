"""Views as files for notebooks and other tools, streamed batch by batch.

Integers of 256 bits become text: few readers know them, and a float would round them. Times are UTC with
milliseconds. CSV has no lists, so there they are JSON.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from config.settings import Settings
from infra.clickhouse import DatabaseError, connect, one_line_errors

ENDINGS = (".parquet", ".csv")


class View(StrEnum):
    """What can be exported."""

    RESULTS = "results"
    RESULTS_HISTORY = "results_history"
    SLOTS = "slots"
    SAMPLE_RATIO = "sample_ratio"
    DECISIONS = "decisions"
    LEDGER = "ledger"
    ACTIVITY = "activity"
    SAMPLE_RATIO_HISTORY = "sample_ratio_history"
    LOOKS = "looks"


class ExportError(Exception):
    """A file that cannot be written as asked; one line for people."""


def export_view(
    settings: Settings, view: View, tenant_id: str, experiment_id: str, file: Path, *, force: bool = False
) -> int:
    """Write a view's rows of a tenant, or of one experiment, to a Parquet or CSV file; the number of rows.

    The file is there only once it is whole; without rows it has the columns.

    Raises:
        ExportError: The file is there already and ``force`` is not given, its name ends otherwise, its folder
            is missing, or the view has no experiments.
        DatabaseError: ClickHouse does not answer, or breaks off.
    """
    from infra.arrow_files import (
        CutOffError,
        write,
    )  # pyarrow takes a while to load, and only exports need it

    if file.suffix not in ENDINGS:
        raise ExportError(f"{file}: ends neither in .parquet nor in .csv")
    if not file.parent.is_dir():
        raise ExportError(f"{file}: there is no folder {file.parent}")
    if file.exists() and not force:
        raise ExportError(f"{file} is there already: --force replaces it")
    with one_line_errors(settings):
        client = connect(settings)
        described = client.query(f"SELECT * FROM {view} LIMIT 0")
        types = {
            name: column.name
            for name, column in zip(described.column_names, described.column_types, strict=True)
        }
        if experiment_id and "experiment_id" not in types:
            raise ExportError(f"{view} knows no experiments, only the tenant: leave out {experiment_id}")
        query = _query(view, types, lists_as_text=file.suffix == ".csv", of_experiment=bool(experiment_id))
        asked = {"tenant": tenant_id, "experiment": experiment_id}
        with client.raw_stream(query, parameters=asked, fmt="ArrowStream") as stream:
            try:
                return write(stream, file)
            except CutOffError as error:
                raise DatabaseError(f"ClickHouse broke off its answer: {error}") from error
            except OSError as error:
                raise ExportError(f"{file}: {error.strerror or error}") from error


def _query(view: View, types: dict[str, str], *, lists_as_text: bool, of_experiment: bool) -> str:
    columns = ", ".join(_expression(name, kind, lists_as_text) for name, kind in types.items())
    conditions = "tenant_id = {tenant:String}" + (
        " AND experiment_id = {experiment:String}" if of_experiment else ""
    )
    return f"SELECT {columns} FROM {view} WHERE {conditions}"


def _expression(name: str, kind: str, lists_as_text: bool) -> str:
    if "Int256" in kind:
        return f"toString({name}) AS {name}"
    if "DateTime(" in kind:  # which Arrow would get as a bare number of seconds
        return f"toDateTime64({name}, 3, 'UTC') AS {name}"
    if kind.startswith("Array") and lists_as_text:
        return f"toJSONString({name}) AS {name}"
    return name
