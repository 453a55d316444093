"""What must stay light: TensorFlow costs 4 seconds and more, so only training may import it."""

import subprocess
import sys

import pytest

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


@pytest.mark.parametrize("module", TF_FREE)
def test_import_without_tensorflow(module):
    code = f"import sys, {module}; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
