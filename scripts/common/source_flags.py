"""--source and what goes with it: where a release is."""

from __future__ import annotations

import os

from absl import flags

from zoo.errors import ZooError
from zoo.hub import local
from zoo.hub.source import ReleaseSource
from zoo.hub.sources import source
from zoo.schema.release import INDEX

FLAGS = flags.FLAGS


def define() -> None:
    """Defines the flags."""
    flags.DEFINE_multi_string("source", [], "address of a release, or its folder; in order")
    flags.DEFINE_float("timeout_secs", 30.0, "how long a server may be silent", lower_bound=0.1)
    flags.DEFINE_list("redirect_hosts", [], "other hosts that a server may point to, by https")


def chosen() -> list[ReleaseSource]:
    """Those of --source, of the environment, or the clone's own release.

    Raises:
        ZooError: there is none, or it is no address.
    """
    named = FLAGS.source or os.environ.get("MODEL_ZOO_SOURCE", "").split()
    if not named:
        if not (local.CLONE / INDEX).is_file():
            raise ZooError("no source", remedy="give --source=URL, or set MODEL_ZOO_SOURCE")
        named = [str(local.CLONE)]
    return [source(name, FLAGS.timeout_secs, tuple(FLAGS.redirect_hosts)) for name in named]
