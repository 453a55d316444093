"""The doctor's verdicts on virtual phones with one fault each, by the real adb client."""

import json
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from android_bench.adb.link import Link
from android_bench.doctor.checks import condition
from android_bench.doctor.diagnosis import Check, Diagnosis
from android_bench.doctor.examine import examine
from android_bench.doctor.facts import busy_share, parse_facts
from android_bench.phone.jobs import Jobs
from android_bench.phone.phone import ROOT, Phone
from android_bench.session.options import RunOptions
from android_bench.session.session import attached_phones
from android_bench.session.validity import ValidityChecker
from tests.android_bench.conftest import Bench, left_on
from tests.support.select import some
from tests.virtual_phone import AdbServer, Cluster, PhoneProfile, Power, VirtualPhone

BATTERY = "/sys/class/power_supply/battery"
POLICY = "/sys/devices/system/cpu/cpufreq/policy7"
GLES = "GLES: Qualcomm, Adreno (TM) 650, OpenGL ES 3.2 V@0502.0 (GIT@a2a4f8e)\n"
OPENCL = {"/system/vendor/lib64/libOpenCL.so": ""}
ASLEEP = "  mWakefulness=Asleep\nDisplay Power: state=OFF\n"
SERVICES = {"power": ASLEEP, "SurfaceFlinger": GLES}
ON_BATTERY = {"usb_powered": False, "power": Power(period_s=0.2)}
ALL_WELL = {**ON_BATTERY, "files": OPENCL, "dumpsys": SERVICES}
Setup = Callable[[VirtualPhone, Link], object]


def examined(
    bench: Bench, profile: dict, setup: Setup | None = None, sample_s: float = 5.0
) -> Diagnosis:
    """A diagnosis of a phone that has its own time."""
    with bench.phone(simulated=True, **profile) as phone:
        if setup is not None:
            setup(phone, Link(bench.adb, phone.serial))
        found = diagnosed(bench, phone, sample_s)
        if attached_phones(bench.adb, phone.serial)[0].usable:
            assert left_on(phone) == []
        return found


def diagnosed(bench: Bench, phone: VirtualPhone, sample_s: float = 5.0) -> Diagnosis:
    attached = attached_phones(bench.adb, phone.serial)[0]
    cache = bench.model.parent / "cache"
    return examine(bench.client(phone), attached, cache, sample_s=sample_s)


def answers(found: Diagnosis) -> str:
    return " ".join(found.verdict(goal).answer for goal in ("latency", "energy", "GPU"))


def check(found: Diagnosis, name: str) -> Check:
    return next(check for check in found.checks if check.name == name)


def test_a_healthy_phone(bench: Bench):
    found = examined(bench, ALL_WELL)
    assert found.name == "Virtual VP865"
    assert [found.verdict(g).line for g in ("latency", "energy", "GPU")] == [
        "latency: yes", "energy: yes", "GPU: yes"
    ]  # fmt: skip
    told = {c.name: c.found for c in found.checks}
    assert told["Android"].startswith("11 (SDK 30), Virtual/")
    assert told["graphics"] == (
        "Qualcomm Adreno (TM) 650, OpenGL ES 3.2 V@0502.0 (GIT@a2a4f8e), OpenCL available"
    )
    assert told["cores"] == "--cores accepts little, big, prime"
    assert told["screen"] == "off"
    assert re.fullmatch(r"readable, -\d+ to -\d+, \d+ change\(s\), every 0\.[1-3] s",
                        told["current_now"])  # fmt: skip
    assert re.fullmatch(r"readable, 3\.9\d V", told["voltage_now"])
    assert told["fixed performance"] == "supported"
    # This computer runs no program for ARM: the loop stands in, and says so.
    pace = re.match(
        r"(?:loop|native).*, one sample per (\d+) ms, 100 ms requested$", told["sampler"]
    )
    assert pace is not None and int(pace[1]) == 100
    assert not [c for c in found.checks if c.level == "problem"]
    lines = list(found.lines())
    columns = {line.index(c.found) for c, line in zip(found.checks, lines, strict=False)}
    assert len(columns) == 1, "aligned"


STILL = {**ALL_WELL, "power": None}


def files(**nodes: str | None) -> dict[str, str | None]:
    return {**OPENCL, **{f"{BATTERY}/{name}": text for name, text in nodes.items()}}


# What is otherwise than on a healthy phone; each check that tells of it (how badly, its text, its
# remedy); the three verdicts.
PHONES: dict[str, tuple[dict, dict, str]] = {
    "charging, gauge that stands still": (
        {**STILL, "usb_powered": True},
        {
            "charging": ("problem", "powered by USB", "unplug"),
            "current_now": ("unknown", "constant at", "--sample_secs=30"),
        },
        "yes no yes",
    ),
    "denied": (
        {**STILL, "denied": (f"{BATTERY}/current_now", f"{BATTERY}/temp")},
        {
            "current_now": ("problem", "denies it", "another phone, or as root"),
            "temp": ("note", "denies it", ""),
        },
        "yes no yes",
    ),
    "no voltage, current always 0": (
        {**STILL, "files": files(voltage_now=None, current_now="0\n")},
        {
            "voltage_now": ("problem", "no such node", "another phone"),
            "current_now": ("problem", "always 0", "another phone"),
        },
        "yes no yes",
    ),
    "nonsense": (
        {**STILL, "files": files(voltage_now="41\n", current_now="-2147483648\n")},
        {
            "voltage_now": ("problem", "not plausible in any unit", ""),
            "current_now": ("problem", "never contains a value", "another phone"),
        },
        "yes no yes",
    ),
    "poor condition": (
        {
            "disk_bytes": 90 * 2**20,
            "sdk": 29,
            "dumpsys": {**SERVICES, "power": "Display Power: state=ON\n"},
            "refused_masks": ("80",),
            "files": {**OPENCL, f"{POLICY}/scaling_max_freq": "1900000\n"},
        },
        {
            "storage": ("note", "94 MB free", "free some"),
            "fixed performance": ("note", "requires Android 11", ""),
            "screen": ("note", "on", "turn it off"),
            "cores": ("note", "prime: the phone refuses the mask 80", ""),
            "clocks": ("note", "capped: cores 7 to 1900000 of 2841600", "let it cool"),
        },
        "yes yes yes",
    ),
    "hot, empty, slowed": (
        {
            "battery_temp_c": 40.5,
            "battery_level": 12,
            "thermal_status": 1,
            "files": {**OPENCL, "/sys/class/kgsl/kgsl-3d0/thermal_pwrlevel": "3\n"},
        },
        {
            "battery temperature": ("problem", "40.5 °C", "let it cool"),
            "battery level": ("problem", "12 %", "charge it"),
            "thermal status": ("problem", "1 (light)", "let it cool"),
            "GPU limit": ("problem", "power level 3", "let it cool"),
        },
        "no no no",
    ),
    "just good enough": (
        {**STILL, "usb_powered": True, "battery_level": 14, "battery_temp_c": 38.0},
        {
            "battery temperature": ("ok", "38.0 °C", ""),
            "battery level": ("ok", "14 %", ""),
            "charging": ("problem", "powered by USB", "unplug"),
            "current_now": ("unknown", "constant at", "--sample_secs=30"),
        },
        "yes no yes",
    ),
    "Android 6": (
        {
            "shell_v2": False,
            "sdk": 23,
            "android_release": "6.0",
            "thermal_service": False,
            "files": {f"{POLICY}/scaling_cur_freq": None},
            "dumpsys": {"SurfaceFlinger": None},
            "clusters": (Cluster((0, 1, 2, 3), 1_804_800), Cluster((4, 7), 2_000_000)),
        },
        {
            "exit codes": ("note", "no shell_v2, which needs Android 7", ""),
            "thermal status": ("note", "no thermal service", ""),
            "graphics": ("unknown", "neither a GPU", "--delegate=gpu"),
            "cores": ("note", "prime: the phone has no prime core", ""),
            "screen": ("note", "not reported", ""),
        },
        "yes yes unknown",
    ),
    "severe, full": (
        {"thermal_status": 3, "disk_bytes": 30 * 2**20, "files": {}},
        {
            "thermal status": ("problem", "3 (severe)", "let it cool"),
            "storage": ("problem", "31 MB free", "free some"),
            "graphics": ("note", "no OpenCL library found", ""),
        },
        "no no no",
    ),
    "emulator": (
        {
            "properties": {"ro.product.cpu.abi": "riscv64"},
            "dumpsys": {"SurfaceFlinger": "GLES: Google Inc., SwiftShader, OpenGL ES 3.0\n"},
            "clusters": (Cluster((0, 1, 2, 3), 1_804_800),),
        },
        {
            "benchmark_model": ("problem", "no prebuilt benchmark_model", "--benchmark_binary"),
            "graphics": ("problem", "is a software renderer", "real phone"),
            "cores": ("note", "all cores are identical", ""),
        },
        "no no no",
    ),
    "no clock": (
        {"files": {**OPENCL, f"{POLICY}/scaling_cur_freq": None}},
        {"clocks": ("note", "not readable: cores 7", "")},
        "yes yes yes",
    ),
    "booting": (
        {"properties": {"sys.boot_completed": None}},
        {"boot": ("problem", "not completed", "wait")},
        "no no no",
    ),
    "unauthorized": (
        {"auth": "unauthorized"},
        {"adb": ("problem", "unauthorized", "accept the USB debugging prompt")},
        "no no no",
    ),
}


# Between them, these give each verdict, and most of the checks a bad answer.
FEW = (
    "denied",
    "no voltage, current always 0",
    "poor condition",
    "hot, empty, slowed",
    "Android 6",
    "booting",
    "unauthorized",
)


@pytest.mark.parametrize("name", some(PHONES, *FEW))
def test_faults(bench: Bench, name):
    fault, expected, verdicts = PHONES[name]
    found = examined(bench, {**ALL_WELL, **fault})
    for which, (level, told, remedy) in expected.items():
        one = check(found, which)
        assert (one.level, told in one.found, remedy in one.remedy) == (level, True, True), one
        assert bool(remedy) == bool(one.remedy)
    assert answers(found) == verdicts, found.checks
    assert found.measurable == verdicts.startswith("yes")
    problems = {c.name for c in found.checks if c.level == "problem"}
    assert problems == {which for which, (level, *_) in expected.items() if level == "problem"}


@given(
    st.fixed_dictionaries(
        {
            "battery_percent": st.sampled_from(["14", "15", "16", "unknown"]),
            "battery_c": st.sampled_from(["38.0", "38.1", "unknown"]),
            "powered": st.sampled_from(["none", "USB", "unknown"]),
            "thermal_status": st.sampled_from(["0 (none)", "1 (light)", "unknown"]),
            "gpu_thermal_level": st.sampled_from(["0", "1", "unknown"]),
        }
    ),
    st.sampled_from(["on", "off", "unknown"]),
)
def test_a_problem_is_what_makes_a_run_invalid(state: dict[str, str], saver: str):
    problems = [c for c in condition(state, parse_facts(""), saver) if c.level == "problem"]
    assert len(problems) == len(ValidityChecker(RunOptions.start_c, saver).before(state))


def test_frozen_readings(bench: Bench):
    found = examined(bench, ALL_WELL, lambda _, link: link.shell("dumpsys battery unplug"))
    assert check(found, "battery readings").level == "problem"
    assert "dumpsys battery reset" in check(found, "battery readings").remedy
    assert answers(found) == "yes no yes"


def test_offline(bench: Bench):
    def leave(phone: VirtualPhone, link: Link) -> None:
        phone.go_offline()
        assert bench.server.run("-s", phone.serial, "wait-for-disconnect").returncode == 0

    found = examined(bench, {}, leave)
    assert answers(found) == "no no no"
    assert [c.name for c in found.checks] == ["adb"]
    assert "reconnect it" in found.checks[0].remedy


def test_a_su_is_looked_for_and_not_run(bench: Bench):
    def install(phone: VirtualPhone, _: Link) -> None:
        program = phone.root / "system/bin/su"
        program.write_text("#!/bin/sh\ntouch /data/local/tmp/su_was_run\n")
        program.chmod(0o755)

    assert "su found" in check(examined(bench, ALL_WELL, install), "root").found


def test_another_benchmark_is_left_alone(bench: Bench):
    with bench.phone() as phone, Phone(bench.adb, phone.serial):
        commands = len(phone.commands())
        found = diagnosed(bench, phone)
        assert answers(found) == "no no no"
        assert "another benchmark" in check(found, "other runs").found
        assert check(found, "other runs").remedy == "wait for it to finish, or end it"
        assert len(phone.commands()) == commands, "not a command, which would spoil its figures"


def test_another_computers_job_goes_on(bench: Bench):
    with bench.phone(**ALL_WELL) as phone:
        Jobs(Link(bench.adb, phone.serial), ROOT).start("sleep 3330", 5000)
        before = sorted(path.name for path in phone.path(f"{ROOT}/jobs").iterdir())
        found = diagnosed(bench, phone, sample_s=0.5)
        assert "1 benchmark job(s) running" in check(found, "other runs").found
        assert check(found, "other runs").level == "note"
        assert phone.wait_for_process("sleep 3330")
        assert sorted(path.name for path in phone.path(f"{ROOT}/jobs").iterdir()) == before
        assert [path.name for path in phone.path(ROOT).parent.iterdir()] == ["mobile_model_zoo"]


def test_a_phone_that_leaves_midway(bench: Bench):
    with bench.phone(**ALL_WELL) as phone:

        def leave() -> None:
            phone.unplug()
            bench.clock.hurry()

        phone.on_command("taskset 80 true", leave)
        found = diagnosed(bench, phone)
        assert found.checks[-1].name == "link"
        assert answers(found) == "no no no"
        assert check(found, "Android").level == "ok", "what it told before is kept"


def test_nothing_on_the_phone_is_changed(bench: Bench):
    with bench.phone(**STILL) as phone:

        def content() -> dict[str, bytes]:
            return {
                str(path): path.read_bytes()
                for folder in ("system/stub", "sys")
                for path in (phone.root / folder).rglob("*")
                if path.is_file()
            }

        before = content()
        diagnosed(bench, phone, sample_s=0.5)
        assert content() == before
        assert left_on(phone) == []


# The command


def test_the_command(command):
    with (
        AdbServer() as adb,
        VirtualPhone(PhoneProfile(simulated=True, **ALL_WELL)) as good,
        VirtualPhone(PhoneProfile(simulated=True, thermal_status=5)) as hot,
    ):
        for phone in (good, hot):
            adb.run("connect", phone.serial)
        done = command("phone", "doctor", good.serial, "--sample_secs=2", **adb.env)
        assert done.returncode == 0, done.stdout + done.stderr
        lines = done.stdout.strip().split("\n")
        assert lines[0].startswith(f"{good.serial} (") and lines[0].endswith("Virtual VP865")
        assert [line.split(",")[0] for line in lines[-3:]] == [
            "latency: yes", "energy: yes", "GPU: yes"
        ]  # fmt: skip
        done = command("phone", "doctor", "--json", "--sample_secs=2", **adb.env)
        assert done.returncode == 1, "one of them can't be measured"
        told = {row["serial"]: row for row in json.loads(done.stdout)}
        assert set(told) == {good.serial, hot.serial}
        assert told[good.serial]["verdicts"]["latency"]["answer"] == "yes"
        verdict = told[hot.serial]["verdicts"]["latency"]
        assert verdict["answer"] == "no"
        assert "thermal status: 5 (emergency)" in verdict["because"]
        assert left_on(good) == left_on(hot) == []
        done = command("phone", "doctor", "R58", **adb.env)
        assert done.returncode == 1
        assert done.stderr.startswith("error: unknown phone 'R58'")
        assert done.stderr.count("\n") == 1


# The parsers

LINES = (
    "@storage", "Filesystem     1K-blocks  Used Available Use% Mounted on",
    "tmpfs             262144     0    262144   0% /data", "@screen", "Display Power: state=ON",
    "mWakefulness=Dozing", "@gpu", "Adreno650", GLES, "@opencl", "/system/lib/x.so",
    "@root", "0", "2000", "/system/xbin/su", "@fixed", "\x1b[1m", "٣",
)  # fmt: skip


@given(st.text() | st.lists(st.sampled_from(LINES)).map("\n".join))
def test_any_text(text: str):
    found = parse_facts(text, text[:100])
    assert found.free_mb is None or found.free_mb >= 0
    for value in (found.gpu, found.driver, found.opencl, found.root):
        assert value.isprintable() and len(value) <= 200
    share = busy_share(text)
    assert share is None or 0 <= share <= 1


def test_facts():
    got = parse_facts(
        "@storage\nFilesystem               Size     Used     Free   Blksize\n"
        "/data/local/tmp         12.0G     3.4G     8.5G   4096\n"
        "@screen\n  mWakefulness=Dozing\n@gpu\nAdreno650v2\n@opencl\n@root\n2000\n@fixed\n"
    )
    assert got.free_mb == pytest.approx(8.5 * 1024**3 / 1e6)
    assert (got.screen_on, got.gpu, got.driver, got.root) == (False, "Adreno650v2", "", "")
    assert not got.fixed_performance
    assert parse_facts("@root\n0\n").root == "adbd"
    assert parse_facts("@root\n2000\n/system/xbin/su\n").root == "su"
    assert parse_facts("").free_mb is None


def test_busy_share():
    first, last = "cpu  100 0 50 800 50 0 0 0 9 9\n", "cpu  130 0 60 850 60 0 0 0 99 9\n"
    assert busy_share(first + last) == pytest.approx(0.4)
    assert busy_share(first + first) is None
    assert busy_share(first) is None
