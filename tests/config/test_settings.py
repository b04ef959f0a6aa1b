"""A setting is found, checked and named."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from config.settings import ROOT, SettingsError, load, port_of

REQUIRED = """
kafka: {bootstrap: "k:9092"}
registry: {url: "http://r:8081"}
flink: {rest_url: "http://f:8081"}
clickhouse: {url: "http://c:8123"}
"""


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    return tmp_path / "settings.yaml"


def refusal(file: Path, text: str, environ: dict[str, str] | None = None) -> str:
    """What is said about a file with this text, without the file's name."""
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load(file, environ or {})
    return str(caught.value).removeprefix(f"{file}: ")


@pytest.mark.parametrize("name", ["local", "production"])
def test_the_files_in_the_repository_load(name: str) -> None:
    settings = load(ROOT / "config" / f"{name}.yaml", {})
    assert (settings.local is not None) == (name == "local")


def test_without_a_path_the_local_file_is_read_unless_the_environment_names_another(
    settings_file: Path,
) -> None:
    settings_file.write_text(REQUIRED, encoding="utf-8")
    assert load(environ={}).kafka.bootstrap == "127.0.0.1:19092"
    assert load(environ={"LIVELIFT_CONFIG": str(settings_file)}).kafka.bootstrap == "k:9092"


def test_the_environment_goes_before_the_file_and_the_file_before_the_default(settings_file: Path) -> None:
    settings_file.write_text(REQUIRED + "attribution: {horizon_ms: 5, future_ms: 6}", encoding="utf-8")
    settings = load(settings_file, {"LIVELIFT_ATTRIBUTION_HORIZON_MS": "7", "LIVELIFT_REGION": "eu"})
    assert (settings.attribution.horizon_ms, settings.attribution.future_ms) == (7, 6)
    assert settings.attribution.retention_ms == 28 * 86_400_000
    assert settings.region == "eu"


def test_settings_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        load(environ={}).region = "eu"  # type: ignore[misc]


def test_a_missing_key_is_named_with_the_variable_that_would_set_it(settings_file: Path) -> None:
    text = REQUIRED.replace('{bootstrap: "k:9092"}', "{}")
    assert refusal(settings_file, text) == "kafka.bootstrap is missing (or set LIVELIFT_KAFKA_BOOTSTRAP)"


def test_a_misspelt_key_is_named_with_the_one_it_resembles(settings_file: Path) -> None:
    text = REQUIRED.replace("bootstrap", "bootstraps")
    assert refusal(settings_file, text) == "kafka.bootstraps is not a setting (did you mean kafka.bootstrap?)"
    assert refusal(settings_file, REQUIRED + "zebra: 1") == "zebra is not a setting"


def test_a_misspelt_variable_is_named(settings_file: Path) -> None:
    said = refusal(settings_file, REQUIRED, {"LIVELIFT_KAFKA_BOTSTRAP": "x"})
    assert said == (
        "environment: LIVELIFT_KAFKA_BOTSTRAP is not a setting (did you mean LIVELIFT_KAFKA_BOOTSTRAP?)"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("flink: 3", "flink must be a section of settings"),
        ("region: 3", "region must be text, not 3"),
        ("attribution: {horizon_ms: soon}", "attribution.horizon_ms must be a whole number, not 'soon'"),
        ("attribution: {horizon_ms: true}", "attribution.horizon_ms must be a whole number, not True"),
        ("attribution: {horizon_ms: 0}", "attribution.horizon_ms must be at least 1, not 0"),
        ("attribution: {epoch: 2048}", "attribution.epoch must be at most 2047, not 2048"),
        (
            "attribution: {rejected_percent_limit: 101}",
            "attribution.rejected_percent_limit must be at most 100, not 101",
        ),
        ("- kafka", "must be a mapping of sections"),
    ],
)
def test_a_value_of_the_wrong_type_is_named(settings_file: Path, text: str, said: str) -> None:
    start = REQUIRED if not text.startswith(("flink", "-")) else ""
    assert refusal(settings_file, start + text) == said


def test_outcomes_cannot_be_forgotten_before_an_exposure_they_wait_for_is_too_late(
    settings_file: Path,
) -> None:
    said = refusal(settings_file, REQUIRED + "attribution: {horizon_ms: 10, retention_ms: 9}")
    assert said == "attribution.retention_ms must be at least attribution.horizon_ms, not 9 with 10"


def test_a_choice_names_its_possibilities(settings_file: Path) -> None:
    said = refusal(settings_file, REQUIRED, {"LIVELIFT_FLINK_STATE_BACKEND": "paper"})
    assert said == "environment: LIVELIFT_FLINK_STATE_BACKEND must be one of hashmap, rocksdb, not 'paper'"


def test_a_file_that_is_not_there_or_is_not_yaml_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.yaml: no such settings file"):
        load(tmp_path / "nowhere.yaml", {})
    (tmp_path / "broken.yaml").write_text("a: [", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"broken\.yaml: not YAML"):
        load(tmp_path / "broken.yaml", {})


def test_a_file_that_is_no_text_is_named(settings_file: Path, tmp_path: Path) -> None:
    settings_file.write_bytes(b"region: caf\xe9\n")
    with pytest.raises(SettingsError, match=r"settings\.yaml: not UTF-8 \(byte 12\)"):
        load(settings_file, {})
    settings_file.write_text(REQUIRED, encoding="utf-8")
    (tmp_path / "token").write_bytes(b"\xff")
    environ = {"LIVELIFT_RUN_DIR": str(tmp_path), "LIVELIFT_CLICKHOUSE_PASSWORD_FILE": "token"}
    with pytest.raises(SettingsError, match=r"token: not UTF-8"):
        load(settings_file, environ)


ADDRESSES = "must be host:port, or several with commas between"
A_URL = "must be an http or https URL with a host"
A_URL_WITH_PORT = "must be an http or https URL with a host and a port"


@pytest.mark.parametrize(
    ("variable", "value", "must"),
    [
        ("RUN_DIR", "", "must name a folder"),
        ("RUN_DIR", " ", "must name a folder"),
        ("CONFIG", "", "must name a file"),
        ("KAFKA_BOOTSTRAP", "", ADDRESSES),
        ("KAFKA_BOOTSTRAP", "127.0.0.1", ADDRESSES),
        ("KAFKA_BOOTSTRAP", "k:1,k:999999", ADDRESSES),
        ("KAFKA_BOOTSTRAP", "k:0", ADDRESSES),
        ("REGISTRY_URL", "registry:8081", A_URL),
        ("FLINK_REST_URL", "http://h", A_URL_WITH_PORT),
        ("CLICKHOUSE_URL", "htp:/x", A_URL_WITH_PORT),
        ("CLICKHOUSE_URL", "http://h:0", A_URL_WITH_PORT),
        ("EXPORTER_URL", "http://h:99999", A_URL_WITH_PORT),
        ("CLICKHOUSE_DATABASE", "bad-name; drop", "must be letters, digits and _"),
        ("WEBHOOK_URL", "ftp://h", A_URL),
    ],
)
def test_a_text_that_cannot_work_stops_the_start(variable: str, value: str, must: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(environ={f"LIVELIFT_{variable}": value})
    assert str(caught.value) == f"environment: LIVELIFT_{variable} {must}, not '{value}'"


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("LOCAL_JOBMANAGER_METRICS_PORT", "70000", "must be at most 65535, not 70000"),
        ("CONSOLE_PORT", "0", "must be at least 1, not 0"),
    ],
)
def test_a_port_that_cannot_be_stops_the_start(variable: str, value: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(environ={f"LIVELIFT_{variable}": value})
    assert str(caught.value) == f"environment: LIVELIFT_{variable} {said}"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KAFKA_BOOTSTRAP", "a:9092, b.example:9093,[::1]:9094"),
        ("REGISTRY_URL", "https://registry.example/apis"),
        ("CLICKHOUSE_URL", "https://user@[::1]:8443"),
        ("WEBHOOK_URL", ""),
    ],
)
def test_an_address_that_can_work_is_taken(settings_file: Path, variable: str, value: str) -> None:
    settings_file.write_text(REQUIRED, encoding="utf-8")
    load(settings_file, {f"LIVELIFT_{variable}": value})


def test_what_is_started_here_has_one_address_with_a_port(settings_file: Path) -> None:
    said = refusal(settings_file, REQUIRED + "local: {}", {"LIVELIFT_KAFKA_BOOTSTRAP": "a:1,b:2"})
    assert said == "kafka.bootstrap must be one host:port beside a section local, not 'a:1,b:2'"
    said = refusal(settings_file, REQUIRED + "local: {}", {"LIVELIFT_REGISTRY_URL": "http://r"})
    assert said == "registry.url must have a port beside a section local, not 'http://r'"


def test_places_become_absolute_and_uris(settings_file: Path, tmp_path: Path) -> None:
    settings_file.write_text(REQUIRED, encoding="utf-8")
    here = load(settings_file, {"LIVELIFT_RUN_DIR": str(tmp_path)})
    assert here.flink.checkpoint_dir == (tmp_path / "checkpoints").as_uri()
    assert load(settings_file, {}).run_dir == ROOT / ".livelift"
    there = load(settings_file, {"LIVELIFT_FLINK_CHECKPOINT_DIR": "s3://bucket/checkpoints"})
    assert there.flink.checkpoint_dir == "s3://bucket/checkpoints"


def test_the_password_comes_from_its_file_unless_it_is_given(settings_file: Path, tmp_path: Path) -> None:
    settings_file.write_text(REQUIRED, encoding="utf-8")
    environ = {"LIVELIFT_RUN_DIR": str(tmp_path), "LIVELIFT_CLICKHOUSE_PASSWORD_FILE": "token"}
    assert load(settings_file, environ).clickhouse.password == ""
    (tmp_path / "token").write_text("sesame\n", encoding="utf-8")
    assert load(settings_file, environ).clickhouse.password == "sesame"
    given = {**environ, "LIVELIFT_CLICKHOUSE_PASSWORD": "given"}
    assert load(settings_file, given).clickhouse.password == "given"


def test_a_port_is_read_from_an_address_and_its_absence_is_named() -> None:
    assert port_of("127.0.0.1:19092") == 19092
    assert port_of("http://127.0.0.1:18123/x") == 18123
    with pytest.raises(SettingsError, match="'http://somewhere' names no port"):
        port_of("http://somewhere")


def test_the_compiled_function_is_that_of_the_repository_unless_another_is_named() -> None:
    assert load(environ={}).attribution_jar == ROOT / "udfs/attribution/target/livelift-attribution.jar"
    assert load(environ={"LIVELIFT_ATTRIBUTION_JAR": "/kept/1.jar"}).attribution_jar == Path("/kept/1.jar")
