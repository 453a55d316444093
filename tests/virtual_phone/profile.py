"""Profile of a virtual phone: its identity, its limits and its faults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tests.virtual_phone.power import Power, Throttle

BatteryStyle = Literal["android_6", "android_9", "android_13", "android_14", "samsung"]


@dataclass(frozen=True)
class Cluster:
    """Cores with a common clock (a cpufreq policy)."""

    cpus: tuple[int, ...]
    max_khz: int
    min_khz: int = 300_000


SNAPDRAGON_865 = (
    Cluster((0, 1, 2, 3), 1_804_800),
    Cluster((4, 5, 6), 2_419_200, 710_400),
    Cluster((7,), 2_841_600, 844_800),
)


@dataclass(frozen=True, kw_only=True)
class PhoneProfile:
    """Properties of a virtual phone; the defaults are a healthy Snapdragon 865 phone.

    Attributes:
        auth: `open` asks for no key. `accept_key` accepts the computer's key, as if the user had
            tapped "Allow"; the first `connect` still prints "failed to authenticate", and the
            phone is connected a moment later. `unauthorized` accepts no key until
            `VirtualPhone.authorize`.
        shell_v2: False for Android 6: protocol v1, stderr merged into stdout, CR LF, no exit code.
        gles: Line of `dumpsys SurfaceFlinger` with the GPU and its driver.
        gpu: Effect of `--use_gpu=true`: the GPU takes the whole graph (`full`) or a part of it
            (`partial`), the tool exits with 1 (`refused`), or it warns, runs on the CPU and exits
            with 0 (`silent_cpu`).
        gpu_partitions: Number of delegate kernels of a partial placement.
        gpu_error: Error in the GPU's outputs: noise of a twentieth of their range, classes shifted
            by one (`swap`), NaN, only half of the bytes (`short`), or no file (`unwritten`).
        nnapi: As `gpu`, for `--use_nnapi=true`; `nothing` is a driver that takes no node.
        external: As `gpu`, for an external delegate whose library is on the phone. Without the
            library the tool silently falls back to the CPU, as the real one does.
        disk_bytes: Size of /data; larger pushes fail with "No space left on device".
        build_percentiles: Whether `count=` lines end with p5/median/p95, as in newer builds.
        build_output_filepath: Whether the build has the flag that saves outputs.
        crash_exit: Exit status of a crash: 134 abort, 137 killed, 139 fault; None for no crash.
        crash_after_runs: Number of timed runs before the crash.
        fail_invoke: Whether the tool prints statistics, then `Benchmarking failed.`, and exits
            with 1.
        slow_ms: Additional milliseconds of sleep in each inference.
        litert: Whether LiteRT is loaded. Without it an inference only sleeps for `slow_ms`, so
            many phones do not compete for this computer's cores.
        simulated: Whether the phone has its own time, which advances while all of its processes
            wait; see simulated.py. Ignored without namespaces.
        battery_style: Android version or vendor whose `dumpsys battery` is printed.
        battery_frozen: Whether the values of `dumpsys battery` no longer change.
        thermal_service: Whether `dumpsys thermalservice` prints anything.
        refused_masks: Hexadecimal masks that taskset refuses, as on phones with offline cores.
        wifi: IP address on Wi-Fi; empty for a phone without Wi-Fi.
        denied: Paths that only root can read.
        power: Simulated power behind the battery files; None if they never change.
        throttle: Throttling under a long load; requires `power`.
        properties: Additional or changed values of `getprop`; None removes one.
        files: Additional or changed files, absolute path → content; None removes one.
        dumpsys: Additional or changed texts of `dumpsys SERVICE`; None removes one.
    """

    model: str = "VP865"
    manufacturer: str = "Virtual"
    device: str = "vp865"
    android_release: str = "11"
    sdk: int = 30
    soc_model: str = "SM8250"
    board_platform: str = "kona"
    gles: str = "GLES: Qualcomm, Adreno (TM) 650, OpenGL ES 3.2 V@0502.0 (GIT@a1b2c3d)"
    clusters: tuple[Cluster, ...] = SNAPDRAGON_865
    auth: Literal["open", "accept_key", "unauthorized"] = "open"
    shell_v2: bool = True
    gpu: Literal["full", "partial", "refused", "silent_cpu"] = "full"
    gpu_partitions: int = 3
    gpu_error: Literal[None, "noise", "swap", "nan", "short", "unwritten"] = None
    nnapi: Literal["full", "partial", "nothing", "refused", "silent_cpu"] = "full"
    external: Literal["full", "partial", "nothing", "refused", "silent_cpu"] = "full"
    disk_bytes: int = 256 * 2**20
    build_percentiles: bool = True
    build_output_filepath: bool = True
    crash_exit: Literal[None, 134, 137, 139] = None
    crash_after_runs: int = 3
    fail_invoke: bool = False
    slow_ms: float = 0.0
    litert: bool = True
    simulated: bool = False
    battery_style: BatteryStyle = "android_9"
    battery_frozen: bool = False
    battery_level: int = 80
    battery_temp_c: float = 28.0
    usb_powered: bool = True
    thermal_status: int = 0
    thermal_service: bool = True
    refused_masks: tuple[str, ...] = ()
    wifi: str = "192.168.1.23"
    denied: tuple[str, ...] = ()
    power: Power | None = None
    throttle: Throttle | None = None
    properties: Mapping[str, str | None] = field(default_factory=dict)
    files: Mapping[str, str | None] = field(default_factory=dict)
    dumpsys: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def cpus(self) -> tuple[int, ...]:
        """Numbers of all cores, ascending."""
        return tuple(sorted(cpu for cluster in self.clusters for cpu in cluster.cpus))

    def all_properties(self) -> dict[str, str]:
        """Returns all properties that `getprop` lists."""
        build = f"RKQ1.{self.android_release}"
        values: dict[str, str | None] = {
            "ro.product.model": self.model,
            "ro.product.manufacturer": self.manufacturer,
            "ro.product.brand": self.manufacturer,
            "ro.product.name": self.device,
            "ro.product.device": self.device,
            "ro.product.cpu.abi": "arm64-v8a",
            "ro.product.cpu.abilist": "arm64-v8a,armeabi-v7a,armeabi",
            "ro.build.fingerprint": (
                f"{self.manufacturer}/{self.device}/{self.device}:{self.android_release}"
                f"/{build}/1:user/release-keys"
            ),
            "ro.build.id": build,
            "ro.build.version.release": self.android_release,
            "ro.build.version.sdk": str(self.sdk),
            "ro.soc.model": self.soc_model,
            "ro.board.platform": self.board_platform,
            "ro.hardware": "qcom",
            "ro.debuggable": "0",
            "sys.boot_completed": "1",
            **self.properties,
        }
        return {name: value for name, value in values.items() if value is not None}

    def banner(self) -> str:
        """Returns the identity that the daemon sends when a computer connects."""
        values = self.all_properties()
        names = ("ro.product.name", "ro.product.model", "ro.product.device")
        fields = "".join(f"{name}={values.get(name, '')};" for name in names)
        if not self.shell_v2:
            return f"device::{fields}"
        return f"device::{fields}features=shell_v2,cmd,stat_v2,ls_v2,fixed_push_mkdir"
