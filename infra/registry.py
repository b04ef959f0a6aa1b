"""The schema registry as commands use it: register our records, find a writer's schema by id.

It speaks the Confluent API that every registry speaks, over plain HTTP.
"""

from __future__ import annotations

from typing import Any

import httpx

from config.settings import Settings
from schemas import avro_text, registered_text
from schemas.events import ParsedSchema, UnreadableError, parsed

ANSWER_WITHIN_SECONDS = 15.0
CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"


class RegistryError(Exception):
    """The registry did not answer or refused; one line for people."""


class Registry:
    """A connection to the registry; what it has told once is remembered, for it never changes."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.registry.url.rstrip("/")
        self._client = httpx.Client(timeout=ANSWER_WITHIN_SECONDS, headers={"Content-Type": CONTENT_TYPE})
        self._by_id: dict[int, ParsedSchema | None] = {}

    def register(self, record: str, compatibility: str) -> int:
        """Registers the record's schema under its name, to be changed only compatibly; returns its id.

        Raises:
            RegistryError: No answer, or the schema is incompatible with the one registered.
        """
        body = {"schema": registered_text(avro_text(record)), "schemaType": "AVRO"}
        schema_id = int(self._call("POST", f"/subjects/{record}/versions", body)["id"])
        self._call("PUT", f"/config/{record}", {"compatibility": compatibility})
        return schema_id

    def versions(self, record: str) -> list[int]:
        """The numbers of the versions the record's schema has had.

        Raises:
            RegistryError: No answer, or no such record.
        """
        return [int(number) for number in self._call("GET", f"/subjects/{record}/versions")]

    def compatibility(self, record: str) -> str:
        """How the record's schema may change.

        Raises:
            RegistryError: No answer, or no such record.
        """
        return str(self._call("GET", f"/config/{record}")["compatibilityLevel"])

    def writer_schema(self, schema_id: int) -> ParsedSchema:
        """The schema with this id; a ``SchemaLookup``.

        Raises:
            UnreadableError: The registry knows no such id.
            RegistryError: No answer.
        """
        if schema_id not in self._by_id:
            answer = self._request("GET", f"/schemas/ids/{schema_id}")
            # An id that is not even possible is refused with another 4xx than an unknown one.
            found = not answer.is_client_error
            self._by_id[schema_id] = parsed(self._content(answer)["schema"]) if found else None
        schema = self._by_id[schema_id]
        if schema is None:
            raise UnreadableError(f"no schema has the id {schema_id}")
        return schema

    def _call(self, method: str, path: str, body: dict[str, str] | None = None) -> Any:
        return self._content(self._request(method, path, body))

    def _request(self, method: str, path: str, body: dict[str, str] | None = None) -> httpx.Response:
        try:
            return self._client.request(method, self._url + path, json=body)
        except httpx.HTTPError as error:
            raise RegistryError(
                f"no schema registry answers at {self._url}; start the stack with: livelift up"
            ) from error

    def _content(self, answer: httpx.Response) -> Any:
        """The answer's JSON; a refusal is an error with the registry's own words."""
        try:
            content = answer.json()
        except ValueError:
            content = {}
        if answer.is_error:
            words = " ".join(str(content.get("message") or answer.reason_phrase).split())
            raise RegistryError(f"registry: {answer.request.url.path}: {words[:300]}")
        return content
