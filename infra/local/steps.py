"""What is done once the parts are up; each step is harmless when it was done before."""

from __future__ import annotations

from config.settings import ROOT
from infra.local import java
from infra.local.flink import client_environment
from infra.local.part import Step, python


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
    """Both jobs run, from their newest checkpoint if they ran before."""

    name = "jobs"
    needs = ("contracts", "migrations", "jobmanager", "taskmanager")
    deadline_s = 180.0

    def lacks(self) -> str:
        jar = self.settings.attribution_jar
        if not jar.is_file():
            return f"{jar.relative_to(ROOT)} is not built: run `make setup`"
        return java.lack(self.settings.jars_dir / "flink")

    def command(self) -> list[str]:
        return python("-m", "infra.local.jobs")

    def environment(self) -> dict[str, str]:
        return {**super().environment(), **client_environment(self.settings)}
