"""The last values of each entity, in a ring: what detectors that compare with raw history keep."""

import numpy as np

from detectors.base import Bools, Floats, Ints


def push(ring: Floats, learned: Ints, value: Floats, mask: Bools) -> Floats:
    """A copy of the ring (n, size) with one value more where mask; `learned` counts what each row ever took.

    >>> import numpy as np
    >>> push(np.array([[1.0, 2.0]]), np.array([2]), np.array([3.0]), np.array([True]))
    array([[3., 2.]])
    """
    taken, rows = ring.copy(), np.flatnonzero(mask)
    taken[rows, learned[rows] % ring.shape[1]] = value[rows]
    return taken


def push_zeros(ring: Floats, learned: Ints, times: Ints) -> Floats:
    """A copy of the ring with `times` zeros more in each row."""
    size = ring.shape[1]
    age = (np.arange(size) - learned[:, None]) % size
    return np.where(age < times[:, None], 0.0, ring)


def in_order(ring: Floats, learned: Ints) -> Floats:
    """Each row's values in rising order; places that were never filled come last, as infinity."""
    filled = np.arange(ring.shape[1]) < learned[:, None]
    return np.sort(np.where(filled, ring, np.inf), axis=1)


def median(ordered: Floats, learned: Ints) -> Floats:
    """The median of each row of `in_order`; 0 for rows that took nothing."""
    filled = np.clip(learned, 1, ordered.shape[1])[:, None]
    low, high = (np.take_along_axis(ordered, i, axis=1)[:, 0] for i in ((filled - 1) // 2, filled // 2))
    return np.where(learned > 0, 0.5 * low + 0.5 * high, 0.0)
