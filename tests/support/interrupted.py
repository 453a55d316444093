"""Measures a case that takes practically forever, in a process that a test interrupts.

python -m tests.support.interrupted SERIAL BINARY MODEL
"""

import contextlib
import sys
from pathlib import Path

from android_bench.adb.client import Adb
from android_bench.session.options import RunOptions
from android_bench.session.session import measure_on_phone
from android_bench.tasks.cases import Case
from android_bench.tasks.schedule import schedule
from android_bench.tools.binary import benchmark_binary
from zoo.io.files import sha256_of
from zoo.io.provenance import Provenance
from zoo.schema.measurement import Configuration

serial, binary, model = sys.argv[1:]
case = Case(
    path=Path(model),
    model="tiny",
    sha256=sha256_of(Path(model)),
    precision="float32",
    configuration=Configuration(
        runtime="benchmark_model", runtime_version="", delegate="none", threads=1
    ),
)
rows = measure_on_phone(
    Adb(),
    serial,
    schedule([case], 1, "phone", {}),
    lambda abi: benchmark_binary(Path(binary), abi, Path("unused")),
    Provenance(("interrupted",), {}),
    RunOptions(num_runs=10**5),
)
with contextlib.closing(rows):
    for row in rows:
        print("a row:", row)
