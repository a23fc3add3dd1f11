"""Ticks: recorded moments at which the wall clock moved event time, so that a restart and a replay follow it.

One record of `ripcurrent-ticks` is one Tick. A new owner of a partition first writes its epoch (a tick without
`up_to`) and reads up to it; ticks of a lower epoch behind it are void: their writer had lost the partition.
"""

from collections.abc import Iterable, Iterator

import msgspec


class Tick(msgspec.Struct, frozen=True, omit_defaults=True):
    """Behind the record at `after_offset`, event time is at least `up_to`, or another configuration decides; with
    neither, an epoch begins.
    """

    partition: int
    epoch: int
    after_offset: int = -1
    up_to: int | None = None  # ms
    replaces: str | None = None  # the configuration version that `catalogue` takes the place of, and of no other;
    # without it, the configuration that the partition's first owner began under
    catalogue: str | None = None  # packed


encode_tick = msgspec.json.Encoder().encode
decode_tick = msgspec.json.Decoder(Tick).decode


def first_catalogue(log: Iterable[tuple[int, Tick]]) -> str | None:
    """The packed configuration under which a partition began: for an owner that finds no checkpoint."""
    return next((tick.catalogue for _, tick in log if tick.catalogue is not None and tick.replaces is None), None)


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
            if tick.up_to is not None or tick.catalogue is not None:
                yield offset, tick
