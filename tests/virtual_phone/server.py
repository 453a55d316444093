"""A private adb server: the real adb client, on a port and with keys of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import adbutils

from tests.support.processes import HANG_S
from tests.virtual_phone.processes import MARK, kill_all, processes_of


def free_port() -> int:
    """A TCP port of 127.0.0.1 on which nobody listens just now; never adb's own 5037."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
            sock.bind(("127.0.0.1", 0))
            port = int(sock.getsockname()[1])
        if port != 5037:
            return port


class AdbServer:
    """Runs an adb server for a `with` block.

    Attributes:
        adb: path of the adb client.
        env: the environment variables that make any adb client use this server.
        port: the server's TCP port.
    """

    def __init__(self) -> None:
        self.adb = str(adbutils.adb_path())
        self.env: dict[str, str] = {}
        self.port = 0
        self._mark = f"adb-{uuid.uuid4().hex}"
        self._home: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> AdbServer:
        self._home = Path(tempfile.mkdtemp(prefix="virtual_phone_adb_"))
        try:
            for _ in range(3):  # another process may take the free port before adb does
                if self._start():
                    return self
            raise RuntimeError(f"the private adb server does not start: {self.log()}")
        except BaseException:
            self.__exit__()
            raise

    def _start(self) -> bool:
        assert self._home is not None
        self.port = free_port()
        self.env = {
            "HOME": str(self._home),
            "TMPDIR": str(self._home),
            "ANDROID_ADB_SERVER_HOST": "127.0.0.1",  # adbutils' name for the same
            "ANDROID_ADB_SERVER_PORT": str(self.port),
            # A client starts a server by itself where there is none: the mark finds that too.
            MARK: self._mark,
            # No look-out for phones on USB, emulators or the network.
            "ADB_USB": "0",
            "ADB_LIBUSB": "0",
            "ADB_EMU": "0",
            "ADB_LOCAL_TRANSPORT_MAX_PORT": "5553",
            "ADB_MDNS": "0",
            "ADB_MDNS_AUTO_CONNECT": "0",
            "ADB_MDNS_OPENSCREEN": "0",
        }
        with (self._home / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self.adb, "-P", str(self.port), "nodaemon", "server"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
                cwd=self._home,
                start_new_session=True,
            )
        end_s = time.monotonic() + HANG_S
        while time.monotonic() < end_s and self._process.poll() is None:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
                if sock.connect_ex(("127.0.0.1", self.port)) == 0:
                    return True
            time.sleep(0.02)
        self.kill()
        return False

    def __exit__(self, *_: object) -> None:
        self.kill()
        kill_all(self._mark)
        if self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)
            self._home = None

    def kill(self) -> None:
        """Ends the server as a crash would; clients that run lose their connection."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=HANG_S)
            self._process = None

    def crash(self) -> None:
        """Ends whatever process is the server by now, also one that a client started itself."""
        self.kill()
        for process in processes_of(self._mark):
            if "fork-server" in process.command:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)

    def log(self) -> str:
        """What the server wrote."""
        if self._home is None:
            return ""
        return (self._home / "server.log").read_text(errors="replace")

    def _environment(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("ADB_", "ANDROID_"))}
        return {**inherited, **self.env}

    def run(
        self, *arguments: str, timeout: float = HANG_S, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs the adb client; `text` goes to its standard input.

        Raises:
            subprocess.TimeoutExpired: it took longer than `timeout` seconds, and was killed.
        """
        done = subprocess.run(
            [self.adb, *arguments],
            input=b"" if text is None else text.encode(),
            capture_output=True,
            env=self._environment(),
            timeout=timeout,
            check=False,
        )
        # Decoded here: subprocess would turn the CR LF of old phones into LF.
        outputs = (data.decode(errors="replace") for data in (done.stdout, done.stderr))
        return subprocess.CompletedProcess(done.args, done.returncode, *outputs)
