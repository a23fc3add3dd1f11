"""What was measured around an alert, window after window: what a trace says. Pure."""

import msgspec


class Point(msgspec.Struct, frozen=True):
    """One window, in the alert's unit."""

    end: int  # ms, of the window
    observed: float
    expected: float
    low: float | None  # of the range that is usual
    high: float | None
    score: float
    severity: str | None  # what this reading alone would call for


class Trace(msgspec.Struct, frozen=True):
    """The windows of one alert's test, from before it opened to its end."""

    alert_id: str
    unit: str
    window: str  # length, ISO 8601 duration
    hop_ms: int
    points: list[Point]  # by end
