"""Labels as they lie on the disk: the true episodes of a file, and which signals may speak for which kind of them."""

import csv
from pathlib import Path

import yaml
from msgspec import convert

import config
from streams.records import MILLIS_MAX
from streams.scorecard import Label

KINDS = Path(config.__file__).parent / "kinds.yaml"


def read_labels(path: Path) -> list[Label]:
    """Labels from a CSV file with the columns creator_id, market, kind, start_ms, end_ms."""
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = set(Label.__struct_fields__) - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f"{path}: expected the columns {', '.join(Label.__struct_fields__)}; no {sorted(missing)}")
        return [_label(row, f"{path}: line {reader.line_num}") for row in reader]


def _label(row: dict[str, str], where: str) -> Label:
    label = Label(row["creator_id"], row["market"], row["kind"], int(row["start_ms"]), int(row["end_ms"]))
    if not 0 <= label.start_ms <= label.end_ms <= MILLIS_MAX:  # else no table could hold it
        raise ValueError(f"{where}: expected start_ms and end_ms in this order, from 0 to {MILLIS_MAX} (the year 2100)")
    return label


def read_kinds(path: Path = KINDS) -> dict[str, list[str]]:
    """The signals that may speak for each kind of episode; first the one that it is made for.

    >>> read_kinds()["complaint_surge"]
    ['complaint_rate', 'order_defect_rate']
    """
    return convert(yaml.safe_load(path.read_text(encoding="utf-8")), dict[str, list[str]])
