"""The numbered files of ``schemas/clickhouse``, applied and reverted in order.

What has run is recorded in the database itself (table ``schema_versions``) with a checksum, so an edited or
unknown migration is found before anything runs. The files are plain SQL; ``clickhouse-migrations`` runs them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from clickhouse_connect.driver.exceptions import ClickHouseError
from clickhouse_migrations.clickhouse_cluster import ClickhouseCluster
from clickhouse_migrations.exceptions import MigrationException
from clickhouse_migrations.migration import MigrationStorage

from config.settings import Settings

FOLDER = Path(__file__).resolve().parent.parent / "schemas" / "clickhouse"


class MigrationError(Exception):
    """The schema cannot be moved; the message is one line that names the migration or the server."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file, or a number the database knows and the folder does not."""

    version: int
    name: str
    """The file's name; empty when there is none."""
    state: str
    """``applied``, ``pending``, ``edited`` (since it was applied) or ``unknown`` (no such file here)."""


_STATES = {"applied": "applied", "pending": "pending", "md5-mismatch": "edited", "unknown": "unknown"}


def apply(settings: Settings, *, folder: Path = FOLDER) -> list[int]:
    """Bring the database up to the newest migration, creating it where needed.

    Returns:
        The versions that ran now, in order; none when nothing was pending.

    Raises:
        MigrationError: An applied migration was edited or has no file here (nothing runs), a statement failed
            (earlier ones stay applied), or the server does not answer.
    """
    _refuse_drift(settings, folder)
    with _one_line("apply", settings):
        done = _cluster(settings).migrate(settings.clickhouse.database, folder)
    return [migration.version for migration in done]


def revert(settings: Settings, to: int, *, folder: Path = FOLDER) -> list[int]:
    """Undo every migration above version ``to``, newest first; 0 undoes all, their data included.

    Returns:
        The versions undone, in the order they were.

    Raises:
        MigrationError: As in :func:`apply`, or a migration has no ``.down.sql``.
    """
    _refuse_drift(settings, folder)
    with _one_line("revert", settings):
        return list(_cluster(settings).rollback(settings.clickhouse.database, folder, to_version=to))


def status(settings: Settings, *, folder: Path = FOLDER) -> list[Migration]:
    """Every migration of the folder and of the database, by version.

    Raises:
        MigrationError: The server does not answer, or the folder is not one of migrations.
    """
    with _one_line("read", settings):
        names = MigrationStorage(folder).migration_filenames()
        rows = _cluster(settings).status(settings.clickhouse.database, folder)
    return [Migration(row.version, names.get(row.version, ""), _STATES[row.state]) for row in rows]


def _refuse_drift(settings: Settings, folder: Path) -> None:
    for migration in status(settings, folder=folder):
        if migration.state == "edited":
            raise MigrationError(f"{migration.name} was edited after it was applied; write a new migration")
        if migration.state == "unknown":
            raise MigrationError(
                f"{settings.clickhouse.database} has migration {migration.version}, which has no file here;"
                " this code is older than the database"
            )


def _cluster(settings: Settings) -> Any:
    url = urlsplit(settings.clickhouse.url)
    return ClickhouseCluster(
        db_host=url.hostname,
        db_port=url.port,
        secure=url.scheme == "https",
        db_user=settings.clickhouse.user,
        db_password=settings.clickhouse.password,
        driver="clickhouse-connect",
    )


@contextmanager
def _one_line(verb: str, settings: Settings) -> Iterator[None]:
    """Turn whatever the tool or the server raises into one line."""
    try:
        yield
    except (MigrationException, ClickHouseError) as error:
        reason = " ".join(str(error).split())
        raise MigrationError(
            f"cannot {verb} migrations of {settings.clickhouse.database}: {reason}"
        ) from error
