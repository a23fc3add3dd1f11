"""The project's topics: their names, their settings, and whether the cluster has them so.

Administration only, with kafka-python; the worker talks to Kafka through Faust and imports just the names.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from streams import security

if TYPE_CHECKING:
    from kafka.admin import KafkaAdminClient

FOREVER = -1
DAY_MS = 24 * 60 * 60 * 1000
MIB = 1 << 20
BATCH_OVERHEAD = 12  # Kafka's own default of max.message.bytes is 1 MiB and this


class TopicError(RuntimeError):
    """The cluster can't be asked or refuses; the text is one line."""


class TopicSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a topic must be like."""

    name: str
    partitions: int
    replication: int
    cleanup_policy: Literal["delete", "compact"] = "delete"
    retention_ms: int = FOREVER  # by record timestamps; without meaning on a compacted topic
    max_message_bytes: int = MIB + BATCH_OVERHEAD  # of a compressed batch
    partitions_of: str | None = None  # must have as many partitions as that topic really has

    @property
    def min_insync_replicas(self) -> int:
        """With three copies a write needs two, so that one broker may be down; with fewer, one."""
        return 2 if self.replication >= 3 else 1

    @property
    def config(self) -> dict[str, str]:
        """The topic's settings as Kafka names them."""
        return {
            "cleanup.policy": self.cleanup_policy,
            "retention.ms": str(self.retention_ms),
            "min.insync.replicas": str(self.min_insync_replicas),
            "max.message.bytes": str(self.max_message_bytes),
        }


class Topics(msgspec.Struct, frozen=True):
    """The names of the topics of one deployment."""

    source: str = "creator-events"
    dlq: str = "creator-events-dlq"
    alerts: str = "risk-alerts"
    shadow: str = "risk-alerts-shadow"
    ticks: str = "ripcurrent-ticks"
    checkpoints: str = "ripcurrent-checkpoints"

    @classmethod
    def with_prefix(cls, prefix: str) -> Topics:
        """Every name behind `prefix`, for a second deployment on the same cluster (or a test).

        >>> Topics.with_prefix("staging-").alerts
        'staging-risk-alerts'
        """
        names = cls()
        return cls(**{field: prefix + getattr(names, field) for field in cls.__struct_fields__})

    def specs(
        self,
        partitions: int,
        replication: int,
        *,
        source_retention_ms: int = FOREVER,
        dlq_retention_ms: int = FOREVER,
        alerts_retention_ms: int = FOREVER,
    ) -> tuple[TopicSpec, ...]:
        """What each topic must be like when the source has that many partitions and copies.

        Retention is measured by record timestamps. Whoever writes history (an import, the demo, a recording
        played again) stamps records with event times, and Kafka's default of seven days would delete those
        within minutes of being written. So nothing is deleted by age unless a deployment that only ever
        writes the present says so.
        """
        return (
            TopicSpec(
                name=self.source,
                partitions=partitions,
                replication=replication,
                retention_ms=source_retention_ms,
            ),
            # A dead letter is the whole original record with headers beside it, and must fit as well.
            TopicSpec(
                name=self.dlq,
                partitions=partitions,
                replication=replication,
                retention_ms=dlq_retention_ms,
                max_message_bytes=2 * MIB,
            ),
            # Not compacted: each revision of an alert is a record, and all share the entity's key.
            TopicSpec(
                name=self.alerts,
                partitions=partitions,
                replication=replication,
                retention_ms=alerts_retention_ms,
            ),
            # Of signals on trial, and of creators that a group exempts: the same records, for other readers.
            TopicSpec(
                name=self.shadow,
                partitions=partitions,
                replication=replication,
                retention_ms=alerts_retention_ms,
            ),
            # A tick and a checkpoint stand in the partition of the shard that wrote them. A replay needs
            # every tick that was obeyed, so ticks live as long as the source may; of checkpoints only the
            # newest counts.
            TopicSpec(
                name=self.ticks,
                partitions=partitions,
                replication=replication,
                retention_ms=source_retention_ms,
                partitions_of=self.source,
            ),
            TopicSpec(
                name=self.checkpoints,
                partitions=partitions,
                replication=replication,
                cleanup_policy="compact",
                partitions_of=self.source,
            ),
        )


class Problem(msgspec.Struct, frozen=True):
    """One thing that is not as it must be."""

    topic: str
    actual: str
    expected: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.actual}, expected {self.expected}; {self.remedy}"


def create(bootstrap: str, specs: Sequence[TopicSpec]) -> list[str]:
    """Create the topics that are missing and return their names; those that exist are left as they are."""
    with _admin(bootstrap) as admin:
        found = _partition_counts(admin, _all_names(specs))
        wanted: dict[str, dict[str, Any]] = {}
        for spec in specs:
            if spec.name not in found:
                wanted[spec.name] = {
                    "num_partitions": _partitions(spec, found),
                    "replication_factor": spec.replication,
                    "configs": spec.config,
                }
        if not wanted:
            return []
        answer = admin.create_topics(wanted, raise_errors=False)
        created: list[str] = []
        refused: list[str] = []
        for topic in answer["topics"]:
            if topic["error_code"] == 0:
                created.append(topic["name"])
            elif topic["error_code"] in _NOT_ALLOWED:
                raise TopicError(security.not_allowed(f"Create on the topic {topic['name']}"))
            elif topic["error_code"] != _TOPIC_ALREADY_EXISTS:  # another process was faster
                refused.append(f"{topic['name']}: {topic['error_message'] or topic['error_code']}")
        if refused:
            raise TopicError("Kafka refused to create " + "; ".join(refused))
        admin.wait_for_topics(list(wanted))
        return [spec.name for spec in specs if spec.name in created]


def check(bootstrap: str, specs: Sequence[TopicSpec]) -> list[Problem]:
    """Everything about these topics that is not as it must be, in the order of `specs`; changes nothing."""
    with _admin(bootstrap) as admin:
        found = _described(admin, _all_names(specs))
        counts = {name: len(topic["partitions"]) for name, topic in found.items()}
        configs = _configs(admin, [spec.name for spec in specs if spec.name in found])
    problems: list[Problem] = []
    for spec in specs:
        if spec.name not in found:
            problems.append(
                Problem(spec.name, "does not exist", _partitions_text(spec, counts), "run: ripcurrent topics")
            )
            continue
        problems += _partition_problems(spec, counts)
        problems += _replication_problems(spec, found[spec.name]["partitions"])
        problems += _config_problems(spec, configs[spec.name])
    return problems


# ---- judging -----------------------------------------------------------------------------------------------


def _partitions(spec: TopicSpec, counts: Mapping[str, int]) -> int:
    return spec.partitions if spec.partitions_of is None else counts.get(spec.partitions_of, spec.partitions)


def _partitions_text(spec: TopicSpec, counts: Mapping[str, int]) -> str:
    n = _partitions(spec, counts)
    text = "1 partition" if n == 1 else f"{n} partitions"
    return text if spec.partitions_of is None else f"{text}, as {spec.partitions_of} has"


def _partition_problems(spec: TopicSpec, counts: Mapping[str, int]) -> Iterator[Problem]:
    actual, expected = counts[spec.name], _partitions(spec, counts)
    if actual == expected:
        return
    has = f"has {actual} partition" + ("s" if actual != 1 else "")
    if spec.partitions_of is None:
        # More partitions would send a creator's next events to another shard than the one that knows him.
        remedy = f"set the configured number of partitions to {actual}, or start over with a new topic"
    elif actual < expected:
        remedy = f"add partitions: kafka-topics --alter --topic {spec.name} --partitions {expected}"
    else:
        remedy = "stop the workers, delete the topic and run: ripcurrent topics"
    yield Problem(spec.name, has, _partitions_text(spec, counts), remedy)


def _replication_problems(spec: TopicSpec, partitions: Iterable[Mapping[str, Any]]) -> Iterator[Problem]:
    copies = min(len(partition["replica_nodes"]) for partition in partitions)
    if copies < spec.replication:
        yield Problem(
            spec.name,
            f"keeps {copies} cop{'y' if copies == 1 else 'ies'} of a partition",
            f"{spec.replication} or more",
            "move it to more brokers with kafka-reassign-partitions, or set the configured replication lower",
        )


def _config_problems(spec: TopicSpec, actual: Mapping[str, str]) -> Iterator[Problem]:
    for key, expected in spec.config.items():
        if key == "retention.ms" and spec.cleanup_policy == "compact":
            continue
        is_now = actual[key]
        exact = key == "cleanup.policy"
        if is_now == expected if exact else _at_least(key, int(is_now), int(expected)):
            continue
        yield Problem(
            spec.name,
            f"{key} is {is_now}",
            expected if exact or int(expected) == FOREVER else f"{expected} or more",
            f"set it: kafka-configs --alter --topic {spec.name} --add-config {key}={expected}",
        )


def _at_least(key: str, actual: int, expected: int) -> bool:
    if key == "retention.ms" and FOREVER in (actual, expected):
        return actual == FOREVER
    return actual >= expected


# ---- asking the cluster ------------------------------------------------------------------------------------

_TOPIC_ALREADY_EXISTS = 36
_NOT_ALLOWED = (29, 31)  # TOPIC_ and CLUSTER_AUTHORIZATION_FAILED


@contextlib.contextmanager
def _admin(bootstrap: str) -> Iterator[KafkaAdminClient]:
    from kafka.admin import KafkaAdminClient
    from kafka.errors import KafkaError

    addresses = [address.strip() for address in bootstrap.split(",")]
    try:
        security.reach(bootstrap)  # the client would try for 10 s and leak a socket each time
        admin = KafkaAdminClient(
            bootstrap_servers=addresses, bootstrap_timeout_ms=10_000, **security.for_kafka_python()
        )
    except (security.NobodyAnswersError, security.KafkaRefusesError) as e:
        raise TopicError(str(e)) from e
    except KafkaError as e:
        raise TopicError(f"No Kafka answers at {bootstrap}: is it running, is the address right?") from e
    try:
        yield admin
    except KafkaError as e:
        raise TopicError(f"Kafka at {bootstrap} could not do that: {e}") from e
    finally:
        admin.close()


def _all_names(specs: Sequence[TopicSpec]) -> list[str]:
    """The topics themselves, and those that they must resemble."""
    others = (spec.partitions_of for spec in specs if spec.partitions_of is not None)
    return list(dict.fromkeys([*(spec.name for spec in specs), *others]))


def _described(admin: KafkaAdminClient, names: list[str]) -> dict[str, dict[str, Any]]:
    return {topic["name"]: topic for topic in admin.describe_topics(names) if topic["error_code"] == 0}


def _partition_counts(admin: KafkaAdminClient, names: list[str]) -> dict[str, int]:
    return {name: len(topic["partitions"]) for name, topic in _described(admin, names).items()}


def _configs(admin: KafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    from kafka.admin import ConfigResource, ConfigResourceType

    if not names:
        return {}
    answer = admin.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, name) for name in names], config_filter="all"
    )
    return {
        name: {key: str(entry["value"]) for key, entry in entries.items()}
        for name, entries in answer["topic"].items()
    }
