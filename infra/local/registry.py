"""The schema registry: Apicurio with its Confluent API."""

from __future__ import annotations

from urllib.parse import urlsplit

from config.settings import port_of
from infra.local import java
from infra.local.part import Part, Port, answers


class Registry(Part):
    """Keeps every schema in a file, so that ids survive a restart and even ``kill -9``."""

    name = "registry"

    def lacks(self) -> str:
        return java.lack(self.settings.jars_dir / self.name)

    @property
    def ports(self) -> tuple[Port, ...]:
        return (Port(port_of(self.settings.registry.url), "LIVELIFT_REGISTRY_URL"),)

    def prepare(self) -> None:
        (self.settings.run_dir / self.name).mkdir(parents=True, exist_ok=True)

    def command(self) -> list[str]:
        (jar,) = (self.settings.jars_dir / self.name).glob("*-runner.jar")
        return [
            java.executable(),
            f"-Xmx{self.local.registry_heap_mb}m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:+ExitOnOutOfMemoryError",
            "-jar",
            str(jar),
        ]

    def environment(self) -> dict[str, str]:
        address = urlsplit(self.settings.registry.url)
        database = self.settings.run_dir / self.name / "schemas"
        return {
            **super().environment(),
            "QUARKUS_HTTP_HOST": address.hostname or "127.0.0.1",
            "QUARKUS_HTTP_PORT": str(address.port),
            # Without WRITE_DELAY=0 an acknowledged schema is in memory only for half a second.
            "REGISTRY_DATASOURCE_URL": f"jdbc:h2:file:{database};WRITE_DELAY=0",
        }

    def is_healthy(self) -> bool:
        return answers(f"{self.settings.registry.url}/subjects")
