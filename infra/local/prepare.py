"""Steps that need no running job: ``python -m infra.local.prepare contracts|migrations``."""

from __future__ import annotations

import sys
from collections.abc import Callable

from config.settings import Settings, load
from infra import migrations, topics


def contracts(settings: Settings) -> None:
    """Create every topic and register every schema."""
    topics.create_all(settings)
    topics.register_schemas(settings)


def tables(settings: Settings) -> None:
    """Apply every migration."""
    migrations.apply(settings)


STEPS: dict[str, Callable[[Settings], None]] = {"contracts": contracts, "migrations": tables}

if __name__ == "__main__":
    STEPS[sys.argv[1]](load())
