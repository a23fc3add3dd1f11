"""Tell every story and say what came of it; with --write, write that down in tests/golden/."""

import shutil
import sys

from tests.stories import GOLDEN, STORIES, told


def main(args: list[str]) -> int:
    """Names of signals tell only theirs."""
    write, bad, named = "--write" in args, 0, [arg for arg in args if not arg.startswith("-")]
    stories = [story for story in STORIES if not named or story.signal in named]
    if write and not named:
        shutil.rmtree(GOLDEN, ignore_errors=True)
    for story in stories:
        alerts = told(story)
        faults = story.wrong(alerts)
        bad += bool(faults)
        print(f"{'WRONG' if faults else 'right'}  {story.signal} in {story.market}: {story.name} ({story.world})")
        for alert in alerts:
            said = f"{alert.status} {alert.severity}, score {alert.score:.1f}: {alert.reason}"
            print(f"       {alert.entity.id} {story.hours(alert.window_end):+.2f} h {said}")
        for fault in faults:
            print(f"       {fault}")
        if write:
            story.path.parent.mkdir(parents=True, exist_ok=True)
            story.path.write_bytes(story.lines(alerts))
    print(f"{len(stories)} stories, {bad} wrong" + (f"; written to tests/{GOLDEN.name}/" if write else ""))
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
