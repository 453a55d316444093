"""Entry point: parse, run, note the run in the phone's journal, exit with the tool's status."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from .flags import Flags
from .run import Benchmark, Phone
from .text import info


def main() -> int:
    phone = Phone.load()
    info("STARTING!")
    benchmark: Benchmark | None = None
    status = 1
    try:
        benchmark = Benchmark(Flags.parse(sys.argv[1:], phone.missing_flags()), phone)
        benchmark.run()
        status = 0
    except SystemExit as end:
        status = int(end.code or 0)
    if phone.journal:
        entry: dict[str, object] = {"arguments": sys.argv[1:], "status": status}
        entry |= {"mask": os.environ.get("VIRTUAL_PHONE_MASK")}
        entry |= benchmark.result if benchmark else {}
        with Path(phone.journal).open("a") as journal:
            journal.write(json.dumps(entry) + "\n")
    return status


if __name__ == "__main__":
    raise SystemExit(main())
