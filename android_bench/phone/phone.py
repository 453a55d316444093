"""Exclusive use of one phone: pushes files, runs jobs, reads its state and cleans up afterwards."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from types import TracebackType

from filelock import FileLock, Timeout

from android_bench.adb.client import Adb, Completed
from android_bench.adb.link import Link, PhoneLost, PhoneProblem, ShellResult, lost_reason
from android_bench.phone import probe, settings, state
from android_bench.phone.jobs import JobResult, Jobs
from android_bench.phone.lease import Lease, PhoneTaken
from android_bench.phone.probe import CpuCluster
from zoo.errors import ZooError
from zoo.schema.device import device_id

ROOT = "/data/local/tmp/mobile_model_zoo"
_PUSH_TIMEOUT_S = 30.0
_PUSH_BYTES_PER_S = 500_000  # speed of a poor Wi-Fi link; a slower push counts as stuck
_STATE_TIMEOUT_S = 20.0  # each dumpsys service may take up to 10 s
_IDENTITY_TIMEOUT_S = 5.0
_SERIAL = re.compile(r"[0-9A-Za-z._-]{6,64}")
_NO_SERIALS = ("unknown", "0123456789abcdef", "0" * 8, "0" * 12, "0" * 16)  # placeholders
_LEAVE_S = 5.0  # how long to wait for a lost phone before cleaning it up
_BOOTED = 'test "$(getprop sys.boot_completed)" = 1'


def lock_path(serial: str) -> Path:
    """Returns the file that is locked while a process on this computer uses the phone."""
    return Path(tempfile.gettempdir(), f"mobile_model_zoo-{device_id(serial)}.lock")


class Phone:
    """A phone for exclusive use: `with Phone(adb, serial) as phone`.

    Entering takes a lock on this computer, so two benchmarks do not disturb each other. Leaving
    kills our jobs, removes our files if the phone can be reached, and releases the lock.

    Args:
        adb: The adb client.
        serial: Serial number or address as listed by `adb devices`.
        tolerance_s: Seconds that a job waits for a lost phone to come back.
        root: Folder on the phone for all of our files.
    """

    def __init__(self, adb: Adb, serial: str, *, tolerance_s: float = 20.0, root: str = ROOT):
        self.adb = adb
        self.serial = serial
        self.id = device_id(serial)
        self.link = Link(adb, serial, tolerance_s=tolerance_s)
        self.root = root
        self.jobs = Jobs(self.link, root)
        self._lock = FileLock(lock_path(serial), timeout=0)
        self._lease = Lease(self.shell)
        self._claimed = self._barred = False

    def identify(self) -> str:
        """Returns the phone's id, which is the same over USB and Wi-Fi.

        The id comes from the serial number that the phone reports. If it reports none, or cannot be
        reached, `id` stays that of its serial in adb.

        Raises:
            PhoneLost: if the phone cannot be reached.
        """
        serial = self.shell("getprop ro.serialno", _IDENTITY_TIMEOUT_S).stdout.strip()
        if _SERIAL.fullmatch(serial) and serial.lower() not in _NO_SERIALS:
            self.id = device_id(serial)
        return self.id

    def __enter__(self) -> Phone:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if not self._barred:
                self._leave()
        except ZooError:
            pass  # unreachable: jobs end by their timeout, and the next session cleans up
        finally:
            self.release()

    def _leave(self) -> None:
        try:
            self.cleanup(purge=True)
        except PhoneLost:  # perhaps only briefly, so it is not waited for long
            until = self.adb.clock.now() + min(_LEAVE_S, self.link.tolerance_s)
            if not self.link.reconnect(until):
                raise
            self.cleanup(purge=True)

    def acquire(self) -> None:
        """Takes the lock on this computer.

        Raises:
            ZooError: if another process holds it or the lock file cannot be written.
        """
        try:
            self._lock.acquire()
        except Timeout as error:
            raise ZooError(
                "another benchmark on this computer is using the phone",
                where=self._lock.lock_file,
                remedy="wait for it to finish, or end it",
            ) from error
        except OSError as error:
            raise ZooError(
                "cannot lock the phone",
                where=self._lock.lock_file,
                got=error.strerror,
                remedy="remove the file if it belongs to another user, or set TMPDIR",
            ) from error

    def claim(self, seconds: float) -> None:
        """Leases the phone for `seconds`, also against other computers; see `Lease.claim`."""
        try:
            self.link.patiently(lambda: self._lease.claim(seconds))
        except PhoneTaken:
            self._barred = True  # its jobs belong to another benchmark and must not be killed
            raise
        self._claimed = True

    def release(self) -> None:
        """Releases the lock on this computer."""
        self._lock.release()

    def shell(self, command: str, timeout_s: float = 15.0) -> ShellResult:
        """Runs a short shell command; see `Link.shell`."""
        return self.link.shell(command, timeout_s)

    def push(self, local: Path, sha256: str, *, executable: bool = False) -> str:
        """Copies a file to the phone and returns its path there.

        A file that is already there is not copied again.

        Args:
            local: File on this computer.
            sha256: SHA-256 of the file.
            executable: Whether to make it executable.

        Raises:
            PhoneProblem: if storage is full or the copy does not match `sha256`.
            PhoneLost: if the phone is lost for longer than the link tolerates.
        """
        return self.link.patiently(lambda: self._push(local, sha256, executable))

    def run(
        self, command: str, timeout_s: float, files: Sequence[str] = (), least_s: float = 0.0
    ) -> JobResult:
        """Runs a long command that survives a short link loss; see `Jobs.run`."""
        return self.jobs.run(command, timeout_s, files, least_s)

    def cleanup(self, *, purge: bool = False, timeout_s: float = 10.0) -> None:
        """Kills our jobs and removes their folders.

        Args:
            purge: Whether to also remove all our files, restore settings and end the lease.
            timeout_s: Timeout of each command in seconds.

        Raises:
            PhoneLost: if the phone cannot be reached.
        """
        self.jobs.kill_all(timeout_s)
        if purge:
            if self._claimed:
                settings.restore(self.shell)
            self.shell(f"rm -rf {quote(self.root)}", timeout_s)
            if self._claimed:
                self._lease.release()

    def wait_ready(self, limit_s: float) -> bool:
        """Waits up to `limit_s` seconds for the phone to boot; returns whether it is ready."""
        clock = self.adb.clock
        until = clock.now() + limit_s
        while self.link.reconnect(until):
            try:
                if self.shell(_BOOTED).code == 0:
                    return True
            except PhoneLost:
                continue
            clock.sleep(min(1.0, max(0.0, until - clock.now())))
        return False

    def probe(self) -> dict[str, str]:
        """Reads the phone's properties; see `probe.parse_probe`."""
        return probe.parse_probe(self.shell(probe.PROBE_COMMAND, _STATE_TIMEOUT_S).stdout)

    def clusters(self) -> list[CpuCluster]:
        """Reads the CPU clusters and their clocks."""
        return probe.parse_clusters(self.shell(probe.CLOCKS, _STATE_TIMEOUT_S).stdout)

    def state(self) -> dict[str, str]:
        """Reads battery, temperature and clocks; see `state.parse_state`.

        If `dumpsys` hangs, all values are unknown.

        Raises:
            PhoneLost: if the phone cannot be reached.
        """
        try:
            return state.parse_state(self.shell(state.STATE_COMMAND, _STATE_TIMEOUT_S).stdout)
        except PhoneProblem:
            return state.unknown_state()
        except PhoneLost:
            if self.link.answers():
                return state.unknown_state()
            raise

    def _push(self, local: Path, sha256: str, executable: bool) -> str:
        target = f"{self.root}/files/{sha256}"
        if self._holds(target, local, sha256):
            return target
        temporary = f"{target}.{secrets.token_hex(4)}"
        prepared = self.shell(f"mkdir -p {self.root}/files && rm -f {quote(target)}.*")
        try:
            size = local.stat().st_size
        except OSError as error:
            raise ZooError("cannot read a file to push", where=local, got=error.strerror) from error
        limit_s = _PUSH_TIMEOUT_S + size / _PUSH_BYTES_PER_S
        arguments = ("-s", self.serial, "push", os.fspath(local.resolve()), temporary)
        done = self.adb.run(*arguments, timeout_s=limit_s)
        if prepared.code != 0 or done.returncode != 0:
            raise self._push_error(prepared, done, temporary, local)
        if not self._holds(temporary, local, sha256):
            self.shell(f"rm -f {quote(temporary)}")
            raise PhoneProblem(
                "a file was corrupted on its way to the phone, or changed since it was hashed",
                where=local.name,
                remedy="run again; try another cable",
            )
        mode = "755" if executable else "644"
        moved = self.shell(f"chmod {mode} {quote(temporary)} && mv {quote(temporary)} {target}")
        if moved.code != 0:
            raise PhoneProblem("cannot store a file on the phone", got=moved.stderr)
        return target

    def _holds(self, remote: str, local: Path, sha256: str) -> bool:
        """Returns whether `remote` exists on the phone with the content of `local`."""
        path = quote(remote)
        done = self.shell(f"[ -f {path} ] || exit 0; sha256sum {path} || sha1sum {path}", 60.0)
        match = re.search(r"^([0-9a-f]{64}|[0-9a-f]{40})\s", done.stdout, re.MULTILINE)
        if match is None:
            return False
        if len(match[1]) == 64:
            return match[1] == sha256
        with local.open("rb") as stream:  # Android 6 has no sha256sum
            return match[1] == hashlib.file_digest(stream, "sha1").hexdigest()

    def _push_error(
        self, prepared: ShellResult, done: Completed, temporary: str, local: Path
    ) -> ZooError:
        text = f"{prepared.stderr} {done.stderr} {done.stdout}"
        if done.returncode is None or not self.link.answers():
            return PhoneLost(f"phone lost during a push: {lost_reason(done)}", done)
        # A partial file would keep the storage full.
        self.shell(f"rm -f {quote(temporary)}")
        if "No space left" in text:
            return PhoneProblem(
                "the phone's storage is full",
                where=local.name,
                remedy="free some storage on the phone",
            )
        return PhoneProblem(
            "cannot push a file to the phone",
            where=local.name,
            got=text.strip().splitlines()[-1] if text.strip() else f"exit code {done.returncode}",
            remedy="try `adb push` by hand",
        )
