"""Kafka as the commands use it: which topics there are, where they end, all they hold up to there."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

from confluent_kafka import (
    OFFSET_INVALID,
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from config.settings import Settings
from schemas.events import EventKind

TENANT_TOPIC = re.compile(r"livelift\.([a-z0-9-]{1,40})\.(assignments|outcomes)")
"""A tenant's topic, as the attribution job subscribes to it."""

LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # its stub has no types
EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
NEWEST: OffsetSpec = OffsetSpec.max_timestamp()  # type: ignore[no-untyped-call]

ANSWER_WITHIN_SECONDS = 15.0
BATCH_WITHIN_SECONDS = 0.05
QUESTIONS_AT_A_TIME = 200
"""So many are asked before the first answer is awaited: ten times faster than one by one."""

Progress = Callable[[int, int], None]
"""Called now and then with how many records are done, and of how many."""


class BrokerError(Exception):
    """The broker did not answer or refused; one line for people."""


class Place(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class Found(NamedTuple):
    """A record in the log: its offset, and when it was appended."""

    offset: int
    time_ms: int


class TenantTopic(NamedTuple):
    """A tenant's topic by name; whose it is and what it carries follow from the name."""

    topic: str
    tenant_id: str
    kind: EventKind


def client_settings(settings: Settings) -> dict[str, Any]:
    """What every Kafka client here starts from; its own log lines are off, errors reach the caller."""
    return {"bootstrap.servers": settings.kafka.bootstrap, "log_level": 2, "error_cb": lambda _: None}


class Broker:
    """A connection to the brokers; opened on the first call, closed with the process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin = AdminClient(client_settings(settings))

    def topics(self) -> list[str]:
        """Names of all topics, sorted."""
        try:
            return sorted(self._admin.list_topics(timeout=ANSWER_WITHIN_SECONDS).topics)
        except KafkaException as error:
            raise self._unanswered(error) from error

    def tenant_topics(self) -> list[TenantTopic]:
        """The topics that hold events, sorted by name."""
        found = ((name, TENANT_TOPIC.fullmatch(name)) for name in self.topics())
        return [
            TenantTopic(name, match.group(1), EventKind(match.group(2))) for name, match in found if match
        ]

    def create(self, topics: Sequence[NewTopic]) -> list[str]:
        """Creates the topics that do not exist and returns their names; the others stay as they are."""
        existing = set(self.topics())
        missing = [topic for topic in topics if topic.topic not in existing]
        if not missing:
            return []
        created = []
        for name, future in self._admin.create_topics(missing).items():
            try:
                self._answer(future)
                created.append(name)
            except BrokerError as error:
                if not _is(error.__cause__, KafkaError.TOPIC_ALREADY_EXISTS):
                    raise BrokerError(f"topic {name} could not be created: {error}") from error
        return created

    def end_offsets(self, topics: Sequence[str]) -> dict[Place, int]:
        """For each partition of the topics, the offset its next record will get."""
        return self._offsets(topics, LATEST)

    def begin_offsets(self, topics: Sequence[str]) -> dict[Place, int]:
        """For each partition of the topics, the offset where its log begins; older records are gone."""
        return self._offsets(topics, EARLIEST)

    def first_at(self, topics: Sequence[str], times_ms: Iterable[int]) -> Iterator[dict[Place, Found]]:
        """For each time, the first record of each partition appended then or later; none, and it is absent.

        By the broker's index of times: right where times grow along the log, as append times do.
        """
        places = self._places(topics)
        specs = [OffsetSpec.for_timestamp(time_ms) for time_ms in times_ms]
        for begin in range(0, len(specs), QUESTIONS_AT_A_TIME):
            asked = [self._ask(places, spec) for spec in specs[begin : begin + QUESTIONS_AT_A_TIME]]
            yield from map(self._found, asked)

    def newest_time(self, topics: Sequence[str]) -> int:
        """The greatest append time among the records of the topics, epoch milliseconds; 0 without any."""
        newest = self._found(self._ask(self._places(topics), NEWEST))
        return max((found.time_ms for found in newest.values()), default=0)

    def retention_ms(self, topic: str) -> int:
        """How long the broker keeps a topic's records at least; -1 is for ever."""
        resource = ConfigResource(ResourceType.TOPIC, topic)
        (future,) = self._admin.describe_configs([resource]).values()
        return int(self._answer(future)["retention.ms"].value)

    def committed_offsets(self, group: str, topics: Sequence[str]) -> dict[Place, int]:
        """What a consumer group has committed; a partition it never committed is absent."""
        # Asked before any group has committed anything, the library does not answer but crashes.
        groups = self._answer(self._admin.list_consumer_groups()).valid
        if group not in {each.group_id for each in groups}:
            return {}
        places = [TopicPartition(place.topic, place.partition) for place in self._places(topics)]
        request = ConsumerGroupTopicPartitions(group, places)
        (future,) = self._admin.list_consumer_group_offsets([request]).values()
        answer: ConsumerGroupTopicPartitions = self._answer(future)
        return {
            Place(entry.topic, entry.partition): entry.offset
            for entry in answer.topic_partitions or ()
            if entry.offset != OFFSET_INVALID
        }

    def read_to_end(self, topics: Sequence[str], progress: Progress | None = None) -> Iterator[Message]:
        """All records that the topics hold now, each partition in its order, and nothing appended later.

        Raises:
            BrokerError: The broker stopped answering.
        """
        ends = self._offsets(topics, LATEST)
        begins = self._offsets(topics, EARLIEST)
        total = sum(ends[place] - begins[place] for place in ends)
        open_places = {place for place in ends if ends[place] > begins[place]}
        consumer = Consumer(
            client_settings(self._settings)
            | {
                "group.id": "livelift-commands",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_uncommitted",  # as the attribution job reads
                "check.crcs": True,
            }
        )
        try:
            consumer.assign([TopicPartition(*place, begins[place]) for place in open_places])
            done = 0
            deadline = time.monotonic() + ANSWER_WITHIN_SECONDS
            while open_places:
                # The call waits for as many records as asked for, even when there are no more to come.
                messages = consumer.consume(num_messages=5000, timeout=BATCH_WITHIN_SECONDS)
                if messages:
                    deadline = time.monotonic() + ANSWER_WITHIN_SECONDS
                elif time.monotonic() > deadline:
                    raise self._unanswered(None)
                for message in messages:
                    place = Place(str(message.topic()), int(message.partition() or 0))
                    offset = int(message.offset() or 0)
                    failure = message.error()
                    if failure is not None:
                        if failure.code() != KafkaError._PARTITION_EOF:
                            raise BrokerError(f"{place.topic}: {failure.str()}")
                        # Compaction and transactions leave gaps: the last offset may hold no record.
                        if offset >= ends[place]:
                            open_places.discard(place)
                        continue
                    if offset < ends[place]:
                        done += 1
                        yield message
                    if offset >= ends[place] - 1:
                        open_places.discard(place)
                if progress is not None:
                    progress(min(done, total), total)
        except KafkaException as error:
            raise self._unanswered(error) from error
        finally:
            consumer.close()

    def _places(self, topics: Sequence[str]) -> list[Place]:
        try:
            known = self._admin.list_topics(timeout=ANSWER_WITHIN_SECONDS).topics
        except KafkaException as error:
            raise self._unanswered(error) from error
        for topic in topics:
            if topic not in known:
                raise BrokerError(f"there is no topic {topic}; start the stack with: livelift up")
        return [Place(topic, partition) for topic in topics for partition in known[topic].partitions]

    def _offsets(self, topics: Sequence[str], spec: OffsetSpec) -> dict[Place, int]:
        asked = self._ask(self._places(topics), spec)
        return {place: self._answer(future).offset for place, future in asked.items()}

    def _ask(self, places: Sequence[Place], spec: OffsetSpec) -> dict[Place, Future[Any]]:
        if not places:
            return {}
        asked = self._admin.list_offsets({TopicPartition(*place): spec for place in places})
        return {Place(entry.topic, entry.partition): future for entry, future in asked.items()}

    def _found(self, asked: dict[Place, Future[Any]]) -> dict[Place, Found]:
        answers = {place: self._answer(future) for place, future in asked.items()}
        return {
            place: Found(answer.offset, answer.timestamp)
            for place, answer in answers.items()
            if answer.offset >= 0
        }

    def _answer(self, future: Future[Any]) -> Any:
        try:
            return future.result(timeout=ANSWER_WITHIN_SECONDS)
        except (KafkaException, TimeoutError) as error:
            raise self._unanswered(error) from error

    def _unanswered(self, error: BaseException | None) -> BrokerError:
        """The error to raise: which broker, and what to do where there is none."""
        address = self._settings.kafka.bootstrap
        nobody = (KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN)
        if error is None or isinstance(error, TimeoutError) or any(_is(error, code) for code in nobody):
            return BrokerError(f"no Kafka broker answers at {address}; start the stack with: livelift up")
        return BrokerError(f"Kafka at {address}: {_text(error)}")


def _is(error: BaseException | None, code: int) -> bool:
    return isinstance(error, KafkaException) and bool(error.args[0].code() == code)


def _text(error: BaseException) -> str:
    return str(error.args[0].str()) if isinstance(error, KafkaException) else str(error)
