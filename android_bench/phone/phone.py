"""One phone in use: pushing files, running jobs, reading its state, and leaving nothing behind."""

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
_PUSH_BYTES_PER_S = 500_000  # a poor wireless link; slower than this counts as stuck
_STATE_TIMEOUT_S = 20.0  # each dumpsys service may take up to 10 s
_IDENTITY_TIMEOUT_S = 5.0
_SERIAL = re.compile(r"[0-9A-Za-z._-]{6,64}")
_NO_SERIALS = ("unknown", "0123456789abcdef", "0" * 8, "0" * 12, "0" * 16)  # of some makers
_LEAVE_S = 5.0  # that a phone which just dropped out is waited for, to tidy it up
_BOOTED = 'test "$(getprop sys.boot_completed)" = 1'


def lock_path(serial: str) -> Path:
    """The file that is locked while a process on this computer uses the phone."""
    return Path(tempfile.gettempdir(), f"mobile_model_zoo-{device_id(serial)}.lock")


class Phone:
    """A phone for exclusive use: `with Phone(adb, serial) as phone`.

    Entering takes a lock on this computer, so that two harnesses don't disturb each other's
    figures. Leaving ends everything of ours on the phone, removes the files (so far as the phone
    can be reached) and releases the lock.

    Args:
        adb: the client.
        serial: as `adb devices` lists it.
        tolerance_s: how long a job outlives a lost link.
        root: the folder on the phone that holds all of ours.
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
        """Its id: the same by cable and by Wi-Fi, where it tells its own serial number.

        Raises:
            PhoneLost: it can't be reached; the id then is that of what adb calls it.
        """
        said = self.shell("getprop ro.serialno", _IDENTITY_TIMEOUT_S).stdout.strip()
        if _SERIAL.fullmatch(said) and said.lower() not in _NO_SERIALS:
            self.id = device_id(said)
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
            pass  # out of reach: its own time limit ends a job, and the next start sweeps
        finally:
            self.release()

    def _leave(self) -> None:
        try:
            self.cleanup(purge=True)
        except PhoneLost:  # only just, perhaps; one that is gone for good is not waited for
            until = self.adb.clock.now() + min(_LEAVE_S, self.link.tolerance_s)
            if not self.link.reconnect(until):
                raise
            self.cleanup(purge=True)

    def acquire(self) -> None:
        """Takes the lock.

        Raises:
            ZooError: another process has it.
        """
        try:
            self._lock.acquire()
        except Timeout as error:
            raise ZooError(
                "another benchmark on this computer is using the phone",
                where=self._lock.lock_file,
                remedy="wait for it, or end it",
            ) from error
        except OSError as error:
            raise ZooError(
                "cannot lock the phone",
                where=self._lock.lock_file,
                got=error.strerror,
                remedy="another user's lock? remove the file, or set TMPDIR",
            ) from error

    def claim(self, seconds: float) -> None:
        """Takes the phone for so long, also from other computers; see `Lease.claim`."""
        try:
            self.link.patiently(lambda: self._lease.claim(seconds))
        except PhoneTaken:
            self._barred = True  # what runs there is not ours to end
            raise
        self._claimed = True

    def release(self) -> None:
        """Gives the lock back."""
        self._lock.release()

    def shell(self, command: str, timeout_s: float = 15.0) -> ShellResult:
        """Runs a short command; see `Link.shell`."""
        return self.link.shell(command, timeout_s)

    def push(self, local: Path, sha256: str, *, executable: bool = False) -> str:
        """Puts a file on the phone, unless it is there with that content, and returns its path.

        Raises:
            PhoneProblem: no room, or the content arrived changed.
            PhoneLost: the phone dropped out and did not come back in time.
        """
        return self.link.patiently(lambda: self._push(local, sha256, executable))

    def run(
        self, command: str, timeout_s: float, files: Sequence[str] = (), least_s: float = 0.0
    ) -> JobResult:
        """Runs a long command that survives a short loss of the link; see `Jobs.run`."""
        return self.jobs.run(command, timeout_s, files, least_s)

    def cleanup(self, *, purge: bool = False, timeout_s: float = 10.0) -> None:
        """Ends every job of ours and removes the job folders.

        With `purge` also all our files; settings are put back, and the phone is given back.

        Raises:
            PhoneLost: the phone can't be reached.
        """
        self.jobs.kill_all(timeout_s)
        if purge:
            if self._claimed:
                settings.restore(self.shell)
            self.shell(f"rm -rf {quote(self.root)}", timeout_s)
            if self._claimed:
                self._lease.release()

    def wait_ready(self, limit_s: float) -> bool:
        """Waits until the phone can be reached and has booted to the end."""
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
        """What the phone is; see `probe.parse_probe`."""
        return probe.parse_probe(self.shell(probe.PROBE_COMMAND, _STATE_TIMEOUT_S).stdout)

    def clusters(self) -> list[CpuCluster]:
        """Its cores and clocks."""
        return probe.parse_clusters(self.shell(probe.CLOCKS, _STATE_TIMEOUT_S).stdout)

    def state(self) -> dict[str, str]:
        """Battery, temperature and clocks now; see `state.parse_state`.

        Raises:
            PhoneLost: the phone can't be reached (a mere hang of `dumpsys` is no reason).
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
        made = self.shell(f"mkdir -p {self.root}/files && rm -f {quote(target)}.*")
        try:
            size = local.stat().st_size
        except OSError as error:
            raise ZooError("cannot read a file to push", where=local, got=error.strerror) from error
        limit_s = _PUSH_TIMEOUT_S + size / _PUSH_BYTES_PER_S
        where = ("-s", self.serial, "push", os.fspath(local.resolve()), temporary)
        done = self.adb.run(*where, timeout_s=limit_s)
        if made.code != 0 or done.returncode != 0:
            raise self._push_error(made, done, temporary, local)
        if not self._holds(temporary, local, sha256):
            self.shell(f"rm -f {quote(temporary)}")
            raise PhoneProblem(
                "a file changed on its way to the phone, or since it was hashed",
                where=local.name,
                remedy="run again; try another cable",
            )
        mode = "755" if executable else "644"
        moved = self.shell(f"chmod {mode} {quote(temporary)} && mv {quote(temporary)} {target}")
        if moved.code != 0:
            raise PhoneProblem("cannot keep a file on the phone", got=moved.stderr)
        return target

    def _holds(self, remote: str, local: Path, sha256: str) -> bool:
        """Whether the phone has that file with that content."""
        path = quote(remote)
        said = self.shell(f"[ -f {path} ] || exit 0; sha256sum {path} || sha1sum {path}", 60.0)
        found = re.search(r"^([0-9a-f]{64}|[0-9a-f]{40})\s", said.stdout, re.MULTILINE)
        if found is None:
            return False
        if len(found[1]) == 64:
            return found[1] == sha256
        with local.open("rb") as stream:  # Android 6 has no sha256sum
            return found[1] == hashlib.file_digest(stream, "sha1").hexdigest()

    def _push_error(
        self, made: ShellResult, done: Completed, temporary: str, local: Path
    ) -> ZooError:
        said = f"{made.stderr} {done.stderr} {done.stdout}"
        if done.returncode is None or not self.link.answers():
            return PhoneLost(f"left in mid-push: {lost_reason(done)}", done)
        # A partial file would keep the storage full.
        self.shell(f"rm -f {quote(temporary)}")
        if "No space left" in said:
            return PhoneProblem(
                "the phone's storage is full",
                where=local.name,
                remedy="free some storage on the phone",
            )
        return PhoneProblem(
            "cannot push a file to the phone",
            where=local.name,
            got=said.strip().splitlines()[-1] if said.strip() else f"exit code {done.returncode}",
            remedy="see what `adb push` says by hand",
        )
