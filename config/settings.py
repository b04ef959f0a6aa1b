"""All settings, read once, checked once, then frozen.

A setting comes from the environment (``LIVELIFT_KAFKA_BOOTSTRAP``), else from the file (``$LIVELIFT_CONFIG``
or ``config/local.yaml``), else from the default written here. A key nobody knows, a key that is missing and a
value that cannot be right stop the start with the name of the key.
"""

from __future__ import annotations

import os
import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import yaml

ROOT = Path(__file__).resolve().parent.parent
"""The repository; relative paths in settings start here."""

PREFIX = "LIVELIFT_"
CONFIG_VARIABLE = "LIVELIFT_CONFIG"

DAY_MS = 86_400_000

GREATEST_EPOCH = 2047
"""Of the rebuild epochs, which stand above 52 bits of microseconds in a row's version."""

GREATEST_PORT = 65535
ADDRESS = re.compile(r"(\[[^\s\[\]]+\]|[^\s/:\[\]]+):([0-9]{1,5})")
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
URL = "must be an http or https URL with a host"
URL_WITH_PORT = f"{URL} and a port"


class SettingsError(Exception):
    """A setting is missing, unknown or cannot be right; the message is one line that names it."""


def at_least(minimum: int, default: int, *, maximum: int | None = None) -> Any:
    """A whole number with a default, refused below ``minimum`` and above ``maximum``."""
    return field(default=default, metadata={"minimum": minimum, "maximum": maximum})


def a_port(default: int) -> Any:
    """A TCP port with a default."""
    return at_least(1, default, maximum=GREATEST_PORT)


def a_text(is_right: Callable[[str], bool], must_be: str, default: Any = MISSING) -> Any:
    """Text that is refused, with what it must be, where it is not right."""
    return field(default=default, metadata={"is_right": is_right, "must_be": must_be})


def is_url(text: str) -> bool:
    """Whether it is the URL of a server, with a port or without."""
    try:
        url = urlsplit(text)
        return url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        return False


def is_url_with_port(text: str) -> bool:
    """Whether it is the URL of a server and says its port, of which not every reader knows the default."""
    return is_url(text) and urlsplit(text).port is not None


def is_addresses(text: str) -> bool:
    """Whether it is one ``host:port`` or several with commas between."""
    found = [ADDRESS.fullmatch(each.strip()) for each in text.split(",")]
    return all(each is not None and 1 <= int(each[2]) <= GREATEST_PORT for each in found)


@dataclass(frozen=True)
class Kafka:
    """Where the log is and how topics are cut."""

    bootstrap: str = a_text(is_addresses, "must be host:port, or several with commas between")
    replication: int = at_least(1, 1)
    slots_partitions: int = at_least(1, 2)
    tenant_partitions: int = at_least(1, 2)


@dataclass(frozen=True)
class Registry:
    """The schema registry's Confluent API."""

    url: str = a_text(is_url, URL)


@dataclass(frozen=True)
class Flink:
    """The cluster that runs both jobs, and how they run."""

    rest_url: str = a_text(is_url_with_port, URL_WITH_PORT)
    parallelism: int = at_least(1, 2)
    checkpoint_interval_ms: int = at_least(100, 3000)
    state_backend: Literal["hashmap", "rocksdb"] = "hashmap"
    checkpoint_dir: str = ""
    """URI; empty means ``<run_dir>/checkpoints``."""
    savepoint_dir: str = ""
    """URI; empty means ``<run_dir>/savepoints``."""


@dataclass(frozen=True)
class ClickHouse:
    """The results' database, by its HTTP interface."""

    url: str = a_text(is_url_with_port, URL_WITH_PORT)
    database: str = a_text(
        lambda name: IDENTIFIER.fullmatch(name) is not None, "must be letters, digits and _", "livelift"
    )
    user: str = "operator"
    password: str = ""
    password_file: str = ""
    """Read when ``password`` is empty and the file is there; relative paths start at ``run_dir``."""


@dataclass(frozen=True)
class Attribution:
    """The rules' times, which the state of the attribution job depends on, and how the job runs."""

    horizon_ms: int = at_least(1, 7 * DAY_MS)
    future_ms: int = at_least(0, 10 * 60_000)
    retention_ms: int = at_least(1, 28 * DAY_MS)
    """Not less than the horizon."""
    max_skew_ms: int = at_least(0, DAY_MS)
    """How far one topic may be read behind another; what is settled is forgotten so much later."""
    rejected_percent_limit: int = at_least(0, 5, maximum=100)
    """A tenant with a greater share of refused records is reported."""
    epoch: int = at_least(0, 0, maximum=GREATEST_EPOCH)
    """Rebuild epoch that the lane for everyone begins with."""
    mini_batch_ms: int = at_least(1, 500)
    """Totals, ledger and activity follow the events after at most so long."""
    slots_ms: int = at_least(1, 5000)
    """Slots do, and so what is made of cohorts: all views but ``all``. Every checkpoint sends them, too;
    where they are very many each waits for its turn (``SumsOperator.java``)."""
    idle_timeout_ms: int = at_least(1, 1000)
    jar: str = ""
    """The compiled function; empty means the one that is built in ``udfs/attribution``."""


@dataclass(frozen=True)
class Scorecard:
    """How often the statistics are computed and written."""

    window_ms: int = at_least(1, 1000)
    flush_ms: int = at_least(1, 300)
    views_ms: int = at_least(1, 10_000)
    """Views beside ``all`` follow changes after at most so long."""
    history_ms: int = at_least(1, 60_000)
    """Of a row that goes on changing one is remembered for each such time."""


@dataclass(frozen=True)
class Webhook:
    """Who is told of decisions; nobody without ``url``."""

    url: str = a_text(lambda url: not url or is_url(url), URL, "")
    secret: str = ""
    """Signs what is sent; belongs into the environment."""


@dataclass(frozen=True)
class Console:
    """The web page; it listens on the loopback interface only."""

    port: int = a_port(18080)
    tenant: str = ""
    """The only tenant it shows; empty is every one."""


@dataclass(frozen=True)
class Exporter:
    """What tells Prometheus how fresh and how complete results are."""

    url: str = a_text(is_url_with_port, URL_WITH_PORT, "http://127.0.0.1:18093")
    """Where it listens; its path is ``/metrics``."""
    interval_ms: int = at_least(500, 5000)
    """Between two looks at Kafka, Flink and ClickHouse."""


@dataclass(frozen=True)
class Local:
    """What only the one-machine stack needs: ports that no URL names, and memory."""

    kafka_controller_port: int = a_port(19093)
    flink_rpc_port: int = a_port(18083)
    jobmanager_metrics_port: int = a_port(18091)
    taskmanager_metrics_port: int = a_port(18092)
    kafka_heap_mb: int = at_least(128, 768)
    registry_heap_mb: int = at_least(64, 256)
    jobmanager_process_mb: int = at_least(800, 1024)
    taskmanager_process_mb: int = at_least(1024, 3840)
    clickhouse_memory_mb: int = at_least(256, 1024)
    taskmanager_slots: int = at_least(1, 10)
    """Two jobs, two more lanes of the attribution job, and one that replaces them fit, each as wide as
    ``flink.parallelism``."""
    taskmanager_managed_mb_per_slot: int = at_least(32, 128)
    """RocksDB, windows and the Python workers' share; RocksDB with millions of units wants a gigabyte. What a
    slot without a task has is not taken."""
    heartbeat_timeout_ms: int = at_least(1000, 8000)
    """After this long without a sign of life Flink gives a TaskManager up."""


@dataclass(frozen=True)
class Settings:
    """Everything that may differ between two deployments."""

    kafka: Kafka
    registry: Registry
    flink: Flink
    clickhouse: ClickHouse
    attribution: Attribution = field(default_factory=Attribution)
    scorecard: Scorecard = field(default_factory=Scorecard)
    webhook: Webhook = field(default_factory=Webhook)
    console: Console = field(default_factory=Console)
    exporter: Exporter = field(default_factory=Exporter)
    local: Local | None = None
    """Present only where ``livelift up`` may start the parts on this machine."""
    region: str = "local"
    run_dir: Path = Path(".livelift")
    """Data, logs and process ids of this deployment; absolute once loaded."""

    @property
    def jars_dir(self) -> Path:
        """Where the pinned jars are: ``kafka/``, ``flink/`` and ``registry/``."""
        return ROOT / ".livelift" / "jars"

    @property
    def flink_jars(self) -> tuple[Path, ...]:
        """The connectors every job takes along, in a stable order."""
        return tuple(sorted((self.jars_dir / "flink").glob("*.jar")))

    @property
    def attribution_jar(self) -> Path:
        """The compiled function."""
        return ROOT / (self.attribution.jar or "udfs/attribution/target/livelift-attribution.jar")

    @property
    def logs_dir(self) -> Path:
        """One log file per part."""
        return self.run_dir / "logs"


def load(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read, check and freeze the settings.

    Args:
        path: The file; otherwise ``$LIVELIFT_CONFIG``, otherwise ``config/local.yaml``.
        environ: Stands in for the process environment.

    Raises:
        SettingsError: The file cannot be read, or a key is missing, unknown or cannot be right.
    """
    environ = os.environ if environ is None else environ
    if environ.get(CONFIG_VARIABLE) == "":
        raise SettingsError(f"environment: {CONFIG_VARIABLE} must name a file, not ''")
    path = path or Path(environ.get(CONFIG_VARIABLE, ROOT / "config" / "local.yaml"))
    source = _Source(_shown(path), _read(path), dict(environ))
    source.refuse_unknown()
    settings: Settings = source.build(Settings, ())
    _refuse_contradictions(_shown(path), settings)
    return _resolved(settings)


def port_of(url: str) -> int:
    """The port a URL or ``host:port`` names.

    Raises:
        SettingsError: It names none.
    """
    try:
        port = urlsplit(url if "://" in url else f"//{url}").port
    except ValueError:
        port = None
    if port is None:
        raise SettingsError(f"{url!r} names no port")
    return port


def _refuse_contradictions(name: str, settings: Settings) -> None:
    rules = settings.attribution
    bootstrap, registry_url = settings.kafka.bootstrap, settings.registry.url
    if settings.local is not None and "," in bootstrap:
        raise SettingsError(
            f"{name}: kafka.bootstrap must be one host:port beside a section local, not {bootstrap!r}"
        )
    if settings.local is not None and not is_url_with_port(registry_url):
        raise SettingsError(
            f"{name}: registry.url must have a port beside a section local, not {registry_url!r}"
        )
    if rules.retention_ms < rules.horizon_ms:
        raise SettingsError(
            f"{name}: attribution.retention_ms must be at least attribution.horizon_ms, "
            f"not {rules.retention_ms} with {rules.horizon_ms}"
        )


def _resolved(settings: Settings) -> Settings:
    run_dir = (ROOT / settings.run_dir.expanduser()).resolve()
    flink = replace(
        settings.flink,
        checkpoint_dir=_uri(settings.flink.checkpoint_dir or run_dir / "checkpoints"),
        savepoint_dir=_uri(settings.flink.savepoint_dir or run_dir / "savepoints"),
    )
    return replace(
        settings, run_dir=run_dir, flink=flink, clickhouse=_with_password(settings.clickhouse, run_dir)
    )


def _with_password(clickhouse: ClickHouse, run_dir: Path) -> ClickHouse:
    if clickhouse.password or not clickhouse.password_file:
        return clickhouse
    try:
        return replace(clickhouse, password=_text_of(run_dir / clickhouse.password_file).strip())
    except FileNotFoundError:
        return clickhouse


def _uri(location: str | Path) -> str:
    text = str(location)
    return text if "://" in text else (ROOT / text).resolve().as_uri()


def _shown(path: Path) -> str:
    try:
        return str(path.resolve().relative_to(ROOT))
    except ValueError:
        return str(path)


def _text_of(path: Path) -> str:
    """What is in a file.

    Raises:
        FileNotFoundError: It is not there.
        SettingsError: It cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SettingsError(f"{_shown(path)}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{_shown(path)}: not UTF-8 (byte {error.start + 1})") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(_text_of(path))
    except FileNotFoundError:
        raise SettingsError(f"{_shown(path)}: no such settings file") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{_shown(path)}: not YAML ({' '.join(str(error).split())})") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingsError(f"{_shown(path)}: must be a mapping of sections")
    return content


class _Source:
    """The file and the environment together."""

    def __init__(self, name: str, content: dict[str, Any], environ: dict[str, str]) -> None:
        self._name = name
        self._content = content
        self._environ = {key: text for key, text in environ.items() if key.startswith(PREFIX)}

    def refuse_unknown(self) -> None:
        """Name the first key or variable that is no setting, before anything misses its value."""
        known = set(_keys(Settings, ()))
        sections = {key[0] for key in known if len(key) > 1}
        for name, content in self._content.items():
            if name in sections and not isinstance(content, dict | None):
                raise SettingsError(f"{self._name}: {name} must be a section of settings")
            keys = [(name, each) for each in content or ()] if name in sections else [(name,)]
            for key in keys:
                if key not in known:
                    dotted = [_dotted(each) for each in known]
                    raise SettingsError(f"{self._name}: {_dotted(key)} is not a setting{_hint(key, dotted)}")
        variables = {_variable(key) for key in known} | {CONFIG_VARIABLE}
        for variable in sorted(set(self._environ) - variables):
            raise SettingsError(f"environment: {variable} is not a setting{_hint((variable,), variables)}")

    def build(self, kind: type[Any], prefix: tuple[str, ...]) -> Any:
        """The frozen settings of one section and those below it."""
        hints = get_type_hints(kind)
        values = {}
        for each in fields(kind):
            key = (*prefix, each.name)
            section = _section(hints[each.name])
            if section is None:
                found = self._value(key, hints[each.name], each)
            elif each.default is not None or self._names(each.name):
                found = self.build(section, key)
            else:
                found = MISSING
            if found is not MISSING:
                values[each.name] = found
        return kind(**values)

    def _names(self, section: str) -> bool:
        """An optional section exists when the file or the environment names it."""
        start = f"{PREFIX}{section.upper()}_"
        return section in self._content or any(name.startswith(start) for name in self._environ)

    def _value(self, key: tuple[str, ...], hint: Any, each: Field[Any]) -> Any:
        variable = _variable(key)
        if variable in self._environ:
            return _checked(f"environment: {variable}", self._environ[variable], hint, each, is_text=True)
        holder = self._content
        for part in key[:-1]:
            holder = holder.get(part) or {}
        if key[-1] in holder:
            return _checked(f"{self._name}: {_dotted(key)}", holder[key[-1]], hint, each, is_text=False)
        if each.default is MISSING:
            raise SettingsError(f"{self._name}: {_dotted(key)} is missing (or set {variable})")
        return MISSING


def _keys(kind: type[Any], prefix: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    """The path of every setting, without the sections themselves."""
    hints = get_type_hints(kind)
    for each in fields(kind):
        section = _section(hints[each.name])
        if section is None:
            yield (*prefix, each.name)
        else:
            yield from _keys(section, (*prefix, each.name))


def _hint(key: tuple[Any, ...], known: Iterable[str]) -> str:
    near = get_close_matches(_dotted(key), sorted(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _section(hint: Any) -> type[Any] | None:
    """The dataclass behind an annotation, optional or not."""
    kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    return next((kind for kind in kinds if is_dataclass(kind) and isinstance(kind, type)), None)


def _checked(where: str, raw: Any, hint: Any, each: Field[Any], *, is_text: bool) -> Any:
    if get_origin(hint) is Literal:
        if raw not in get_args(hint):
            raise SettingsError(f"{where} must be one of {', '.join(get_args(hint))}, not {raw!r}")
        return raw
    if hint is int:
        return _whole(where, raw, each.metadata, is_text=is_text)
    if not isinstance(raw, str):
        raise SettingsError(f"{where} must be text, not {raw!r}")
    if hint is Path and not raw.strip():
        raise SettingsError(f"{where} must name a folder, not {raw!r}")
    if "is_right" in each.metadata and not each.metadata["is_right"](raw):
        raise SettingsError(f"{where} {each.metadata['must_be']}, not {raw!r}")
    return hint(raw)


def _whole(where: str, raw: Any, bounds: Mapping[Any, Any], *, is_text: bool) -> int:
    number = raw
    if is_text:
        try:
            number = int(raw)
        except ValueError:
            number = None
    if not isinstance(number, int) or isinstance(number, bool):
        raise SettingsError(f"{where} must be a whole number, not {raw!r}")
    minimum, maximum = bounds.get("minimum"), bounds.get("maximum")
    if minimum is not None and number < minimum:
        raise SettingsError(f"{where} must be at least {minimum}, not {number}")
    if maximum is not None and number > maximum:
        raise SettingsError(f"{where} must be at most {maximum}, not {number}")
    return number


def _variable(key: tuple[str, ...]) -> str:
    return PREFIX + "_".join(key).upper()


def _dotted(key: tuple[Any, ...]) -> str:
    return ".".join(map(str, key))
