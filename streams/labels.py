"""Labels as they lie on the disk: the true episodes of a file, and which signals may speak for which kind of them."""

import csv
from collections.abc import Collection, Sequence
from pathlib import Path

import yaml
from msgspec import convert

import config
from streams.errors import RipcurrentError
from streams.records import MILLIS_MAX
from streams.scorecard import COVERED, Label

KINDS = Path(config.__file__).parent / "kinds.yaml"


class LabelsError(RipcurrentError):
    """The labels are of other events than those that were read: where, and whose."""


def read_labels(path: Path) -> list[Label]:
    """Labels from a CSV file with the columns creator_id, market, kind, start_ms, end_ms."""
    return [label for _, label in read_lines(path)]


def read_lines(path: Path) -> list[tuple[int, Label]]:
    """Likewise, each with the number of its line."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = set(Label.__struct_fields__) - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f"{path}: expected the columns {', '.join(Label.__struct_fields__)}; no {sorted(missing)}")
        return [(reader.line_num, _label(row, f"{path}: line {reader.line_num}")) for row in reader]


def _label(row: dict[str, str], where: str) -> Label:
    try:
        label = Label(row["creator_id"], row["market"], row["kind"], int(row["start_ms"]), int(row["end_ms"]))
    except (TypeError, ValueError):  # a short row has None for a number
        times = f"{row['start_ms']!r} and {row['end_ms']!r}"
        raise ValueError(f"{where}: start_ms and end_ms are {times}; expected whole numbers, ms since 1970") from None
    if not 0 <= label.start_ms <= label.end_ms <= MILLIS_MAX:  # else no table could hold it
        raise ValueError(f"{where}: expected start_ms and end_ms in this order, from 0 to {MILLIS_MAX} (the year 2100)")
    return label


def strangers(path: Path, lines: Sequence[tuple[int, Label]], known: Collection[str], events: str) -> str | None:
    """What is to be said of labels whose creators have no record in the events of this name. LabelsError if all are."""
    mine = [(number, label) for number, label in lines if label.creator_id or label.kind != COVERED]
    absent = [(number, label.creator_id) for number, label in mine if label.creator_id not in known]
    if not absent:
        return None
    number, creator = absent[0]
    where = f"{path}: line {number}: {creator!r} is not in {events}"
    if len(absent) == len(mine):
        raise LabelsError(f"{where}, nor is any other of its creators; are the labels of the same events?")
    return f"{where}; {len(absent):,} of {len(mine):,} labels are of creators that are not: they count as missed"


def read_kinds(path: Path = KINDS) -> dict[str, list[str]]:
    """The signals that may speak for each kind of episode; first the one that it is made for.

    >>> read_kinds()["complaint_surge"]
    ['complaint_rate', 'order_defect_rate']
    """
    return convert(yaml.safe_load(path.read_text(encoding="utf-8")), dict[str, list[str]])
