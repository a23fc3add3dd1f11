"""A request to forget a creator, from who owns no partition: written to the ticks topic, and the owners' answers.

It goes to every partition: by which one a producer sends a creator's events is the producer's choice, and where the
number of partitions was raised, the one before still has a state of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from streams import clients
from streams.columns import hash64
from streams.ticks import Tick, decode_tick, encode_tick

ANSWER_SECONDS = 60.0  # a worker looks every two seconds; a rebalance and a restore may lie between


class Answers(NamedTuple):
    """What the owners said."""

    markets: tuple[str, ...]  # in which the creator was known and is forgotten
    silent: tuple[int, ...]  # partitions that have not answered


def erase(
    servers: str, topic: str, creator: str, markets: Sequence[str], *, seconds: float = ANSWER_SECONDS,
    moved: Callable[[int], None] = lambda answers: None,
) -> Answers:  # fmt: skip
    """Ask on the ticks topic, and wait for an answer from every partition."""
    with clients.kafka_errors(servers), clients.consumer(servers) as reader:
        tps = clients.partitions(reader, topic)
        with clients.producer(servers) as to:
            sent = {}
            for tp in tps:
                wish = Tick(tp.partition, 0, erase=hash64(creator), markets=tuple(markets))
                sent[tp] = to.send(topic, encode_tick(wish), key=str(tp.partition).encode(), partition=tp.partition)
            asked = {tp: future.get(timeout=ANSWER_SECONDS).offset for tp, future in sent.items()}
        reader.assign(tps)
        for tp, offset in asked.items():
            reader.seek(tp, offset)
        answers: dict[int, Tick] = {}
        deadline = time.monotonic() + seconds
        while len(answers) < len(tps) and time.monotonic() < deadline:
            for tp, batch in reader.poll(timeout_ms=500).items():
                for tick in map(decode_tick, (message.value for message in batch)):
                    if tick.asked == asked[tp]:
                        answers[tp.partition] = tick
            moved(len(answers))
    found = sorted({market for tick in answers.values() for market in tick.found})
    return Answers(tuple(found), tuple(tp.partition for tp in tps if tp.partition not in answers))
