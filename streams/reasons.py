"""The sentence of an alert, from its template's code and arguments, so that it can be said in other languages."""

from collections.abc import Mapping

import numpy as np

Args = Mapping[str, str | int | float]

UNITS = ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1_000, "second"))


def duration_words(ms: int, one: str = "") -> str:
    """A window's length as a person says it; `one` stands before a single hour or day.

    >>> duration_words(86_400_000), duration_words(3_600_000), duration_words(3_600_000, "an ")
    ('24 hours', 'hour', 'an hour')
    """
    if ms == 86_400_000:
        return "24 hours"
    size, name = next((size, name) for size, name in UNITS if ms % size == 0)
    count = ms // size
    return f"{one}{name}" if count == 1 else f"{count} {name}s"


def iso_duration(ms: int) -> str:
    """A window's length as ISO 8601 has it.

    >>> iso_duration(86_400_000), iso_duration(900_000), iso_duration(7 * 86_400_000)
    ('PT24H', 'PT15M', 'P7D')
    """
    if ms % 86_400_000 == 0 and ms > 86_400_000:
        return f"P{ms // 86_400_000}D"
    for size, letter in ((3_600_000, "H"), (60_000, "M")):
        if ms % size == 0:
            return f"PT{ms // size}{letter}"
    return f"PT{ms // 1000}S"


def percent(share: float) -> str:
    """A share for reading: two figures, no more.

    >>> percent(0.377), percent(0.0612), percent(0.0021), percent(0.9951), percent(0.9999)
    ('38 %', '6.1 %', '0.21 %', '99.5 %', '99.9 %')
    """
    value = 100.0 * share
    if 99 <= value < 100:
        return f"{min(value, 99.9):.1f} %"  # nearly all is not all
    digits = 0 if value >= 9.95 else 1 if value >= 0.995 else 2
    text = f"{value:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"


def number(value: float) -> str:
    """A count for reading: whole from 10 on, with a comma at thousands.

    >>> number(1234.0), number(3.72), number(0.04)
    ('1,234', '3.7', '0.04')
    """
    if value >= 9.95 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 0.95 else f"{value:.2g}"


def money(value: float, currency: str, digits: int) -> str:
    """An amount for reading.

    >>> money(12345.6, "THB", 2), money(9.5, "USD", 2), money(1250000.0, "VND", 0)
    ('THB 12,346', 'USD 9.50', 'VND 1,250,000')
    """
    return f"{currency} {value:,.{0 if value >= 1_000 else digits}f}"


def counted(n: float, one: str, many: str) -> str:
    return f"{number(n)} {one if n == 1 else many}"


def reason(code: str, args: Args) -> str:
    """The sentence in English.

    >>> args = {"count": 23, "many": "refunds", "of": 61, "of_one": "order", "of_many": "orders", "own": 0.06}
    >>> print(reason("outcome_high", args | {"window_ms": 86_400_000, "peers": 0.05, "category": "beauty",
    ...     "market": "TH"}).replace("; ", ";\\n"))
    Refunds on 23 of the 61 orders that were due for one (38 %) in the last 24 hours;
    this creator's usual rate is 6 %, beauty creators in TH 5 %.
    """
    return _SENTENCES[code](args)


def _peers(a: Args) -> str:
    return f"{a['category']} creators in {a['market']}" if a.get("category") else f"creators in {a['market']}"


def _window(a: Args) -> str:
    return f"in the last {duration_words(int(a['window_ms']))}"


def _much(a: Args, name: str) -> str:
    """A count, or an amount of money, of what the sentence is about."""
    value = float(a[name])
    if "currency" in a:
        return f"{money(value, str(a['currency']), int(a['digits']))} of {a['many']}"
    return counted(value, str(a["one"]), str(a["many"]))


def _outcome(a: Args) -> str:
    count, of = float(a["count"]), float(a["of"])
    many, usual = str(a["many"]), f"this creator's usual rate is {percent(float(a['own']))}, {_peers(a)} "
    if "currency" in a:
        against = money(of, str(a["currency"]), int(a["digits"]))
        said = f"{_much(a, 'count')} against {against} of {a['of_many']}"
    else:
        behind = counted(of, str(a["of_one"]), str(a["of_many"]))
        said = f"{many[0].upper()}{many[1:]} on {number(count)} of the {behind} that {_was(of)} due for one"
    return f"{said} ({percent(count / of)}) {_window(a)}; {usual}{percent(float(a['peers']))}."


def _outcome_beyond(a: Args) -> str:
    """More outcomes than orders were due for one: a share would mislead."""
    about = number(float(a["expected"]))
    if "currency" in a:
        about = money(float(a["expected"]), str(a["currency"]), int(a["digits"]))
    return (
        f"{_much(a, 'count')} {_window(a)}, where the {a['of_many']} so far would usually bring about {about}; "
        f"this creator's usual rate is {percent(float(a['own']))}, {_peers(a)} {percent(float(a['peers']))}."
    )


def _share(a: Args) -> str:
    count, of = float(a["count"]), float(a["of"])
    what = _article(str(a["one"])) if count == 1 else str(a["many"])
    return (
        f"{number(count)} of {counted(of, str(a['of_one']), str(a['of_many']))} ({percent(count / of)}) {_window(a)} "
        f"{_was(count)} {what}; this creator's usual share is "
        f"{percent(float(a['own']))}, {_peers(a)} {percent(float(a['peers']))}."
    )


def _volume(a: Args) -> str:
    about = number(float(a["expected"]))
    if "currency" in a:
        about = money(float(a["expected"]), str(a["currency"]), int(a["digits"]))
    return (
        f"{_much(a, 'count')} {_window(a)}, where about {about} would be usual for this creator at this hour and "
        f"with what its market sees now."
    )


def _series(a: Args) -> str:
    about = number(float(a["expected"]))
    if "currency" in a:
        about = money(float(a["expected"]), str(a["currency"]), int(a["digits"]))
    off = "has been off its" if "currency" in a else "have been off their"
    since = f"; {a['many']} {off} usual level since {_day(int(a['since']))}" if "since" in a else ""
    return f"{_much(a, 'count')} {_window(a)}, where about {about} would be usual for this creator{since}."


def _day(ms: int) -> str:
    """A date and hour in UTC.

    >>> _day(1_767_571_200_000)
    '2026-01-05 00:00 UTC'
    """
    return f"{np.datetime64(ms, 'ms').astype('datetime64[m]')} UTC".replace("T", " ", 1)


def _volume_low(a: Args) -> str:
    return _only(_volume(a))


def _only(sentence: str) -> str:
    """Few or none, at the beginning of a sentence.

    >>> _only("0 orders"), _only("2 orders")
    ('No orders', 'Only 2 orders')
    """
    return f"No {sentence[2:]}" if sentence.startswith("0 ") else f"Only {sentence}"


def _was(n: float) -> str:
    return "was" if n == 1 else "were"


def _article(noun: str) -> str:
    """
    >>> _article("order"), _article("late shipment")
    ('an order', 'a late shipment')
    """
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _newcomer(a: Args) -> str:
    return (
        f"{_much(a, 'count')} {_window(a)} by a creator who registered at most {duration_words(int(a['newcomer_ms']))} "
        f"ago; about {number(float(a['expected']))} would be usual for newcomers among {_peers(a)}."
    )


def _ratio(a: Args) -> str:
    count, of = float(a["count"]), float(a["of"])
    each = f": {number(count / of)} for each {a['of_one']}" if count else ""
    return (
        f"{_much(a, 'count')} from {counted(of, str(a['of_one']), str(a['of_many']))} {_window(a)}{each}; "
        f"usual are {number(float(a['own']))} for this creator and {number(float(a['peers']))} for {_peers(a)}."
    )


def _ratio_low(a: Args) -> str:
    return _only(_ratio(a))


def _repeat(a: Args) -> str:
    kind = f" of the same kind ({a['value']})" if a.get("value") else " of the same kind"
    count = counted(float(a["count"]), str(a["one"]), str(a["many"]))
    return f"{count}{kind} {_window(a)}; the policy's limit is {a['limit']}."


def _counted(a: Args) -> str:
    count = counted(float(a["count"]), str(a["one"]), str(a["many"]))
    return f"{count} {_window(a)}; the policy's limit is {a['limit']}."


def _added_up(a: Args) -> str:
    count = counted(float(a["count"]), str(a["one"]), str(a["many"]))
    total, weight = float(a["total"]), str(a["weight"])
    weight = weight.removesuffix("s") if total == 1 else weight
    return f"{number(total)} {weight} from {count} {_window(a)}; the policy's limit is {a['limit']}."


def _sequence(a: Args) -> str:
    steps = str(a["steps"])
    seen = f"{a['count']} of the {a['of']} steps of the pattern “{a['title']}”"
    if a["count"] == a["of"]:
        seen = f"all {a['of']} steps of the pattern “{a['title']}”"
    return f"{steps[0].upper()}{steps[1:]} {_window(a)}: {seen}."


def _over_normal(a: Args) -> str:
    calm = duration_words(int(a["calm_ms"]), "an " if int(a["calm_ms"]) == UNITS[1][0] else "a ")
    return f"{a['title']}: over. What was measured has been back to usual for {calm}."


def _over_silent(a: Args) -> str:
    calm = duration_words(int(a["calm_ms"]), "an " if int(a["calm_ms"]) == UNITS[1][0] else "a ")
    what = f"No {a['many']}" if a.get("many") else "Nothing of it"
    return f"{a['title']}: over. {what} for {calm}."


def _over_overturned(a: Args) -> str:
    return f"{a['title']}: withdrawn. Events that it rested on were overturned, and what is left calls for no alert."


def _over_late_data(a: Args) -> str:
    return f"{a['title']}: withdrawn. Events that came late belong to its window, and with them it calls for no alert."


def _over_config(a: Args) -> str:
    return f"{a['title']}: over. It is no longer watched as before, since the configuration changed."


def _over_erased(a: Args) -> str:
    return f"{a['title']}: over. The creator was erased on request, and nothing is known of it any more."


_SENTENCES = {
    "over_erased": _over_erased,
    "over_config": _over_config,
    "over_overturned": _over_overturned,
    "over_late_data": _over_late_data,
    "volume_low": _volume_low,
    "newcomer_high": _newcomer,
    "ratio_high": _ratio,
    "ratio_low": _ratio_low,
    "counted": _counted,
    "added_up": _added_up,
    "over_normal_again": _over_normal,
    "over_silent": _over_silent,
    "outcome_high": _outcome,
    "outcome_beyond": _outcome_beyond,
    "share_high": _share,
    "volume_high": _volume,
    "series": _series,
    "repeated": _repeat,
    "pattern_seen": _sequence,
}
