"""Ticks: recorded moments at which the wall clock, or somebody, moved a shard: a restart and a replay follow them.

One record of `ripcurrent-ticks` is one Tick. A new owner of a partition first writes its epoch (a tick that does
nothing) and reads up to it; ticks of a lower epoch behind it are void: their writer had lost the partition.

Who wants a creator forgotten owns no partition, so it can't say behind which record. It writes a request (`erase`, of
epoch 0), which moves nothing; the owner answers each by a tick of its own, and that counts.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec


class Tick(msgspec.Struct, frozen=True, omit_defaults=True):
    """Behind the record at `after_offset`, event time is at least `up_to`, or another configuration decides, or a
    creator is forgotten; with none of them, an epoch begins.
    """

    partition: int
    epoch: int
    after_offset: int = -1
    up_to: int | None = None  # ms
    replaces: str | None = None  # the configuration version that `catalogue` takes the place of, and of no other;
    # without it, the configuration that the partition's first owner began under
    catalogue: str | None = None  # packed
    erase: int | None = None  # hash of the creator's id, which this record outlives
    markets: tuple[str, ...] = ()  # to forget it there; none: everywhere
    asked: int | None = None  # offset in the ticks topic of the request that this answers; None in a request
    found: tuple[str, ...] = ()  # markets in which the creator was known, for who asked
    partitions: int | None = None  # of the source, when this epoch began

    @property
    def moves(self) -> bool:
        """Whether it does anything to a shard."""
        return self.up_to is not None or self.catalogue is not None or self.asked is not None

    @property
    def begins(self) -> bool:
        """Whether it names the configuration that the partition begins under: nothing to obey."""
        return self.catalogue is not None and self.replaces is None


encode_tick = msgspec.json.Encoder().encode
decode_tick = msgspec.json.Decoder(Tick).decode


def first_catalogue(log: Iterable[tuple[int, Tick]]) -> str | None:
    """The packed configuration under which a partition began: for an owner that finds no checkpoint."""
    return next((tick.catalogue for _, tick in log if tick.begins), None)


def spread_over(log: Iterable[tuple[int, Tick]]) -> int | None:
    """Over how many partitions creators were spread when the newest epoch here began; None where it says nothing.

    >>> spread_over([(0, Tick(0, 1, partitions=4)), (1, Tick(0, 1, 5, 900))])
    4
    """
    told = [tick.partitions for _, tick in log if tick.partitions is not None]
    return told[-1] if told else None


def valid(log: Iterable[tuple[int, Tick]]) -> Iterator[tuple[int, Tick]]:
    """The ticks of one partition that count, with their offsets in the ticks topic; the epochs left out.

    >>> ticks = [Tick(0, 1), Tick(0, 1, 5, 900), Tick(0, 2), Tick(0, 1, 7, 1800), Tick(0, 2, 7, 2700)]
    >>> [(offset, tick.up_to) for offset, tick in valid(enumerate(ticks))]
    [(1, 900), (4, 2700)]
    """
    epoch = 0
    for offset, tick in log:
        if tick.epoch >= epoch:
            epoch = tick.epoch
            if tick.moves:
                yield offset, tick


def agree(log: Sequence[tuple[int, Tick]], applied: int, next_offset: int) -> bool:
    """Whether a state that holds the records before `next_offset` and the ticks up to `applied` is one of this log of
    valid ticks: it has obeyed none that doesn't count, and its newest record stands behind none that it hasn't obeyed.

    >>> ticks = [(3, Tick(0, 1, 5, 900)), (7, Tick(0, 2, 9, 2700))]
    >>> agree(ticks, 3, 10), agree(ticks, 3, 11), agree(ticks, 7, 11), agree(ticks, 4, 8)
    (True, False, True, False)
    """
    obeyed = not log or applied < log[0][0] or any(offset == applied for offset, _ in log)  # older ones may be gone
    to_come = (tick for offset, tick in log if offset > applied)
    return obeyed and all(tick.after_offset >= next_offset - 1 for tick in to_come if not tick.begins)


def unanswered(log: Sequence[tuple[int, Tick]]) -> list[tuple[int, Tick]]:
    """The requests that no owner has obeyed.

    >>> ticks = [Tick(0, 1), Tick(0, 0, erase=7), Tick(0, 1, 5, erase=7, asked=1), Tick(0, 0, erase=8)]
    >>> [offset for offset, _ in unanswered(list(enumerate(ticks)))]
    [3]
    """
    answered = {tick.asked for _, tick in valid(log)}
    return [(at, tick) for at, tick in log if tick.erase is not None and tick.asked is None and at not in answered]
