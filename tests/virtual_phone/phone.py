"""A virtual phone: a folder, some threads, and the processes of its commands."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from tests.support.processes import HANG_S
from tests.virtual_phone.binary import JOURNAL, behavior_json, read_journal
from tests.virtual_phone.cable import Cable
from tests.virtual_phone.gate import Gate
from tests.virtual_phone.link import Stream
from tests.virtual_phone.load import OtherLoad
from tests.virtual_phone.namespace import NamespaceSandbox
from tests.virtual_phone.power import PowerPlant, Throttle
from tests.virtual_phone.processes import PhoneProcess, kill_all, processes_of
from tests.virtual_phone.profile import PhoneProfile
from tests.virtual_phone.record import LogEntry, Record
from tests.virtual_phone.sandbox import FolderSandbox, Sandbox
from tests.virtual_phone.shell import ShellService, parse_service
from tests.virtual_phone.simulated import PhoneTime
from tests.virtual_phone.sync import SyncService
from tests.virtual_phone.tree import hot_files, put, write_properties

_RESTART_S = 0.7


class VirtualPhone:
    """A phone that the real adb client can connect to, within a `with` block.

    Args:
        profile: Kind of phone; None for a healthy Snapdragon 865.
        sandbox: `namespace` or `shim`; None for namespaces if this computer allows them, otherwise
            a plain folder.

    Attributes:
        serial: `127.0.0.1:PORT`.
        root: The phone's folder on the host; see `path` for the location of a file.
        sandbox: `namespace` or `shim`.
        boot_id: ID of the current boot.
        plant: Simulated power; None if the profile has none.
        time: Simulated time; None if the profile is not `simulated` or there are no namespaces.
    """

    def __init__(
        self,
        profile: PhoneProfile | None = None,
        *,
        sandbox: Literal["namespace", "shim"] | None = None,
    ):
        self.profile = profile or PhoneProfile()
        self.known_keys: set[bytes] = set()
        self.boot_id = ""
        self._wanted_sandbox = sandbox
        self._id = uuid.uuid4().hex
        self._record = Record()
        self._authorized = self.profile.auth != "unauthorized"
        self._reboots: list[threading.Thread] = []
        self._gone = threading.Event()
        self._others = OtherLoad()
        self._gates: list[Gate] = []
        self.plant: PowerPlant | None = None
        self.time: PhoneTime | None = None
        self._passing: list[Callable[[float], None]] = []

    def __enter__(self) -> VirtualPhone:
        self._folder = Path(tempfile.mkdtemp(prefix="virtual_phone_"))
        self._cable = Cable(self)
        try:
            self._first_boot()
            self.set_benchmark()
            self._start_time()
            if self.profile.power is not None:
                busy = self.path(JOURNAL).with_name("busy")
                self.plant = PowerPlant(
                    self.profile.power,
                    busy,
                    self._node,
                    self.profile.throttle,
                    self.throttle,
                    self.profile.battery_level,
                )
                if self.time is None:
                    self.plant.start()
                else:
                    self.plant.follow(self.time.now())
                    self._passing.append(self.plant.advance)
            self.plug()
        except BaseException:
            self._clean_up()
            raise
        return self

    def _start_time(self) -> None:
        box = self._box
        if self.profile.simulated and isinstance(box, NamespaceSandbox):
            state, uptime = self._node(JOURNAL).parent, self.root / "uptime"
            with contextlib.suppress(OSError):
                self.time = PhoneTime(state, uptime, box.proc_path, self._passing)
        if self.time is None:
            self._others.start(box.stat_path())
        else:
            self._others.follow(box.stat_path(), self.time.now())
            self._passing.append(self._others.advance)

    def __exit__(self, *_: object) -> None:
        self._clean_up()
        if self._record.hook_errors:
            raise self._record.hook_errors[0]

    @property
    def log(self) -> list[LogEntry]:
        """Requests to the phone and events, in order."""
        return list(self._record.entries)

    @property
    def serial(self) -> str:
        return f"127.0.0.1:{self._cable.port}"

    @property
    def root(self) -> Path:
        return self._box.root

    @property
    def sandbox(self) -> str:
        return self._box.kind

    def path(self, phone_path: str) -> Path:
        """Returns the host's path of a file of the phone, valid while the phone is up.

        Do not call `resolve` on it: in a namespace it leads through /proc.
        """
        return self._box.host_path(phone_path)

    def processes(self) -> list[PhoneProcess]:
        """Returns the live processes that were started on the phone, by any means."""
        return processes_of(self._id)

    def wait_for_process(self, pattern: str, timeout_s: float = HANG_S) -> PhoneProcess:
        """Waits for a process whose command line matches and returns it.

        Raises:
            TimeoutError: if there is none within `timeout_s`.
        """
        end_s = time.monotonic() + timeout_s
        while time.monotonic() < end_s:
            for process in self.processes():
                if re.search(pattern, process.command):
                    return process
            time.sleep(0.02)
        raise TimeoutError(f"no process on the phone matches {pattern!r}: {self.processes()}")

    def wait_for_end(self, pattern: str, timeout_s: float = HANG_S) -> None:
        """Waits until no process has a matching command line.

        Raises:
            TimeoutError: if one is still running after `timeout_s`.
        """
        end_s = time.monotonic() + timeout_s
        while any(re.search(pattern, process.command) for process in self.processes()):
            if time.monotonic() > end_s:
                raise TimeoutError(f"a process matching {pattern!r} does not end on the phone")
            time.sleep(0.02)

    def commands(self) -> list[str]:
        """Returns the shell commands that the phone was asked to run, in order."""
        return [entry.text for entry in self.log if entry.kind == "command"]

    def benchmarks(self) -> list[dict[str, object]]:
        """Returns the journal of the stand-in `benchmark_model`, one entry per run."""
        return read_journal(self.path(JOURNAL))

    # Changes to a running phone.

    def on_command(self, pattern: str, callback: Callable[[], object], times: int = 1) -> None:
        """Calls `callback`, in its own thread, when a matching shell command has started.

        Args:
            pattern: Regular expression for the command.
            callback: Called with no arguments.
            times: Number of matching commands for which it is called.
        """
        self._record.on_command(pattern, callback, times)

    def during_run(self, action: Callable[[], object], run: int = 1) -> None:
        """Calls `action` during a run of the tool, which is paused until `action` returns.

        The run is paused after some inferences. An error in `action` is raised when the phone ends.

        Args:
            action: Called with no arguments.
            run: Number of the run, counted from the next one, which is 1.
        """
        if self.time is not None:
            self.time.gates = [lambda: None] * (run - 1) + [action]
            return
        if run != 1:
            self.during_run(lambda: self.during_run(action, run - 1))
            return
        folder = self._node(JOURNAL).parent
        self._gates.append(Gate(folder, action, self._record.hook_errors))

    def set_dumpsys(self, service: str, text: str) -> None:
        """Sets the output of `dumpsys SERVICE`."""
        put(self.root, f"/system/stub/dumpsys/{service}", text)

    def set_file(self, path: str, content: str) -> None:
        """Overwrites a file outside /data, such as a node below /sys."""
        put(self.root, path, content)

    def set_property(self, name: str, value: str) -> None:
        """Changes a property until the next boot."""
        self._properties[name] = value
        write_properties(self.root, self._properties)

    def jump_clock(self, seconds: float) -> None:
        """Moves the wall clock forward, as a network time update does."""
        self.note("clock", f"{seconds:+g}")
        put(self.root, "/system/stub/state/clock", f"{seconds:+g}\n")
        if self.time is not None:
            self.time.jumped_s = seconds

    def keep_busy(self, cores: float) -> None:
        """Keeps that many cores busy with other work from now on."""
        self.note("busy", f"{cores:g} cores")
        self._others.cores = cores

    def wait_until_busy(self, core_s: float) -> None:
        """Waits until the other work has used another `core_s` seconds of CPU time in total."""
        self._others.wait_until(core_s)

    def set_benchmark(self, **changes: object) -> None:
        """Changes the behavior of `benchmark_model`: fields of the profile such as `crash_exit`."""
        text = behavior_json(self.profile, self._box.inner_path(JOURNAL), changes)
        put(self.root, "/system/stub/benchmark.json", text)

    def cut_output(self, pattern: str, after_bytes: int) -> None:
        """Cuts the output of the next matching shell command, which also loses its exit code."""
        self._record.cut(pattern, after_bytes)

    def fill_disk(self) -> None:
        """Fills /data until `free_disk`."""
        self.note("disk full")
        self._box.fill_disk()

    def free_disk(self) -> None:
        """Undoes `fill_disk`."""
        self._box.free_disk()

    def throttle(self, heat: Throttle) -> None:
        """Lowers the clock rates and the speed of inferences, and reports it as a phone does."""
        self.note("throttle", f"to {heat.ratio:g}")
        for path, text in hot_files(self.profile, heat).items():
            put(self.root, path, text)

    def authorize(self) -> None:
        """Accepts the keys offered so far and later ones, as if the user had tapped "Allow"."""
        self._authorized = True
        for link in self._cable.links():
            if link.offered_key is not None:
                self.known_keys.add(link.offered_key)
                link.welcome()

    # The cable.

    def unplug(self) -> None:
        """Drops all connections at once and refuses new ones until `plug`."""
        self.note("unplug")
        self._cable.cut()

    def plug(self) -> None:
        """Accepts and answers connections; undoes `unplug`, `freeze` and `go_offline`."""
        self._cable.open()
        self.note("plug")

    def freeze(self) -> None:
        """Keeps all links open but answers nothing until `thaw` or `plug`."""
        self.note("freeze")
        self._cable.gate.clear()

    def thaw(self) -> None:
        """Undoes `freeze`."""
        self.note("thaw")
        self._cable.gate.set()

    def go_offline(self) -> None:
        """Drops all connections; new ones are accepted but never answered until `plug`."""
        self.note("go_offline")
        self._cable.greets = False
        self._cable.drop_links()

    def reboot(
        self, away_s: float = 0.5, boot_s: float = 0.0, back: threading.Event | None = None
    ) -> None:
        """Kills all processes and starts the phone again, with a new boot ID.

        Returns before the phone is up again.

        Args:
            away_s: Seconds without connections.
            boot_s: Seconds after that until `sys.boot_completed` is 1.
            back: Ends the time without connections when set, instead of `away_s`.
        """
        self.note("reboot")
        self._cable.cut()
        self._box.halt()
        thread = threading.Thread(target=self._come_back, args=(away_s, boot_s, back), daemon=True)
        self._reboots.append(thread)
        thread.start()

    def _come_back(self, away_s: float, boot_s: float, back: threading.Event | None) -> None:
        if back is not None:
            back.wait(HANG_S)
        if self._gone.wait(0 if back else away_s):
            return
        self._boot(completed=boot_s == 0)
        self.plug()
        if boot_s and not self._gone.wait(boot_s):
            self.set_property("sys.boot_completed", "1")

    # The interface for links; see `link.Owner`.

    def accepts_keys(self) -> bool:
        return self._authorized

    def answers(self) -> bool:
        return self._cable.greets

    def note(self, kind: str, text: str = "", status: int | None = None) -> None:
        """Adds an entry to the log."""
        self._record.note(kind, text, status)

    def serve(self, service: str) -> Callable[[Stream], None] | None:
        """Returns the handler of a service, None if this phone does not have it."""
        command = parse_service(service, self.profile.shell_v2)
        if command is not None:
            return ShellService(self._box, command, self.note, self._record.limit(command.text))
        if service == "sync:":
            return SyncService(self._box, self.note)
        if service == "root:":
            text = b"adbd cannot run as root in production builds\n"
            return lambda stream: stream.write(text)
        if service.startswith("tcpip:"):
            return lambda stream: self._listen_also(stream, int(service.partition(":")[2]))
        if service.startswith("reboot:"):
            # In its own thread, because it ends the link of the request.
            return lambda stream: threading.Thread(target=self.reboot, daemon=True).start()
        return None

    def _listen_also(self, stream: Stream, port: int) -> None:
        """Handles `adb tcpip`: the port opens a moment later, and the old link stays."""
        stream.write(f"restarting in TCP mode port: {port}\n".encode())
        thread = threading.Timer(_RESTART_S, self._cable.listen_also, (port,))
        self._reboots.append(thread)
        thread.start()

    # Boot and cleanup.

    def _first_boot(self) -> None:
        if self._wanted_sandbox != "shim":
            try:
                self._box: Sandbox = NamespaceSandbox(
                    self._folder / "namespace", self.profile, self._id
                )
                self._boot()
                return
            except OSError:
                if self._wanted_sandbox == "namespace":
                    raise
                if hasattr(self, "_box"):
                    self._box.close()
        self._box = FolderSandbox(self._folder / "shim", self.profile, self._id)
        self._boot()

    def _boot(self, completed: bool = True) -> None:
        self.boot_id = str(uuid.uuid4())
        self._properties = self.profile.all_properties()
        if not completed:
            self._properties["sys.boot_completed"] = ""
        write_properties(self.root, self._properties)
        self._box.boot(self.boot_id)
        self.note("boot", self.boot_id)

    def _node(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def _clean_up(self) -> None:
        self._gone.set()
        for gate in self._gates:
            gate.close()
        if self.time is not None:
            self.time.stop()
            self._record.hook_errors += self.time.errors
        self._others.stop()
        if self.plant is not None:
            self.plant.stop()
        for thread in self._reboots:
            thread.join()
        self._cable.close()
        if hasattr(self, "_box"):
            self._box.close()
        kill_all(self._id)
        self._record.finish()
        shutil.rmtree(self._folder, ignore_errors=True)
