"""What `--labels` names: true episodes in a file, or reviewers' decisions among the events; and what is said of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from streams.cases import Cases, case_rows
from streams.command_line import Refused, output, say
from streams.dead_letters import escaped
from streams.labels import read_kinds, read_lines, strangers
from streams.scorecard import Label, is_episode, score
from streams.tables import cases_lines, scorecard_lines, scorecard_table
from streams.unfinished import read_cases

CASES = Path("cases")  # a file of that name is ./cases


def truth_of(named: Path | None) -> Unlabelled | Labelled | Decided:
    if named is None:
        return Unlabelled()
    return Decided(Cases()) if named == CASES else Labelled(named, _lines(named))


def labels_of(path: Path) -> list[Label]:
    return [label for _, label in _lines(path)]


def _lines(path: Path) -> list[tuple[int, Label]]:
    try:
        return read_lines(path)
    except FileNotFoundError:
        raise Refused(f"{path}: there is no such file; is the path right?") from None
    except ValueError as error:
        text = str(error)
        raise Refused(text if text.startswith(str(path)) else f"{path}: is no file of labels: {text}") from None


class Unlabelled(NamedTuple):
    """Nothing is known: nothing is called true or false."""

    found: None = None

    def check(self, result: Any, run: Any) -> None:
        pass

    def tell(self, result: Any) -> None:
        pass


class Labelled(NamedTuple):
    """The labels of a file, by their lines."""

    path: Path
    lines: list[tuple[int, Label]]

    @property
    def found(self) -> list[Label]:
        return [label for _, label in self.lines]

    def check(self, result: Any, run: Any) -> None:
        """That they are about these events."""
        if (told := strangers(self.path, self.lines, result.volumes, run.source.name)) is not None:
            say(f"warning: {told}")

    def tell(self, result: Any) -> None:
        kinds = read_kinds()
        if unknown := sorted({label.kind for label in filter(is_episode, self.found)} - kinds.keys()):
            them = escaped(", ".join(unknown))
            say(f"warning: no signal speaks for {them} (config/kinds.yaml): those episodes can't be caught")
        warm = result.warm
        card = score(warm.alerts, self.found, kinds, max(result.warm_at, 0))
        output().print(scorecard_table(card, "Labelled episodes"))
        for line in scorecard_lines(card, warm.creators, warm.days):
            output().print(line, highlight=False, markup=False)


class Decided(NamedTuple):
    """The decisions of reviewers, which are known once all events were read."""

    found: Cases

    def check(self, _: Any, run: Any) -> None:
        """That there are any."""
        events = run.source.name
        for folder in run.folders:
            read_cases(folder, self.found)
        if not self.found.by_alert:
            say(f"warning: {events}: holds no case.decided with an alert_id and a verdict: no alert is true or false")
        if (n := self.found.left_out) > 0:
            say(f"warning: {n:,} case.decided events could not be used: no alert_id, or no verdict that is known")

    def tell(self, result: Any) -> None:
        alerts = result.warm.alerts
        rows = case_rows(self.found, alerts)
        for line in cases_lines(rows, len({alert.alert_id for alert in alerts})):
            output().print(line, highlight=False)
