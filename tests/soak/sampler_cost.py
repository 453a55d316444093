"""Measures the CPU time of the two samplers, as a share of one core.

    python -m tests.soak.sampler_cost --secs=30

The native sampler is compiled for this computer. The loop is a shell script for phones that cannot
run the native one. Both read five files of /proc.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from android_bench.power import sampler
from android_bench.power.trace import parse

_BUILD = ("-Os", "-s", "-static")
_NODES = {
    "pid_max": "/proc/sys/kernel/pid_max",
    "threads_max": "/proc/sys/kernel/threads-max",
    "file_max": "/proc/sys/fs/nr_open",
    "swappiness": "/proc/sys/vm/swappiness",
    "somaxconn": "/proc/sys/net/core/somaxconn",
}
_MOST_SHARE = 0.01


def built(folder: Path) -> sampler.Sampler:
    """Compiles the native sampler for this computer in `folder`."""
    path = folder / "sampler"
    compiler = shutil.which("cc")
    words = [compiler] if compiler else [sys.executable, "-m", "ziglang", "cc"]
    subprocess.run([*words, *_BUILD, "-o", path, sampler.SOURCE], check=True)
    print(f"built by {' '.join(map(str, words))} {' '.join(_BUILD)}")
    return sampler.native(path, None)


def share(which: sampler.Sampler, period_s: float, seconds: int) -> tuple[float, float]:
    """Returns the share of one core that a sampler and its children take, and rows per second."""
    command = which.command(str(which.path), period_s, seconds, _NODES)
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(["/bin/sh", "-c", f"exec {command}"], stdout=output)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        trace = parse(output.read())
    took_s = trace.boot_s[-1] - trace.boot_s[0]
    return (used.ru_utime + used.ru_stime) / took_s, (len(trace.boot_s) - 1) / took_s


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak.sampler_cost", description="Measures the cost of the samplers."
    )
    parser.add_argument(
        "--secs", type=int, default=30, help="duration of each sampler (default: %(default)s)"
    )
    parser.add_argument(
        "--period_ms",
        type=int,
        default=100,
        help="time between two samples in milliseconds (default: %(default)s)",
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        too_much = False
        for which in (built(Path(folder)), sampler.loop()):
            part, rate = share(which, arguments.period_ms / 1000, arguments.secs)
            print(
                f"{which.kind:6s} every {arguments.period_ms} ms: "
                f"{100 * part:.3f} % of one core, {rate:.2f} rows per second"
            )
            too_much |= which.kind == "native" and part > _MOST_SHARE
    return 1 if too_much else 0


if __name__ == "__main__":
    sys.exit(main())
