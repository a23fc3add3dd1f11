"""What each command may do on Kafka, in one piece of data: `ripcurrent acls` prints it as ACLs, docs/security.md has it
as a table, and each command asks Kafka for it before it begins.

Kafka lets a client ask which rights it has on topics and groups. It can't be asked for those on a transactional id, nor
on a group that does not exist yet; there the refusal itself is told in the same words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from streams import clients
from streams.errors import RipcurrentError
from streams.security import not_allowed
from streams.topics import Topics

NOT_ALLOWED = 29  # Kafka's error code TOPIC_AUTHORIZATION_FAILED
UNSEEN = {"CREATE", "DESCRIBECONFIGS"}  # what may still be allowed on a topic that we may not even Describe
IMPLIED = {"Describe": {"Read", "Write"}}  # Kafka gives it to whoever has one of these


class Right(NamedTuple):
    """Operations, as Kafka names them, on one resource."""

    resource: str  # topic, group or transactional-id
    name: str
    operations: tuple[str, ...]

    def __str__(self) -> str:
        return f"{' and '.join(self.operations)} on the {self.resource} {self.name}"


class MissingRightsError(RipcurrentError):
    """Kafka does not allow what a command needs; `problems` has a line for each right."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def transactional_id(dlq: str) -> str:
    """Of a redrive: two at once shut each other out."""
    return f"{dlq}-redrive"


def needed(topics: Topics, group: str) -> dict[str, tuple[Right, ...]]:
    """The least rights of every command that talks to Kafka."""

    def on(name: str, *operations: str) -> Right:
        return Right("topic", name, operations)

    every = tuple(getattr(topics, field) for field in topics.__struct_fields__)
    return {
        "run": (
            on(topics.source, "Read"),
            on(topics.dlq, "Write"),
            on(topics.alerts, "Write"),
            on(topics.shadow, "Write"),
            on(topics.ticks, "Read", "Write"),
            on(topics.checkpoints, "Read", "Write"),
            Right("group", group, ("Read",)),
        ),
        "topics": tuple(on(name, "Create", "Describe", "DescribeConfigs") for name in every),
        "topics --check": tuple(on(name, "Describe", "DescribeConfigs") for name in every),
        "record": (on(topics.source, "Read"), on(topics.ticks, "Read")),
        "replay": (on(topics.source, "Read"), on(topics.ticks, "Read")),
        "checkpoint": (on(topics.checkpoints, "Read"),),
        "erase": (on(topics.ticks, "Read", "Write"),),
        "simulate --topic": (on(topics.source, "Write"),),
        "dlq list": (on(topics.dlq, "Read"),),
        "dlq show": (on(topics.dlq, "Read"),),
        "dlq redrive --dry-run": (on(topics.dlq, "Read"), on(topics.source, "Describe")),
        "dlq redrive": (
            on(topics.dlq, "Read", "Write"),
            on(topics.source, "Write"),
            Right("transactional-id", transactional_id(topics.dlq), ("Write",)),
        ),
    }


# ---- as ACLs, and as a table -------------------------------------------------------------------------------


def acl_commands(rights: Iterable[Right], principal: str, servers: str) -> Iterator[str]:
    """The lines for a shell that give somebody these rights."""
    for right in rights:
        allowed = " ".join(f"--operation {operation}" for operation in right.operations)
        yield (
            f"kafka-acls --bootstrap-server {servers} --add --allow-principal '{principal}' {allowed} "
            f"--{right.resource} {right.name}"
        )


def table() -> list[str]:
    """The rights of each command, for docs/security.md."""
    lines = ["| command | rights |", "|---|---|"]
    for command, rights in needed(Topics(), "ripcurrent").items():
        words = "; ".join(f"{', '.join(r.operations)} on the {r.resource} `{r.name}`" for r in rights)
        lines.append(f"| `{command}` | {words} |")
    return lines


# ---- asking Kafka ------------------------------------------------------------------------------------------


def require(servers: str, command: str, topics: Topics, group: str = "", to: str | None = None) -> None:
    """MissingRightsError if Kafka says that we may not do what this command does; `to` stands for the source."""
    if to is not None:
        topics = Topics(**{f: getattr(topics, f) for f in topics.__struct_fields__} | {"source": to})
    if problems := [not_allowed(str(right)) for right in _missing(servers, needed(topics, group)[command])]:
        raise MissingRightsError(problems)


def _missing(servers: str, rights: Sequence[Right]) -> list[Right]:
    names = [right.name for right in rights if right.resource == "topic"]
    with clients.kafka_errors(servers), clients.admin(servers) as admin:
        found = {topic["name"]: _allowed(topic) for topic in admin.describe_topics(names)}
        for right in rights:
            if right.resource == "group":
                found[right.name] = _allowed_on_group(admin, right.name)
    return [lacking for right in rights if (lacking := _lacking(right, found.get(right.name)))]


def _allowed(described: dict[str, Any]) -> set[str] | None:
    """Operations that we have, in capitals without gaps; None where Kafka does not say."""
    if described["error_code"] == NOT_ALLOWED:
        return set(UNSEEN)
    if described["error_code"] or not described.get("authorized_operations"):
        return None  # who may see it has one at least: this is a Kafka, or its like, that does not tell
    return {name.replace("_", "") for name in described["authorized_operations"]}


def _allowed_on_group(admin: Any, group: str) -> set[str] | None:
    from kafka.errors import CoordinatorNotAvailableError, GroupAuthorizationFailedError

    try:
        said = admin.describe_groups([group])[group]
    except GroupAuthorizationFailedError:
        return set()
    except CoordinatorNotAvailableError:  # the first group of a new cluster
        return None
    if said["error"]:
        return set() if "GroupAuthorizationFailed" in said["error"] else None
    return _allowed(said | {"error_code": 0})


def _lacking(right: Right, allowed: set[str] | None) -> Right | None:
    if allowed is None:
        return None
    operations = tuple(
        one for one in right.operations
        if one.upper() not in allowed and not {other.upper() for other in IMPLIED.get(one, ())} & allowed
    )  # fmt: skip
    return right._replace(operations=operations) if operations else None
