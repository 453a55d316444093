"""A private adb server: the real adb, with its own port and keys."""

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
    """Returns a free TCP port of 127.0.0.1, never adb's default port 5037."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
            sock.bind(("127.0.0.1", 0))
            port = int(sock.getsockname()[1])
        if port != 5037:
            return port


class AdbServer:
    """Runs an adb server for a `with` block.

    Attributes:
        adb: Path of the adb client.
        env: Environment variables that make any adb client use this server.
        port: TCP port of the server.
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
            "ANDROID_ADB_SERVER_HOST": "127.0.0.1",  # read by adbutils
            "ANDROID_ADB_SERVER_PORT": str(self.port),
            # Clients start a server if there is none; the mark is inherited by that server.
            MARK: self._mark,
            # No search for phones on USB, emulators or in the network.
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
        """Kills the server, as in a crash; running clients lose their connection."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=HANG_S)
            self._process = None

    def crash(self) -> None:
        """Kills the current server, even if a client has started it."""
        self.kill()
        for process in processes_of(self._mark):
            if "fork-server" in process.command:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)

    def log(self) -> str:
        """Returns the output of the server."""
        if self._home is None:
            return ""
        return (self._home / "server.log").read_text(errors="replace")

    def _environment(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("ADB_", "ANDROID_"))}
        return {**inherited, **self.env}

    def run(
        self, *arguments: str, timeout: float = HANG_S, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs the adb client.

        Args:
            arguments: Arguments of the client.
            timeout: Seconds after which the client is killed.
            text: Standard input; None for an empty one.

        Raises:
            subprocess.TimeoutExpired: if the client takes longer than `timeout`.
        """
        done = subprocess.run(
            [self.adb, *arguments],
            input=b"" if text is None else text.encode(),
            capture_output=True,
            env=self._environment(),
            timeout=timeout,
            check=False,
        )
        # Decoded here, because subprocess would convert the CR LF of old phones to LF.
        outputs = (data.decode(errors="replace") for data in (done.stdout, done.stderr))
        return subprocess.CompletedProcess(done.args, done.returncode, *outputs)
