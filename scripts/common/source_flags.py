"""Flags for the location of a release: --source, --timeout_secs and --redirect_hosts."""

from __future__ import annotations

import os

from absl import flags

from scripts.common import help
from zoo.errors import ZooError
from zoo.hub import local
from zoo.hub.source import ReleaseSource
from zoo.hub.sources import source
from zoo.schema.release import INDEX

FLAGS = flags.FLAGS


def define() -> None:
    """Defines the flags, in a group of their own."""
    flags.DEFINE_multi_string(
        "source", [], "address or folder of a release; each file comes from the first that has it"
    )
    flags.DEFINE_float(
        "timeout_secs", 30.0, "longest wait for data from a server, in seconds", lower_bound=0.1
    )
    flags.DEFINE_list("redirect_hosts", [], "other hosts that a server may redirect to over https")
    help.group("Source", "source", "timeout_secs", "redirect_hosts")


def chosen() -> list[ReleaseSource]:
    """Returns the sources of --source, else of $MODEL_ZOO_SOURCE, else the release of the clone.

    Raises:
        ZooError: if there is no source, or an address is invalid.
    """
    addresses = FLAGS.source or os.environ.get("MODEL_ZOO_SOURCE", "").split()
    if not addresses:
        if not (local.CLONE / INDEX).is_file():
            raise ZooError(
                "--source is required", remedy="pass --source=URL, or set MODEL_ZOO_SOURCE"
            )
        addresses = [str(local.CLONE)]
    return [source(name, FLAGS.timeout_secs, tuple(FLAGS.redirect_hosts)) for name in addresses]
