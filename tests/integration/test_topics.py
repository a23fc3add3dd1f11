"""Creating the project's topics, and noticing what is wrong with those that are there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from streams.topics import DAY_MS, Problem, TopicError, Topics, TopicSpec, check, create


@pytest.fixture
def admin(kafka: str) -> Iterator[KafkaAdminClient]:
    client = KafkaAdminClient(bootstrap_servers=kafka.split(","))
    yield client
    client.close()


@pytest.fixture
def topics(kafka: str, topic_prefix: str) -> Topics:
    return Topics.with_prefix(topic_prefix)


def of(problems: list[Problem], topic: str) -> list[Problem]:
    return [problem for problem in problems if problem.topic == topic]


def test_a_new_cluster_lacks_every_topic_and_says_what_to_run(kafka: str, topics: Topics) -> None:
    problems = check(kafka, topics.specs(4, 1))
    assert [problem.topic for problem in problems] == [
        topics.source,
        topics.dlq,
        topics.alerts,
        topics.shadow,
        topics.ticks,
        topics.checkpoints,
    ]
    assert str(problems[0]) == (
        f"{topics.source}: does not exist, expected 4 partitions; run: ripcurrent topics"
    )


def test_what_was_created_has_no_problem_and_is_not_created_twice(kafka: str, topics: Topics) -> None:
    specs = topics.specs(3, 1, source_retention_ms=90 * DAY_MS)
    assert create(kafka, specs) == [spec.name for spec in specs]
    assert check(kafka, specs) == []
    assert create(kafka, specs) == []


def test_what_was_created_has_the_settings_that_the_table_says(
    kafka: str, topics: Topics, admin: KafkaAdminClient
) -> None:
    create(kafka, topics.specs(3, 1))
    described = {topic["name"]: topic for topic in admin.describe_topics(list(vars_of(topics)))}
    assert {len(topic["partitions"]) for topic in described.values()} == {3}
    configs = admin.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, name) for name in vars_of(topics)], config_filter="all"
    )["topic"]
    policies = {name: config["cleanup.policy"]["value"] for name, config in configs.items()}
    assert policies.pop(topics.checkpoints) == "compact"
    assert set(policies.values()) == {"delete"}
    assert {config["retention.ms"]["value"] for config in configs.values()} == {"-1"}


def vars_of(topics: Topics) -> list[str]:
    return [topics.source, topics.dlq, topics.alerts, topics.shadow, topics.ticks, topics.checkpoints]


def test_ticks_and_checkpoints_get_as_many_partitions_as_the_source_really_has(
    kafka: str, topics: Topics, make_topic: Callable[..., str], admin: KafkaAdminClient
) -> None:
    make_topic("creator-events", partitions=5)
    create(kafka, topics.specs(2, 1))
    counts = {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics(vars_of(topics))}
    assert (counts[topics.ticks], counts[topics.checkpoints]) == (5, 5)
    (problem,) = check(kafka, topics.specs(2, 1))
    assert str(problem) == (
        f"{topics.source}: has 5 partitions, expected 2 partitions; "
        "set the configured number of partitions to 5, or start over with a new topic"
    )


@pytest.mark.parametrize(
    ("partitions", "remedy"), [(1, "add partitions: kafka-topics --alter"), (4, "stop the workers, delete")]
)
def test_ticks_with_another_partition_count_than_the_source_are_a_problem(
    kafka: str, topics: Topics, make_topic: Callable[..., str], partitions: int, remedy: str
) -> None:
    make_topic("ripcurrent-ticks", partitions=partitions, retention_ms="-1")
    create(kafka, topics.specs(3, 1))
    (problem,) = check(kafka, topics.specs(3, 1))
    assert (problem.topic, problem.expected) == (topics.ticks, f"3 partitions, as {topics.source} has")
    assert problem.remedy.startswith(remedy)


@pytest.mark.parametrize(
    ("key", "wrong", "expected"),
    [
        ("cleanup.policy", "compact", "delete"),
        ("retention.ms", "604800000", "-1"),
        ("max.message.bytes", "1000", "1048588 or more"),
    ],
)
def test_a_wrong_setting_is_a_problem_with_the_command_that_mends_it(
    kafka: str, topics: Topics, make_topic: Callable[..., str], key: str, wrong: str, expected: str
) -> None:
    right = {"retention_ms": "-1"}
    make_topic("creator-events", partitions=2, **{**right, key.replace(".", "_"): wrong})
    create(kafka, topics.specs(2, 1))
    (problem,) = check(kafka, topics.specs(2, 1))
    assert (problem.topic, problem.actual, problem.expected) == (topics.source, f"{key} is {wrong}", expected)
    assert f"--topic {topics.source} --add-config {key}=" in problem.remedy
    assert "\n" not in str(problem)


def test_more_than_was_asked_for_is_no_problem(
    kafka: str, topics: Topics, make_topic: Callable[..., str]
) -> None:
    make_topic("creator-events", partitions=2, retention_ms="-1", max_message_bytes="8388608")
    specs = topics.specs(2, 1, source_retention_ms=30 * DAY_MS)
    create(kafka, specs)
    assert check(kafka, specs) == []


def test_too_few_copies_are_a_problem_with_what_that_means_for_writes(kafka: str, topics: Topics) -> None:
    create(kafka, topics.specs(1, 1))
    problems = of(check(kafka, topics.specs(1, 3)), topics.alerts)
    assert [problem.actual for problem in problems] == [
        "keeps 1 copy of a partition",
        "min.insync.replicas is 1",
    ]


def test_a_replication_that_the_cluster_cannot_have_is_one_line(kafka: str, topic_name: str) -> None:
    with pytest.raises(TopicError, match=f"^Kafka refused to create {topic_name}: .*replication") as error:
        create(kafka, [TopicSpec(name=topic_name, partitions=1, replication=100)])
    assert "\n" not in str(error.value)


def test_an_address_without_a_kafka_is_one_line() -> None:
    with pytest.raises(TopicError, match=r"^No Kafka answers at 127\.0\.0\.1:1: "):
        check("127.0.0.1:1", Topics().specs(1, 1))
