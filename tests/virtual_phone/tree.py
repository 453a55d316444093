"""The files of a virtual phone in a folder of the host."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.virtual_phone.power import Throttle
from tests.virtual_phone.profile import PhoneProfile
from tests.virtual_phone.stubs import HOST_COMMANDS, SLEEP, stub_scripts
from tests.virtual_phone.texts import battery_text, thermal_text

SHELL_UID = 2000
BOOT_ID_PATH = "/proc/sys/kernel/random/boot_id"
_EMPTY_FOLDERS = ("data/local/tmp", "sdcard", "proc/sys/kernel/random", "system/stub/state")

POWER_HELP = """Power manager (power) commands:
  help
    Print this help text.
  set-mode MODE
    sets the power mode of the device to MODE.
    1 turns low power mode on and 0 turns low power mode off.
  set-fixed-performance-mode-enabled [true|false]
    enables or disables fixed performance mode
    note: this will affect system performance and should only be used
          for benchmarking.
"""


def build_tree(root: Path, profile: PhoneProfile) -> None:
    """Writes the phone's /system, /sys, /etc and an empty /data below `root`."""
    for folder in _EMPTY_FOLDERS:
        (root / folder).mkdir(parents=True)
    programs = root / "system/bin"
    programs.mkdir()
    for name in HOST_COMMANDS:
        program = shutil.which(name)
        if program:
            (programs / name).symlink_to(Path(program).resolve())
    for name, text in stub_scripts(profile.cpus, profile.refused_masks).items():
        write_program(programs / name, text)
    if profile.simulated:
        write_program(programs / "sleep", SLEEP.replace("@SLEEP@", _found("sleep")))
    write_properties(root, profile.all_properties())
    services: dict[str, str | None] = {
        "battery": battery_text(profile),
        "SurfaceFlinger": f"SurfaceFlinger state:\n{profile.gles}\n",
    }
    if profile.thermal_service:
        services["thermalservice"] = thermal_text(profile.thermal_status)
    for service, content in {**services, **profile.dumpsys}.items():
        if content is not None:
            put(root, f"/system/stub/dumpsys/{service}", content)
    if profile.sdk >= 30:
        put(root, "/system/stub/cmd/power.help", POWER_HELP)
    if profile.wifi:
        put(root, "/system/stub/ip", wifi_text(profile.wifi))
    users = f"root:x:0:0::/:/system/bin/sh\nshell:x:{SHELL_UID}:{SHELL_UID}::/:/system/bin/sh\n"
    files: dict[str, str | None] = {
        "/etc/passwd": users,
        "/etc/group": f"root:x:0:\nshell:x:{SHELL_UID}:\n",
        **_sys_files(profile),
        **profile.files,
    }
    for path, content in files.items():
        if content is not None:
            put(root, path, content)
    for path in profile.denied:
        (root / path.lstrip("/")).chmod(0o400)


def put(root: Path, path: str, content: str) -> None:
    """Writes the phone's file `path` and creates its folder."""
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(content)


def write_program(path: Path, text: str) -> None:
    """Writes a script to `path`, replacing a link to a host command."""
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def write_properties(root: Path, values: dict[str, str]) -> None:
    """Sets the values of `getprop`."""
    lines = "".join(f"{name}={value}\n" for name, value in sorted(values.items()))
    put(root, "/system/stub/props", lines)


def stat_text(busy_s: float) -> str:
    """Returns /proc/stat for `busy_s` seconds of CPU time in total, one line of constant width."""
    return f"cpu  {round(100 * busy_s):012d} 0 0 900000 0 0 0 0 0 0\n"


def hot_files(profile: PhoneProfile, heat: Throttle) -> dict[str, str]:
    """Returns the files of a throttled phone by path, including its speed for benchmark_model."""
    files = {"/system/stub/state/speed": f"{heat.ratio:g}\n"}
    for cluster in profile.clusters:
        policy = f"/sys/devices/system/cpu/cpufreq/policy{cluster.cpus[0]}"
        for name in ("scaling_max_freq", "scaling_cur_freq"):
            files[f"{policy}/{name}"] = f"{round(cluster.max_khz * heat.ratio)}\n"
    if profile.thermal_service:
        files["/system/stub/dumpsys/thermalservice"] = thermal_text(heat.status)
    return files


def _sys_files(profile: PhoneProfile) -> dict[str, str]:
    # Without `present` and `possible`, because LiteRT's library would look for these cores.
    cpufreq = "/sys/devices/system/cpu/cpufreq"
    battery = "/sys/class/power_supply/battery"
    gpu = "/sys/class/kgsl/kgsl-3d0"
    files = {
        f"{battery}/current_now": "-412000\n",
        f"{battery}/voltage_now": "4101000\n",
        f"{battery}/charge_counter": f"{profile.battery_level * 45_000}\n",
        f"{battery}/temp": f"{round(profile.battery_temp_c * 10)}\n",
        f"{battery}/status": "Charging\n" if profile.usb_powered else "Discharging\n",
        f"{battery}/capacity": f"{profile.battery_level}\n",
        f"{gpu}/gpuclk": "305000000\n",
        f"{gpu}/gpubusy": "      0       0\n",
        f"{gpu}/thermal_pwrlevel": "0\n",
        "/sys/class/thermal/thermal_zone0/type": "cpu-1-0-usr\n",
        "/sys/class/thermal/thermal_zone0/temp": "35200\n",
        "/sys/class/thermal/thermal_zone1/type": "pm8150-bcl\n",
        "/sys/class/thermal/thermal_zone1/temp": "-40000\n",
    }
    for cluster in profile.clusters:
        policy = f"{cpufreq}/policy{cluster.cpus[0]}"
        files[f"{policy}/related_cpus"] = " ".join(map(str, cluster.cpus)) + "\n"
        files[f"{policy}/cpuinfo_max_freq"] = f"{cluster.max_khz}\n"
        files[f"{policy}/cpuinfo_min_freq"] = f"{cluster.min_khz}\n"
        files[f"{policy}/scaling_max_freq"] = f"{cluster.max_khz}\n"
        files[f"{policy}/scaling_min_freq"] = f"{cluster.min_khz}\n"
        files[f"{policy}/scaling_cur_freq"] = f"{cluster.max_khz}\n"
        files[f"{policy}/scaling_governor"] = "schedutil\n"
    return files


def wifi_text(address: str) -> str:
    """Returns the output of `ip -o -4 addr show` on a phone with Wi-Fi and mobile data."""
    return f"""1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever
18: rmnet_data2    inet 10.113.27.4/29 scope global rmnet_data2\\       valid_lft forever
30: wlan0    inet {address}/24 brd 192.168.1.255 scope global wlan0\\       valid_lft forever
"""


def _found(name: str) -> str:
    return shutil.which(name) or f"/bin/{name}"
