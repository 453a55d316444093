"""What must stay light: TensorFlow costs 4 seconds and more, so only training may import it."""

import subprocess
import sys

from tests.conftest import ROOT

TF_FREE = (
    "zoo.catalog",
    "zoo.classifier",
    "zoo.compression.schemes",
    "zoo.data",
    "zoo.download",
    "zoo.explore.run",
    "zoo.images",
    "zoo.isolated",
    "zoo.isolated_worker",
    "zoo.runs",
    "zoo.runtime",
    "zoo.specs",
    "zoo.transfer",
    "zoo.results",
    "zoo.types",
    "zoo.weights",
    "converters.compression_table.rows",
    "zoo.container.container",
    "converters.container.packing",
    "converters.deep_compression",
    "converters.coverage_table",
    "converters.flatbuffer",
    "converters.inspection.gather",
    "converters.parity.show",
    "converters.parity.verify",
    "converters.precisions",
    "converters.ratios",
    "converters.release.folder",
    "android_bench.host",
    "android_bench.report",
    "android_bench.power.metered",
    "android_bench.doctor.examine",
    "android_bench.rapl",
    "android_bench.recommend",
    "android_bench.session",
    "android_bench.wireless",
    "scripts.benchmark",
    "scripts.build",
    "scripts.classify",
    "scripts.compress",
    "scripts.compression_table",
    "scripts.conversions",
    "scripts.convert",
    "scripts.data",
    "scripts.deep_compression",
    "scripts.demo",
    "scripts.describe",
    "scripts.download",
    "scripts.evaluate",
    "scripts.explore",
    "scripts.initial",
    "scripts.inspect",
    "scripts.list",
    "scripts.lowerings",
    "scripts.peers",
    "scripts.phone",
    "scripts.pack",
    "scripts.publish",
    "scripts.recommend",
    "scripts.report",
    "scripts.search",
    "scripts.sensitivity",
    "scripts.speed",
    "scripts.train",
    "scripts.unpack",
    "scripts.verify",
)


# Each module in a fork of its own, since what one imports the next would find.
CODE = """
import importlib, os, sys
import absl.flags, numpy, pydantic, requests  # what most of them share
for module in sys.argv[1:]:
    child = os.fork()
    if not child:
        importlib.import_module(module)
        os._exit(2 * ("tensorflow" in sys.modules))
    if code := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        print(module, "imports TensorFlow" if code == 2 else "can't be imported")
"""


def test_import_without_tensorflow():
    done = subprocess.run(
        [sys.executable, "-c", CODE, *TF_FREE],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.stdout, done.returncode) == ("", 0), done.stderr
