"""A virtual Android phone for tests: the adb daemon's side of the protocol, over loopback TCP.

The real adb client connects to it, runs commands in a sandbox, pushes and pulls real files, and
runs a stand-in for `benchmark_model` that times real inferences with LiteRT:

    with AdbServer() as adb, VirtualPhone(PhoneProfile(gpu="refused")) as phone:
        adb.run("connect", phone.serial)
        adb.run("-s", phone.serial, "shell", "getprop ro.product.model")
        phone.unplug()

Tests need no guessed delays: `during_run` acts during a run of the tool, and `on_command` when a
command has started. On a `simulated` phone, time advances only while all of its processes wait, so
a minute of samples takes no real time.
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
