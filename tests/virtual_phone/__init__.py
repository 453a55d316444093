"""A virtual Android phone for tests: the adb daemon's side of the protocol, over loopback TCP.

The real adb client connects to it, runs commands in a sandbox, pushes and pulls real files, and
runs a `benchmark_model` that times real inferences through LiteRT:

    with AdbServer() as adb, VirtualPhone(PhoneProfile(gpu="refused")) as phone:
        adb.run("connect", phone.serial)
        adb.run("-s", phone.serial, "shell", "getprop ro.product.model")
        phone.unplug()

Nothing has to be waited for by guess: `during_run` does something in the midst of a run of the
tool, `on_command` when a command has come, and on a `simulated` phone time passes only where all
that runs there waits for it, so that a minute of samples is over at once.
"""

from tests.virtual_phone.binary import stand_in_binary
from tests.virtual_phone.phone import VirtualPhone
from tests.virtual_phone.power import Power
from tests.virtual_phone.processes import PhoneProcess
from tests.virtual_phone.profile import Cluster, PhoneProfile
from tests.virtual_phone.record import LogEntry
from tests.virtual_phone.server import AdbServer

__all__ = [
    "AdbServer",
    "Cluster",
    "LogEntry",
    "PhoneProcess",
    "PhoneProfile",
    "Power",
    "VirtualPhone",
    "stand_in_binary",
]
