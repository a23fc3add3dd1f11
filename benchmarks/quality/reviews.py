"""How many planted episodes are found among real reviews, at one false alarm in 1,000 vendor-days?

    python benchmarks/quality/reviews.py FOLDER [--seeds 11-15]

FOLDER has anonreviews.csv.bz2 (elastic/examples, Apache-2.0): 578,805 reviews of vendors, nearly all of 22 months.
What is planted is described in reviews_plant.py. The reviews go through the engine as `review.posted` events, with
the signals of reviews_config/ and the shipped one about low stars; review_burst, shipped too, judges reviews by
orders, of which there are none here. The same detectors also run over arrays of vendors and days (reviews_days.py),
with the concentration detector, for which the engine has no test yet. The row `detectors` has the engine's surges
beside the shares, counts and busiest reviewers by day; the row `engine` is the engine alone.

Thresholds were chosen on an earlier part of the background (from June 2006 to January 2007, seeds 1 to 3; `--tune`
does it again); reported are the following half year (February to July 2007) and other seeds. There all thresholds
of a row are scaled by one factor, so that its false alarms come to the budget: of the null run and outside the
episodes of the others, each signal's by itself. The z-scores (reviews_peers.py) had the same choice and scaling.
`recall_z` is of
the z-score that also counts repeated reviewers, as the detectors do; `recall_z_four` of one that does not.
The last line is JSON. It takes about six minutes of one core.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import reviews_days
import reviews_engine
from reviews_alarms import LATE, VOID, Judged, Run, Scores, Thresholds, best, fitted, judge, rate
from reviews_peers import Days, z_scores
from reviews_plant import DAY, HOUR, KINDS, STRENGTHS, Planted, Reviews, plant, read

from streams.records import Alert

BUDGET = 1.0  # false alarms in 1,000 vendor-days
CHOSEN = Path(__file__).parent / "reviews_config" / "thresholds.json"  # by row, by test
NO_DATA = 2  # exit code


class Part(NamedTuple):
    """A stretch of the background: the engine learns from `begin`, alarms count from `start`."""

    begin: str
    start: str
    end: str


EARLIER = Part("2006-04-10", "2006-06-15", "2007-02-01")
LATER = Part("2006-12-15", "2007-02-01", "2007-08-01")
ROWS = {
    "detectors": "surges by the engine, stars and rings by days",
    "engine": "the engine alone, all signals",
    "days": "the detectors over days alone, without surges",
    "z": "z-score by vendor and day",
    "z_four": "the same without repeated reviewers",
    "z_windows": "z-score over 1, 3, 7 and 30 days",
}


def millis(day: str) -> int:
    return int(np.datetime64(day, "ms").astype(np.int64))


def one(real: Reviews, part: Part, seed: int | None) -> tuple[dict[str, Run], list[Alert]]:
    """Score one background with what a seed plants in it; by row, and the engine's own alerts."""
    begin, start, end = (millis(day) for day in part)
    reviews, episodes = real.between(begin - 60 * DAY, end), []
    if seed is not None:
        reviews, episodes = plant(reviews, seed, start, end - 60 * DAY)
    reviews = reviews.between(begin, end)
    vendors = int(real.vendor.max()) + 1
    days = Days(reviews, vendors)
    vendor_days = int(days.alive()[start // DAY - days.first :].sum())
    engine, alerts = reviews_engine.run(reviews, reviews_engine.catalogue())
    day, windows = z_scores(days, (1,)), z_scores(days, (1, 3, 7, 30))
    own = {name: scores for name, scores in engine.items() if name.split(".")[0] not in reviews_engine.SHIPPED}
    by_day = reviews_days.scores(reviews, vendors)
    tests = {
        "detectors": {name: each for name, each in own.items() if name.startswith("review_surge")} | by_day,
        "engine": own,
        "days": by_day,
        "z": day,
        "z_four": {name: scores for name, scores in day.items() if "repeats" not in name},
        "z_windows": windows,
        "shipped": {name: scores for name, scores in engine.items() if name not in own},
    }
    runs = {row: Run(episodes, vendor_days, {n: _since(start, s) for n, s in each.items()})
            for row, each in tests.items()}  # fmt: skip
    return runs, [alert for alert in alerts if alert.revision == 1 and alert.window_end > start]


def _since(start: int, scores: Scores) -> Scores:
    return Scores(*(a[scores.time > start] for a in scores))


def tune(real: Reviews, seeds: Sequence[int]) -> None:
    """Choose the thresholds of every row on the earlier part."""
    runs = [one(real, EARLIER, seed)[0] for seed in (None, *seeds)]
    chosen = {}
    for row in ROWS:
        mine = [run[row] for run in runs]
        thresholds = best(mine, list(mine[0].tests), BUDGET)
        found = judge(mine, thresholds)
        chosen[row] = {name: None if t == np.inf else round(t, 3) for name, t in thresholds.items()}
        print(f"{row:<12}{(found.delay >= 0).mean():>8.1%}{rate(mine, found.false):>8.2f}  {chosen[row]}")
    CHOSEN.write_text(json.dumps(chosen, indent=1) + "\n")


def thresholds_of(row: str) -> Thresholds:
    return {name: t for name, t in json.loads(CHOSEN.read_text())[row].items() if t is not None}


# ---- what is printed ------------------------------------------------------------------------------------------


def said(label: str, found: Judged, runs: Sequence[Run], factor: float | None = None) -> dict[str, object]:
    """A row of the table: recall, false alarms, recall by kind, median delay; and the same as figures."""
    episodes = [e for run in runs for e in run.episodes]
    caught = found.delay >= 0
    by_kind = {kind: float(np.mean([c for c, e in zip(caught, episodes, strict=True) if e.kind == kind]))
               for kind in KINDS}  # fmt: skip
    delay = float(np.median(found.delay[caught])) / HOUR if caught.any() else float("nan")
    shown = "".join(f"{by_kind[kind]:>14.0%}" for kind in KINDS)
    scaled = "" if factor is None else f"{factor:>8.2f}"
    print(f"{label:<52}{caught.mean():>7.1%}{rate(runs, found.false):>8.2f}{shown}{delay:>9.0f}{scaled}")
    return {"recall": round(float(caught.mean()), 4), "false": round(rate(runs, found.false), 3),
            "kinds": {kind: round(x, 4) for kind, x in by_kind.items()},
            "median_delay_hours": None if np.isnan(delay) else round(delay, 1)}  # fmt: skip


def by_size(found: dict[str, Judged], runs: Sequence[Run]) -> dict[str, dict[str, list[float]]]:
    """Recall by kind and strength; delays."""
    episodes = [e for run in runs for e in run.episodes]
    out: dict[str, dict[str, list[float]]] = {}
    print(f"\n{'caught, by size; median hours':<30}" + "".join(f"{row:>34}" for row in found))
    for kind in KINDS:
        for strength, name in enumerate(STRENGTHS):
            mine = np.array([e.kind == kind and e.strength == strength for e in episodes])
            cells = ""
            for row, judged in found.items():
                delay = judged.delay[mine]
                caught = delay >= 0
                hours = f"{np.median(delay[caught]) / HOUR:.0f} h" if caught.any() else "-"
                cells += f"{f'{caught.sum()}/{mine.sum()}  {caught.mean():.0%}  {hours}':>34}"
                out.setdefault(row, {}).setdefault(kind, []).append(round(float(caught.mean()), 4))
            print(f"  {kind:<18}{name:<10}{cells}")
    return out


def own_alerts(runs: Sequence[Run], alerts: Sequence[Sequence[Alert]]) -> Judged:
    """The alerts that the engine itself raised, with its own resolving and cooldown, judged alike."""
    false, delays = 0, []
    for run, each in zip(runs, alerts, strict=True):
        mine = [(int(a.entity.id[2:]), a.window_end) for a in each if a.signal not in reviews_engine.SHIPPED]
        false += sum(not any(_of(e, v, t, LATE + VOID) for e in run.episodes) for v, t in mine)
        for e in run.episodes:
            right = [t - e.start for v, t in mine if _of(e, v, t, LATE)]
            delays.append(min(right, default=-1))
    return Judged(false, np.array(delays, dtype=np.int64))


def _of(episode: Planted, vendor: int, time: int, late: int) -> bool:
    return vendor == episode.vendor and episode.start <= time <= episode.end + late


def report(real: Reviews, seeds: Sequence[int]) -> None:
    scored = [one(real, LATER, seed) for seed in (None, *seeds)]
    runs = {row: [run[row] for run, _ in scored] for row in (*ROWS, "shipped")}
    mine = runs["detectors"]
    print(f"{sum(len(r.episodes) for r in mine)} episodes of seeds {list(seeds)}; {mine[0].vendor_days:,} vendor-days "
          f"a run, {len(mine)} runs, one of them null; {LATER.start} to {LATER.end}\n")  # fmt: skip
    print(f"{'at 1 false alarm in 1,000 vendor-days':<52}{'recall':>7}{'false':>8}" + "".join(f"{k:>14}" for k in KINDS)
          + f"{'hours':>9}{'scaled':>8}")  # fmt: skip
    found, figures = {}, {}
    for row, label in ROWS.items():
        thresholds, factor = fitted(runs[row], thresholds_of(row), BUDGET)
        found[row] = judge(runs[row], thresholds)
        figures[row] = said(label, found[row], runs[row], factor)
    print("\nwith the thresholds as chosen before")
    for row, label in ROWS.items():
        figures[f"{row}_as_chosen"] = said(label, judge(runs[row], thresholds_of(row)), runs[row])
    figures["own_alerts"] = said("the engine's own alerts", own_alerts(mine, [alerts for _, alerts in scored]), mine)
    shipped = judge(runs["shipped"], dict.fromkeys(runs["shipped"][0].tests, 3.0))  # its severity.warning
    figures["shipped"] = said("negative_review_rate as it is shipped", shipped, runs["shipped"])
    figures["z_over_3"] = said("z > 3", judge(runs["z"], dict.fromkeys(runs["z"][0].tests, 3.0)), runs["z"])
    by_chance = [Run(run.episodes, run.vendor_days, mine[0].tests) for run in mine]
    chosen = fitted(mine, thresholds_of("detectors"), BUDGET)[0]
    figures["by_chance"] = said("by chance: alarms of the null run", judge(by_chance, chosen), mine)
    print("\nevery test by itself, with the whole budget")
    single = {row: {n: said(n, judge(runs[row], fitted(runs[row], {n: 3.0}, BUDGET)[0]), runs[row])["recall"]
                    for n in runs[row][0].tests} for row in ("detectors", "shipped", "z")}  # fmt: skip
    sizes = by_size({row: found[row] for row in ("detectors", "z", "z_windows")}, mine)
    ours, peer = figures["detectors"], figures["z"]
    print("\n" + json.dumps({
        "recall": ours["recall"], "recall_z": peer["recall"],
        "difference": round(100 * (ours["recall"] - peer["recall"]), 2),  # type: ignore[operator]
        "false_per_1000_vendor_days": ours["false"],
        "recall_by_kind": ours["kinds"],
        "recall_engine": figures["engine"]["recall"], "recall_z_four": figures["z_four"]["recall"],
        "recall_z_windows": figures["z_windows"]["recall"], "recall_z_by_kind": peer["kinds"],
        "recall_by_kind_and_size": sizes, "rows": figures, "single": single, "seeds": list(seeds),
    }))  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", default="11-15", help="first-last, of what is planted")
    parser.add_argument("--tune", action="store_true", help="choose thresholds on the earlier part instead (seeds 1-3)")
    args = parser.parse_args()
    if not (args.folder / "anonreviews.csv.bz2").is_file():
        print(f"{args.folder}: no anonreviews.csv.bz2 here; expected the folder of the reviews", file=sys.stderr)
        return NO_DATA
    real = read(args.folder)
    if args.tune:
        tune(real, range(1, 4))
        return 0
    first, last = (args.seeds.split("-") * 2)[:2] if "-" not in args.seeds else args.seeds.split("-")
    report(real, range(int(first), int(last) + 1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
