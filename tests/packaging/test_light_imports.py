"""Modules that must not import TensorFlow, which takes 4 seconds or more."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.support.processes import HANG_S

TF_FREE = (
    "zoo.catalog",
    "zoo.hub.classifier",
    "zoo.compression.schemes",
    "zoo.data.dataset",
    "zoo.data.locate",
    "zoo.hub.download",
    "zoo.sweeps.tune",
    "zoo.data.imagenet",
    "zoo.runtime.sandbox",
    "zoo.runtime.sandbox_worker",  # so child processes that run a file do not import it either
    "zoo.runs",
    "zoo.runtime.interpreter",
    "zoo.schema.recipe",
    "zoo.pretrained.transfer",
    "zoo.schema.measurement",
    "zoo.schema.artifact",
    "zoo.pretrained.public",
    "converters.studies.compression_table.rows",
    "zoo.container.unpack",
    "converters.packing.pack",
    "zoo.pretrained.deep_compression",
    "converters.studies.accelerators",
    "converters.studies.coverage_files",
    "converters.studies.coverage_table",
    "converters.studies.npu_table",
    "converters.tflite.counts",
    "converters.inspection.inspect",
    "converters.parity.show",
    "converters.parity.verify",
    "zoo.catalog.precisions",
    "converters.studies.latency_ratios",
    "converters.imagenet.scores",
    "converters.release.build",
    "android_bench.host.bench",
    "zoo.report.build",
    "android_bench.power.metered",
    "android_bench.doctor.examine",
    "android_bench.power.rapl",
    "zoo.report.recommend",
    "android_bench.session.session",
    "android_bench.adb.wireless",
    "scripts.benchmark",
    "scripts.build",
    "scripts.classify",
    "scripts.compress",
    "scripts.studies.compression_table",
    "scripts.studies.arm_kernels",
    "scripts.studies.conversions",
    "scripts.convert",
    "scripts.data",
    "scripts.deep_compression",
    "scripts.demo",
    "scripts.describe",
    "scripts.doctor",
    "scripts.common.setup_checks",
    "scripts.download",
    "scripts.evaluate",
    "scripts.explore",
    "zoo.pretrained.initial",
    "scripts.inspect",
    "scripts.list",
    "scripts.studies.shift_costs",
    "scripts.studies.converted_speed",
    "scripts.phone",
    "scripts.pack",
    "scripts.publish",
    "scripts.recommend",
    "scripts.report",
    "scripts.search",
    "scripts.sensitivity",
    "scripts.studies.training_speed",
    "scripts.train",
    "scripts.unpack",
    "scripts.verify",
)


# "alone": each module is imported in its own fork, so no module depends on imports of earlier ones.
# "in a row": only commands are imported in forks, because several define the same flags. This takes
# a fifth of the time but does not detect a module that needs another one to be imported first.
CODE = """
import importlib, os, sys
import absl.flags, numpy, pydantic, requests  # imported by most of the modules
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
