"""What phones say about themselves, in the forms that makers have given it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from android_bench.phone.probe import CpuCluster, mask, parse_probe
from android_bench.phone.state import parse_state, unknown_state
from zoo.errors import ZooError

ANDROID_9 = """\
Current Battery Service state:
  AC powered: false
  USB powered: true
  Wireless powered: false
  Max charging current: 500000
  status: 2
  health: 2
  present: true
  level: 73
  scale: 100
  voltage: 4101
  temperature: 287
  technology: Li-ion
"""
SAMSUNG = ANDROID_9.replace("USB powered: true", "USB powered: false") + (
    "  current now: -125\n  charge counter: 1\n  level: 5\n  temperature: 990\n"
)
THERMAL = """\
IsStatusOverride: false
Thermal Status: 3
Cached temperatures:
\tTemperature{mValue=24.7, mType=3, mName=skin, mStatus=0}
Current temperatures from HAL:
\tTemperature{mValue=55.2, mType=0, mName=cpu-1-0, mStatus=0}
\tTemperature{mValue=41.5, mType=3, mName=skin-msm, mStatus=3}
\tTemperature{mValue=39.0, mType=3, mName=quiet, mStatus=0}
\tTemperature{mValue=-274.0, mType=3, mName=absent, mStatus=0}
Current cooling devices from HAL:
\tTemperature{mValue=99.0, mType=3, mName=after the section, mStatus=0}
"""
POLICIES = (
    "@policy 0|0 1 2 3|1804800|1804800|1804800\n"
    "@policy 4|4 5 6|2419200|710400|2419200\n"
    "@policy 7|7|2841600|844800|1900000\n"
)


def state(battery: str = ANDROID_9, thermal: str = THERMAL, policies: str = POLICIES):
    return parse_state(f"@battery\n{battery}@thermal\n{thermal}@gpu 2\n{policies}")


def test_state():
    assert state() == {
        "battery_percent": "73",
        "battery_c": "28.7",
        "powered": "USB",
        "battery_readings": "live",
        "thermal_status": "3 (severe)",
        "skin_c": "41.5",
        "gpu_thermal_level": "2",
        "big_core_khz": "844800",
        "big_core_limit_khz": "1900000",
        "limits_khz": "1804800 2419200 1900000",
    }


def test_samsungs_repeated_keys_do_not_count():
    got = state(SAMSUNG)
    assert (got["battery_percent"], got["battery_c"], got["powered"]) == ("73", "28.7", "none")


def test_frozen_readings_are_marked():
    header = "  (UPDATES STOPPED -- use 'reset' to restart)\n"
    assert state(header + ANDROID_9)["battery_readings"] == "frozen"


def test_another_scale():
    assert state(ANDROID_9.replace("scale: 100", "scale: 200"))["battery_percent"] == "36"


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("level: 73", "battery_percent"),
        ("temperature: 287", "battery_c"),
    ],
)
@pytest.mark.parametrize("value", ["-40000", "99999", "", "x", "9" * 5000, "7 3"])
def test_absurd_values_are_unknown(line: str, key: str, value: str):
    got = state(ANDROID_9.replace(line, f"{line.split(':')[0]}: {value}"))
    assert got[key] == "unknown"


def test_nothing_is_unknown():
    assert set(parse_state("").values()) == {"unknown"}
    assert unknown_state() == parse_state("Permission denied\n")
    assert set(parse_probe("").values()) == {"unknown"}
    assert state(policies="@policy 0||||\n@policy 4|4|x|-5|\n")["big_core_khz"] == "unknown"


def test_probe():
    got = parse_probe(
        f"@model Pixel\t4a \n@manufacturer \n@sdk 30\n@abi arm64-v8a\n@battery_saver 1\n"
        f"@gpu  GLES: Qualcomm, Adreno (TM) 650, OpenGL ES 3.2\n{POLICIES}"
    )
    assert got["model"] == "Pixel 4a"
    assert got["manufacturer"] == "unknown"
    assert (got["battery_saver"], got["gpu"]) == ("on", "Qualcomm, Adreno (TM) 650, OpenGL ES 3.2")
    assert got["clusters"] == (
        "cores 0,1,2,3 @ 1804800 kHz; cores 4,5,6 @ 2419200 kHz; cores 7 @ 2841600 kHz"
    )


@given(st.text() | st.lists(st.sampled_from(
    [*ANDROID_9.split("\n"), *THERMAL.split("\n"), *POLICIES.split("\n"), "@battery", "@thermal",
     "@model \x00\x1b", "@gpu GLES: \x1b", "@gpu 99", "@policy 999|||", "level: ٣"]
)).map("\n".join))  # fmt: skip
def test_any_text(text: str):
    for values in (parse_probe(text), parse_state(text)):
        assert all(v.isprintable() and 0 < len(v) <= 200 for v in values.values())


def test_size_is_bounded():
    text = "@model " + "x" * 10**6 + "\n" + "@policy 0|" + "0 " * 10**5 + "|1|1|1\n" * 1000
    assert sum(map(len, parse_probe(text).values())) < 1000


SD865 = [
    CpuCluster(cores, khz, None, None)
    for cores, khz in (
        ("cores 0,1,2,3", 1_804_800),
        ("cores 4,5,6", 2_419_200),
        ("cores 7", 2_841_600),
    )
]


@pytest.mark.parametrize(
    ("clusters", "wanted", "expected"),
    [
        (SD865, "little", "f"),
        (SD865, "big", "f0"),
        (SD865, "prime", "80"),
        (SD865[::-1], "little", "f"),
        (SD865, "0xF0", "f0"),
        ([], "30", "30"),
        (SD865[:2], "big", "70"),
    ],
)
def test_masks(clusters, wanted, expected):
    assert mask(clusters, wanted) == expected


@pytest.mark.parametrize(
    ("clusters", "wanted", "message"),
    [
        ([], "big", "does not report its CPU clusters"),
        ([CpuCluster("cores ?", 2_000_000, None, None)], "big", "does not report"),
        (SD865[:1], "big", "all cores are identical"),
        (SD865[:2], "prime", "no prime core.*--cores=big"),
        (SD865, "huge", "unknown --cores 'huge'"),
        (SD865, "0", "unknown --cores"),
        (SD865, "f0; reboot", "unknown --cores"),
    ],
)
def test_masks_that_can_not_be(clusters, wanted, message):
    with pytest.raises(ZooError, match=message):
        mask(clusters, wanted)
