"""What was measured about an alert, pane by pane. Pure."""

from msgspec import Struct


class Point(Struct, frozen=True):
    """One reading, in the alert's unit."""

    end: int  # of its pane, ms
    observed: float
    expected: float
    low: float | None  # the range that is usual
    high: float | None
    score: float
    severity: str | None  # that this reading alone called for


class Trace(Struct, frozen=True):
    """The readings about one alert, in the order of time."""

    alert_id: str
    unit: str
    window: str  # ISO 8601 duration
    hop_ms: int
    points: list[Point]
