"""What must stay light: TensorFlow costs 4 seconds and more, so only training may import it."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.support.processes import HANG_S

TF_FREE = (
    "zoo.catalog",
    "zoo.classifier",
    "zoo.compression.schemes",
    "zoo.data",
    "zoo.download",
    "zoo.explore.run",
    "zoo.images",
    "zoo.isolated",
    "zoo.isolated_worker",  # and so no child that runs a file has it
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
    "converters.scores",
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


# "alone": each module in a fork of its own, since what one imports the next would find. "in a row":
# commands alone are in forks, since several define the same flags; it is a fifth of the work, and
# finds all but a module that needs another one to be imported first.
CODE = """
import importlib, os, sys
import absl.flags, numpy, pydantic, requests  # what most of them share
how, *modules = sys.argv[1:]
for module in modules:
    forked = how == "alone" or module.startswith("scripts.")
    child = os.fork() if forked else 0
    if child:
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code:
            print(module, "imports TensorFlow" if code == 2 else "can't be imported")
        continue
    importlib.import_module(module)
    found = "tensorflow" in sys.modules
    if forked:
        os._exit(2 * found)
    if found:
        sys.exit(f"{module} imports TensorFlow")
"""


@pytest.mark.parametrize("how", ["in a row", pytest.param("alone", marks=pytest.mark.slow)])
def test_import_without_tensorflow(how):
    modules = sorted(TF_FREE, key=lambda name: name.startswith("scripts."))
    done = subprocess.run(
        [sys.executable, "-c", CODE, how, *modules],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )
    assert (done.stdout, done.returncode) == ("", 0), done.stderr
