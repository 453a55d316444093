"""Entry point: parses the flags, runs the benchmark and adds an entry to the phone's journal."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from .clock import PhoneClock
from .flags import FLAGS, Flags
from .run import Benchmark, Phone
from .text import info


def line_of_tool() -> tuple[type[Benchmark], dict[str, bool | int | float | str]]:
    """Returns the class and the flags of the tool: LiteRT's if its module was packed."""
    try:
        from .litert import FLAGS as flags
        from .litert import LiteRtBenchmark
    except ModuleNotFoundError:
        from .tflite import TfliteBenchmark

        return TfliteBenchmark, FLAGS
    return LiteRtBenchmark, flags


def main() -> int:
    phone = Phone.load()
    tool, known = line_of_tool()
    info("STARTING!")
    benchmark: Benchmark | None = None
    status = 1
    try:
        missing = phone.missing_flags()
        known = {name: value for name, value in known.items() if name not in missing}
        benchmark = tool(Flags.parse(sys.argv[1:], known), phone)
        benchmark.run()
        status = 0
    except SystemExit as end:
        status = int(end.code or 0)
    if phone.journal:
        entry: dict[str, object] = {"arguments": sys.argv[1:], "status": status}
        entry |= {"mask": os.environ.get("VIRTUAL_PHONE_MASK"), "seconds": _alive_s()}
        entry["ended_s"] = time.monotonic()
        if benchmark and isinstance(benchmark.clock, PhoneClock):
            entry["seconds"] = (benchmark.clock.now_ns() - benchmark.clock.began_ns) / 1e9
            entry["ended_s"] = benchmark.clock.now_ns() / 1e9
        entry |= benchmark.result if benchmark else {}
        with Path(phone.journal).open("a") as journal:
            journal.write(json.dumps(entry) + "\n")
    return status


def _alive_s() -> float:
    """Returns the seconds since this process was started."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(") ")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    raise SystemExit(main())
