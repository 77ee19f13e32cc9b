"""Weather and time of day of scenes."""

from __future__ import annotations

import pytest

from fusion_aug.logs.nuscenes.conditions import conditions_of

OWN, OTHER = {"logfile": "n015-2018-07-24-11-22-45+0800"}, {"logfile": "drive-0000"}


@pytest.mark.quick
@pytest.mark.parametrize(
    ("description", "log", "weather", "time_of_day"),
    [
        ("Night, rain, parked cars", OWN, "rain", "night"),
        ("Rain, bus stop", OTHER, "rain", ""),
        ("Parked trucks, nightclub at the corner of Trainor street", OTHER, "", ""),
        ("Turn left", OWN, "dry", "day"),
        ("A street with a bend, brainy signs, midnight blue trains", OWN, "dry", "day"),
        ("", OTHER, "", ""),
    ],
)
def test_descriptions_name_rain_and_night(description: str, log: dict, weather: str, time_of_day: str) -> None:
    assert conditions_of({"description": description}, log) == {"weather": weather, "time_of_day": time_of_day}
