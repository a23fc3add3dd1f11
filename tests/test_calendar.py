"""A market's calendar: campaigns and public holidays become milliseconds, by the clocks of the market."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.calendar import (
    FIRST_YEAR,
    LAST_YEAR,
    RANGE_DAYS_MAX,
    countries,
    monthly,
    occasions,
    public_holidays,
    runs,
    standard_offset_ms,
    time_zone,
    time_zones,
)
from config.catalogue import load
from config.schema import Campaign, Market, Occasion

HOUR_MS = 3_600_000
YEARS = range(FIRST_YEAR, LAST_YEAR + 1)


def market(zone: str = "UTC", country: str | None = None, lift: float = 1.0, *calendar: Campaign) -> Market:
    return Market(currency="USD", time_zone=zone, country=country, holiday_lift=lift, calendar=list(calendar))


def named(found: list[Occasion], name: str) -> list[Occasion]:
    return [occasion for occasion in found if occasion.name == name]


def local(ms: int, zone: str) -> str:
    return datetime.fromtimestamp(ms / 1000, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")


# ---- days ----------------------------------------------------------------------------------------------------


def test_a_day_of_every_year_comes_once_in_each_of_the_years() -> None:
    found = occasions(market("Asia/Bangkok", None, 1, Campaign(name="11.11", lift=5, every_year=["11-11"])))
    assert [local(one.start_ms, "Asia/Bangkok") for one in found] == [f"{year}-11-11 00:00" for year in YEARS]
    assert {one.end_ms - one.start_ms for one in found} == {24 * HOUR_MS}
    assert {one.lift for one in found} == {5}


def test_a_day_of_every_month_is_the_last_one_where_the_month_is_shorter() -> None:
    found = occasions(market("UTC", None, 1, Campaign(name="Payday", every_month=[31])))
    assert len(found) == 12 * len(YEARS)
    assert [local(one.start_ms, "UTC")[:10] for one in found[:4]] == [
        "2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"
    ]  # fmt: skip


def test_days_that_follow_each_other_are_one_occasion() -> None:
    found = occasions(market("UTC", None, 1, Campaign(name="Payday", every_month=[31, 1, 30])))
    assert [local(one.start_ms, "UTC")[:10] for one in found[:3]] == ["2024-01-01", "2024-01-30", "2024-02-29"]
    assert [(one.end_ms - one.start_ms) / HOUR_MS for one in found[:3]] == [24, 72, 48]


def test_dates_are_taken_as_given_also_beyond_the_years() -> None:
    found = occasions(market("UTC", None, 1, Campaign(name="Fair", dates=["2040-01-01", "2019-05-01..2019-05-03"])))
    assert [local(one.start_ms, "UTC")[:10] for one in found] == ["2019-05-01", "2040-01-01"]


def test_the_29th_of_february_comes_in_leap_years() -> None:
    found = occasions(market("UTC", None, 1, Campaign(name="Leap day", every_year=["02-29"])))
    assert [local(one.start_ms, "UTC")[:10] for one in found] == ["2024-02-29", "2028-02-29"]


@given(st.lists(st.dates(date(2024, 1, 1), date(2031, 12, 31)), max_size=60))
def test_runs_hold_every_day_once_and_never_touch(days: list[date]) -> None:
    found = runs(days)
    held = [first + timedelta(n) for first, last in found for n in range((last - first).days + 1)]
    assert held == sorted(set(days))
    assert all(later[0] - earlier[1] > timedelta(1) for earlier, later in pairwise(found))


@given(st.integers(2024, 2031), st.integers(1, 12), st.integers(1, 31))
def test_every_month_has_each_of_its_days(year: int, month: int, day: int) -> None:
    found = monthly(year, month, day)
    assert (found.year, found.month) == (year, month)
    assert found.day == day or (found + timedelta(1)).month != month


# ---- clocks --------------------------------------------------------------------------------------------------


def test_a_day_is_as_long_as_the_clocks_of_the_market_have_it() -> None:
    days = ["2026-03-08", "2026-03-09", "2026-11-01"]  # in New York: 23, 24 and 25 hours
    found = occasions(market("America/New_York", None, 1, *(Campaign(name=day, dates=[day]) for day in days)))
    assert [(one.end_ms - one.start_ms) / HOUR_MS for one in found] == [23, 24, 25]


def test_a_day_begins_at_its_first_moment_where_the_clocks_jump_over_midnight() -> None:
    (one,) = occasions(market("Africa/Cairo", None, 1, Campaign(name="Friday", dates=["2026-04-24"])))
    before = datetime.fromtimestamp(one.start_ms / 1000 - 1, ZoneInfo("Africa/Cairo"))
    assert before.date() == date(2026, 4, 23)
    assert local(one.start_ms, "Africa/Cairo") == "2026-04-24 01:00"


def test_the_same_day_begins_at_another_time_in_another_zone() -> None:
    starts = [occasions(market(zone, None, 1, Campaign(name="x", dates=["2026-11-11"])))[0].start_ms
              for zone in ("Asia/Bangkok", "UTC", "America/New_York")]  # fmt: skip
    assert [(start - starts[1]) / HOUR_MS for start in starts] == [-7, 0, 5]
    assert datetime.fromtimestamp(starts[1] / 1000, UTC) == datetime(2026, 11, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "hours"),
    [("Asia/Singapore", 8), ("Asia/Jakarta", 7), ("Europe/London", 0), ("America/New_York", -5),
     ("Australia/Sydney", 10), ("Europe/Dublin", 0), ("Asia/Kolkata", 5.5), ("UTC", 0)],
)  # fmt: skip
def test_the_standard_time_of_a_zone_is_that_without_summer_time(zone: str, hours: float) -> None:
    assert standard_offset_ms(zone) == hours * HOUR_MS


def test_every_time_zone_can_be_read_and_nothing_else() -> None:
    assert len(time_zones()) > 400
    for name in sorted(time_zones())[::20]:
        assert time_zone(name).key == name
    for name in ("", "Asia", "../../etc/passwd", "Asia/Nowhere", "asia/bangkok"):
        with pytest.raises(ValueError, match="no time zone"):
            time_zone(name)


# ---- public holidays -----------------------------------------------------------------------------------------


def test_a_holiday_is_found_by_a_part_of_its_name_and_its_days_are_one_occasion() -> None:
    found = occasions(market("Asia/Bangkok", "TH", 1.1, Campaign(name="Songkran", lift=0.8, holidays=["SONGKRAN"])))
    songkran = [(local(one.start_ms, "Asia/Bangkok"), (one.end_ms - one.start_ms) / HOUR_MS, one.lift)
                for one in named(found, "Songkran")]  # fmt: skip
    assert songkran[:3] == [("2024-04-13 00:00", 96, 0.8), ("2025-04-13 00:00", 96, 0.8), ("2026-04-13 00:00", 72, 0.8)]
    assert not [one for one in found if "Songkran Festival" in one.name]


def test_a_holiday_that_no_campaign_names_has_the_lift_of_holidays() -> None:
    found = occasions(market("Asia/Bangkok", "TH", 1.1))
    assert {one.lift for one in found} == {1.1}
    new_year = {local(one.start_ms, "Asia/Bangkok")[:10] for one in named(found, "New Year's Day")}
    assert new_year >= {f"{year}-01-01" for year in YEARS}


def test_a_second_or_substitute_day_goes_on_with_its_holiday() -> None:
    found = named(occasions(market("Asia/Singapore", "SG", 1.1)), "Chinese New Year")
    assert (found[0].end_ms - found[0].start_ms) / HOUR_MS == 72  # 10 to 12 February 2024, the last observed
    assert not any("(" in one.name for one in occasions(market("Asia/Singapore", "SG")))


def test_a_market_without_a_country_has_no_public_holidays() -> None:
    assert occasions(market("Asia/Bangkok")) == []


def test_an_unknown_country_is_refused() -> None:
    with pytest.raises(ValueError, match="no public holidays"):
        public_holidays("ZZ")
    assert {"SG", "MY", "TH", "VN", "PH", "ID", "US", "GB"} <= countries()


# ---- the shipped calendars -----------------------------------------------------------------------------------

CATALOGUE = load()


def days(code: str, name: str, year: int) -> list[str]:
    zone = CATALOGUE.markets[code].time_zone
    starts = [local(one.start_ms, zone)[:10] for one in named(CATALOGUE.calendar[code], name)]
    return [start for start in starts if start.startswith(str(year))]


@pytest.mark.parametrize("code", sorted(CATALOGUE.markets))
def test_a_shipped_calendar_is_in_order_and_whole_days_by_the_clocks_of_its_market(code: str) -> None:
    found, zone = CATALOGUE.calendar[code], CATALOGUE.markets[code].time_zone
    assert found == sorted(found, key=lambda one: one.start_ms)
    for one in found:
        assert local(one.start_ms, zone).endswith(" 00:00")
        assert local(one.end_ms, zone).endswith(" 00:00")
        assert 0 < one.end_ms - one.start_ms <= RANGE_DAYS_MAX * 25 * HOUR_MS


@pytest.mark.parametrize("code", sorted(CATALOGUE.markets.keys() - {"default"}))
def test_every_campaign_of_a_shipped_calendar_comes_in_each_of_the_years(code: str) -> None:
    zone = CATALOGUE.markets[code].time_zone
    for campaign in CATALOGUE.markets[code].calendar:
        seen = {local(one.start_ms, zone)[:4] for one in named(CATALOGUE.calendar[code], campaign.name)}
        assert seen == {str(year) for year in YEARS}, campaign.name


@pytest.mark.parametrize(
    ("code", "name", "year", "expected"),
    [
        ("TH", "11.11", 2026, ["2026-11-11"]),
        ("TH", "Songkran", 2026, ["2026-04-13"]),
        ("VN", "Tet", 2026, ["2026-02-16"]),
        ("ID", "Idul Fitri", 2025, ["2025-03-31"]),
        ("ID", "Ramadan", 2027, ["2027-02-08"]),
        ("SG", "Chinese New Year", 2026, ["2026-02-17"]),
        ("PH", "Sinulog", 2026, ["2026-01-18"]),
        ("US", "Black Friday to Cyber Monday", 2026, ["2026-11-27"]),
        ("GB", "Boxing Day sales", 2026, ["2026-12-26"]),
    ],
)
def test_a_shipped_campaign_is_on_its_day(code: str, name: str, year: int, expected: list[str]) -> None:
    assert days(code, name, year)[:1] == expected


def test_black_friday_is_the_day_after_thanksgiving() -> None:
    for year in YEARS:
        (thanksgiving,) = days("US", "Thanksgiving", year)
        (friday,) = days("US", "Black Friday to Cyber Monday", year)
        assert date.fromisoformat(friday) - date.fromisoformat(thanksgiving) == timedelta(1)
        assert days("GB", "Black Friday to Cyber Monday", year) == [friday]


def test_ramadan_ends_where_idul_fitri_begins() -> None:
    for year in range(FIRST_YEAR, LAST_YEAR + 1):
        (fitri,) = days("ID", "Idul Fitri", year)
        ends = [local(one.end_ms, "Asia/Jakarta")[:10] for one in named(CATALOGUE.calendar["ID"], "Ramadan")]
        assert fitri in ends
