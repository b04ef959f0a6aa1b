"""What is done once the parts are up; each step is harmless when it was done before."""

from __future__ import annotations

from infra.local import java
from infra.local.flink import client_environment
from infra.local.part import Step, python, shown


class Contracts(Step):
    """Topics are created and schemas registered."""

    name = "contracts"
    needs = ("broker", "registry")

    def command(self) -> list[str]:
        return python("-m", "infra.local.prepare", "contracts")


class Migrations(Step):
    """The tables and views of the results are there."""

    name = "migrations"
    needs = ("clickhouse",)

    def command(self) -> list[str]:
        return python("-m", "infra.local.prepare", "migrations")


class Jobs(Step):
    """Every job runs that must, from the newest state it left if it ran before."""

    name = "jobs"
    needs = ("contracts", "migrations", "jobmanager", "taskmanager")
    deadline_s = 180.0

    def lacks(self) -> str:
        jar = self.settings.attribution_jar
        if not jar.is_file():
            return f"{shown(jar)} is not built: run `make setup`"
        return java.lack(self.settings.jars_dir / "flink")

    def command(self) -> list[str]:
        return python("-m", "infra.local.jobs")

    def environment(self) -> dict[str, str]:
        return {**super().environment(), **client_environment(self.settings)}
