"""What a virtual phone is: its identity, its limits and its faults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tests.virtual_phone.power import Power, Throttle

BatteryStyle = Literal["android_6", "android_9", "android_13", "android_14", "samsung"]


@dataclass(frozen=True)
class Cluster:
    """Cores that share one clock (a cpufreq policy)."""

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
    """The make of a virtual phone; the defaults are a healthy Snapdragon 865 phone.

    Attributes:
        auth: `open` asks for no key; `accept_key` takes the key that the computer offers, as if
            someone had tapped "Allow" (the first `connect` still says "failed to authenticate",
            and the phone is there a moment later); `unauthorized` takes none until
            `VirtualPhone.authorize`.
        shell_v2: False is Android 6: protocol v1, stderr merged into stdout, CR LF, no exit code.
        gles: the line of `dumpsys SurfaceFlinger` that names GPU and driver.
        gpu: what `--use_gpu=true` does: the whole graph is placed, a part of it, the tool refuses
            with exit 1, or it warns and runs on the CPU with exit 0.
        gpu_partitions: delegate kernels of a partial placement.
        gpu_error: how the GPU's outputs are wrong, though it runs: noise of a twentieth of their
            range, the classes moved on by one, NaN, half of the bytes, or no file at all.
        nnapi: likewise of `--use_nnapi=true`; `nothing` is a driver that takes no node.
        external: likewise of an external delegate whose library is on the phone; without one the
            tool runs on the CPU without a word, as the real one does.
        disk_bytes: size of /data; pushes beyond it fail with "No space left on device".
        build_percentiles: whether `count=` lines end in p5/median/p95 (newer builds).
        build_output_filepath: whether the build knows the flag that saves outputs.
        crash_exit: None, or the status the benchmark dies with: 134 abort, 137 killed, 139 fault.
        crash_after_runs: timed runs before that death.
        fail_invoke: statistics are printed, then `Benchmarking failed.` and exit 1.
        slow_ms: extra milliseconds slept in every inference.
        litert: False loads no LiteRT: an inference sleeps for `slow_ms` and nothing else, so that
            many phones at a time don't share this computer's cores.
        simulated: the phone's time is its own and passes as soon as all that runs there waits; see
            simulated.py. Not without namespaces.
        battery_style, battery_frozen: whose `dumpsys battery`, and whether it stands still.
        thermal_service: False is a phone on which `dumpsys thermalservice` gives nothing.
        refused_masks: hex masks that taskset refuses, as on phones with offline cores.
        wifi: its address there; "" for a phone without Wi-Fi.
        denied: paths that only root may read.
        power: what drives the battery's nodes; without it they stand still.
        throttle: what a long load does to the clocks; needs `power`.
        properties: further (or other) `getprop` values; None removes one.
        files: further files (absolute path → content) of the phone; None removes one.
        dumpsys: further (or other) `dumpsys SERVICE` texts; None removes one.
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
        """Numbers of all cores."""
        return tuple(sorted(cpu for cluster in self.clusters for cpu in cluster.cpus))

    def all_properties(self) -> dict[str, str]:
        """Everything that `getprop` lists."""
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
        """The identity that the daemon sends when a computer connects."""
        values = self.all_properties()
        names = ("ro.product.name", "ro.product.model", "ro.product.device")
        fields = "".join(f"{name}={values.get(name, '')};" for name in names)
        if not self.shell_v2:
            return f"device::{fields}"
        return f"device::{fields}features=shell_v2,cmd,stat_v2,ls_v2,fixed_push_mkdir"
