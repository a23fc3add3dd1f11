"""Checkpoints on their topic: the newest, and one that was not written to its end, which no worker may begin from."""

import msgspec
from kafka import KafkaProducer

from streams import checkpoint
from streams.state import Snapshot
from tests.integration.workers import everything

AHEAD = 50  # records that the torn checkpoint claims to hold beside those of the newest whole one


def newest_checkpoint(kafka: str, topic: str, partition: int) -> checkpoint.Found:
    """The newest usable checkpoint of a shard, as a worker would find it."""
    stored = {r.key.decode(): r.value for r in everything(kafka, topic, partition)}
    return checkpoint.newest({key: value for key, value in stored.items() if value is not None})


def tear(kafka: str, topic: str, partition: int, *, missing: bool) -> None:
    """Behind a shard's newest checkpoint, write one that is newer and torn: of its blocks but one is there, or its
    manifest is harmed. The shard's owner is dead, or will not mind: a whole checkpoint counts, this one never does.
    """
    found = newest_checkpoint(kafka, topic, partition)
    if found.manifest is None or found.snapshot is None:
        return
    memo = found.snapshot.memo
    claimed = Snapshot(msgspec.structs.replace(memo, next_offset=memo.next_offset + AHEAD), found.snapshot.arrays)
    was = found.manifest
    torn = checkpoint.encode(claimed, was.epoch, was.sequence + 1_000, was.ticks_applied, None)
    manifest = checkpoint.encode_manifest(torn.manifest)
    blocks = {key: value for key, value in torn.blocks.items() if not missing or f"/{checkpoint.MEMO}#" in key}
    name = checkpoint.manifest_key(torn.manifest.epoch, torn.manifest.sequence)
    producer = KafkaProducer(bootstrap_servers=kafka.split(","))
    for key, value in (blocks | {name: manifest if missing else bytes(12) + manifest[12:]}).items():
        producer.send(topic, key=key.encode(), value=value, partition=partition)
    producer.flush()
    producer.close()
