"""How well are changes found in the annotated series of the Turing Change Point Dataset, online and with one setting?

    python benchmarks/quality/tcpd.py FOLDER [--out FOLDER]

FOLDER holds datasets/*/*.json and annotations.json. Of it all univariate series without missing values count. F1 with
a margin of 5 and the covering are those of van den Burg and Williams (arXiv 2003.06222): several annotators, and index
0 is a change point of everyone. Rows that see the whole series, or are scaled with it, say so: they know what a stream
does not. "ours" sees a point at a time, with one default for all series: a change is decided once, with the date it
then has, and nothing after that moves it. `--out` writes every point's score and the decided changes.
"""

import argparse
import csv
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from tcpd_offline import binary_segmentation, page_hinkley, pelt, plain_z, restart_glr, standardised
from tcpd_online import Floats, bocpd, broken_trend, gaussian_focus
from tcpd_scores import covering, f_measure

Annotations = dict[str, list[int]]


def penalty(series: Floats) -> float:
    return 3.0 * float(np.log(len(series)))


ROWS: dict[str, tuple[str, Callable[[Floats], list[int]]]] = {
    "ours": ("BrokenTrend, online", lambda s: broken_trend(s).changes),
    "gaussian_focus": ("GaussianFocus, online", lambda s: gaussian_focus(s).changes),
    "no_change": ("no change", lambda s: []),
    "pelt": ("PELT l2, sees the whole series", lambda s: pelt(standardised(s), penalty(s))),
    "binseg": ("BinSeg l2, sees the whole series", lambda s: binary_segmentation(standardised(s), penalty(s))),
    "restart_glr": ("restart GLR, whole series' scale", lambda s: restart_glr(standardised(s), penalty(s))[0]),
    "bocpd": ("BOCPD read-out, whole series' scale", lambda s: bocpd(standardised(s)).changes),
    "z": ("z of all so far, online", lambda s: plain_z(s)[0]),
    "page_hinkley": ("Page-Hinkley, online", lambda s: page_hinkley(s)[0]),
}


def load(folder: Path) -> dict[str, tuple[Floats, Annotations]]:
    """The annotated univariate series without missing values, by name."""
    annotations, found = json.loads((folder / "annotations.json").read_text()), {}
    for path in sorted(folder.glob("datasets/*/*.json")):
        data = json.loads(path.read_text())
        if data.get("n_dim") != 1 or data.get("name") not in annotations:
            continue
        raw = data["series"][0]["raw"]
        values = np.array([np.nan if v is None else float(v) for v in raw])
        if np.isfinite(values).all():
            found[data["name"]] = (values, annotations[data["name"]])
    return found


def table(title: str, cells: dict[str, dict[str, float]], names: list[str]) -> None:
    print(f"\n{title}")
    print(f"{'':24s}" + "".join(f"{row[:13]:>15s}" for row in ROWS))
    for name in [*names, "mean"]:
        values = [np.mean(list(cells[row].values())) if name == "mean" else cells[row][name] for row in ROWS]
        print(f"{name[:23]:24s}" + "".join(f"{value:15.3f}" for value in values))


def write(folder: Path, name: str, series: Floats) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    found = broken_trend(series)
    decided = dict(zip(found.decided, found.changes, strict=True))
    with (folder / f"{name}.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["index", "value", "score", "dated", "decided"])
        for i, value in enumerate(series):
            rows.writerow([i, float(value), float(found.scores[i]), int(found.dates[i]), decided.get(i, "")])
    (folder / f"{name}.json").write_text(json.dumps({"changes": found.changes, "decided": found.decided}) + "\n")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    if not (options.folder / "annotations.json").is_file():
        print(f"{options.folder} holds no annotations.json: give the folder of the Turing Change Point Dataset")
        return 2
    data = load(options.folder)
    if not data:
        print(f"{options.folder} holds no annotated univariate series")
        return 2
    print(f"Turing Change Point Dataset, {len(data)} series, no seed, {datetime.now(UTC):%Y-%m-%d}")
    f1: dict[str, dict[str, float]] = {row: {} for row in ROWS}
    cover: dict[str, dict[str, float]] = {row: {} for row in ROWS}
    for name, (series, annotations) in data.items():
        for row, (_, method) in ROWS.items():
            changes = method(series)
            f1[row][name] = f_measure(annotations, changes)
            cover[row][name] = covering(annotations, changes, len(series))
            if row == "ours":
                print(f"{name}: n {len(series)}, ours {changes}")
        if options.out:
            write(options.out, name, series)
    table("F1, margin 5", f1, list(data))
    table("covering", cover, list(data))
    print("\n" + "\n".join(f"{row}: {title}" for row, (title, _) in ROWS.items()))
    means = {row: [round(float(np.mean(list(cells[row].values()))), 4) for cells in (f1, cover)] for row in ROWS}
    figures = {"series": len(data), "f1": means["ours"][0], "cover": means["ours"][1]}
    figures |= {f"{row}_{key}": means[row][i] for row in ROWS if row != "ours" for i, key in enumerate(("f1", "cover"))}
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
