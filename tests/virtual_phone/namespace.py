"""A phone in its own Linux namespaces: root folder, process table, and disk of a given size.

One process, the keeper, holds the mounts for the lifetime of the phone. A second one is the phone's
process 1 and lives from boot to boot. Both read from a pipe of the tests, so they end when the
tests are killed, and with them all processes of the phone.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.processes import HANG_S
from tests.virtual_phone.processes import MARK, kill_all
from tests.virtual_phone.profile import PhoneProfile
from tests.virtual_phone.sandbox import Sandbox, normal
from tests.virtual_phone.tree import SHELL_UID, stat_text

_SYSTEM_FOLDERS = ("bin", "lib", "lib32", "lib64", "sbin", "usr")

# $1: root folder of the phone; $2: size of /data in bytes; others: host folders to mount at the
# same path in the phone.
_KEEPER = f"""set -e
root=$1; size=$2; shift 2
for folder in "$@"; do mount --bind "$folder" "$root$folder"; done
mount --bind /dev "$root/dev"
mount -t tmpfs -o "size=$size,mode=771,uid={SHELL_UID},gid={SHELL_UID}" tmpfs "$root/data"
mkdir -p "$root/data/local/tmp"
chown -R {SHELL_UID}:{SHELL_UID} "$root/data" "$root/sdcard" "$root/system/stub/state"
echo ready
exec cat
"""

# With SIGCHLD ignored, the kernel reaps orphans of the phone by itself.
_INIT = """set -e
mount -t proc proc /proc
mount --bind /boot_id /proc/sys/kernel/random/boot_id
mount --bind /stat /proc/stat
[ ! -f /uptime ] || mount --bind /uptime /proc/uptime
echo ready
exec env --ignore-signal=CHLD cat
"""


class NamespaceSandbox(Sandbox):
    """A sandbox of mount and process namespaces, which requires root.

    Raises:
        OSError: if this computer does not allow namespaces or lacks a required command.
    """

    kind = "namespace"

    def __init__(self, folder: Path, profile: PhoneProfile, phone_id: str):
        for program in ("unshare", "nsenter", "mount"):
            if shutil.which(program) is None:
                raise OSError(f"no {program} on this computer")
        if os.geteuid() != 0:
            raise OSError("not root")
        super().__init__(folder, profile, phone_id)
        self._init: subprocess.Popen[bytes] | None = None
        self._init_pid = 0
        shown = self._mount_points()
        keeper = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _KEEPER, "sh"]
        self._keeper = _start([*keeper, str(self.root), str(profile.disk_bytes), *shown])

    def _mount_points(self) -> list[str]:
        """Creates the mount points; returns the host folders that are mounted in the phone."""
        for name in ("dev", "tmp"):
            (self.root / name).mkdir(exist_ok=True)
        (self.root / "boot_id").touch()
        (self.root / "stat").write_text(stat_text(0))
        if self.profile.simulated:
            (self.root / "uptime").touch()
        shown = []
        for name in _SYSTEM_FOLDERS:
            source = Path("/", name)
            if source.is_symlink():
                (self.root / name).symlink_to(source.readlink())
            elif source.is_dir():
                shown.append(str(source))
        # The stand-in for benchmark_model needs this Python interpreter and its packages.
        packages = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
        # With and without symbolic links resolved.
        needed = [str(Path(path)) for path in (sys.prefix, sys.base_prefix, *packages)]
        for folder in (*needed, *(str(Path(path).resolve()) for path in needed)):
            if Path(folder).is_dir() and not any(
                folder == other or folder.startswith(other + "/") for other in shown
            ):
                shown.append(folder)
        for folder in shown:
            (self.root / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
        return shown

    def boot(self, boot_id: str) -> None:
        (self.root / "boot_id").write_text(boot_id + "\n")
        root = f"/proc/{self._keeper.pid}/root{self.root}"
        enter = ["nsenter", f"--target={self._keeper.pid}", "--mount"]
        enter += [f"--root={root}", f"--wd={root}"]
        divide = ["unshare", "--pid", "--mount", "--propagation", "unchanged"]
        divide += ["--fork", "--kill-child", "sh", "-c", _INIT]
        self._init = _start([*enter, *divide])
        parent = self._init.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        self._init_pid = int(children[0])
        self._try_out()

    def _try_out(self) -> None:
        """Raises OSError if the shell user cannot run the Python that the stand-in needs."""
        trial = self.spawn(f"exec {shlex.quote(sys.executable)} -I -c ''", subprocess.STDOUT)
        output = trial.communicate(timeout=HANG_S)[0].decode(errors="replace")
        if trial.returncode != 0:
            raise OSError(f"{sys.executable} does not run in a namespace: {output[:300]}")

    def halt(self) -> None:
        if self._init is not None:
            _stop(self._init)  # also ends its child, process 1, and with it all others
            self._init = None
        kill_all(self.phone_id)

    def close(self) -> None:
        self.halt()
        _stop(self._keeper)

    def proc_path(self) -> Path:
        """Returns the phone's /proc; a path that does not exist while the phone is down."""
        return Path(f"/proc/{self._init_pid if self._init else 0}/root/proc")

    def stat_path(self) -> Path:
        return self.root / "stat"

    def host_path(self, path: str) -> Path:
        return Path(f"/proc/{self._keeper.pid}/root{self.root}{normal(path)}")

    def inner_path(self, path: str) -> str:
        return normal(path)

    def spawn(self, command: str, stderr: int) -> subprocess.Popen[bytes]:
        environment = self.environment()
        # nsenter belongs to the daemon, not to the phone, so it does not get the mark.
        mark = f"{MARK}={environment.pop(MARK)}"
        argv = ["/usr/bin/nsenter", f"--target={self._init_pid}", "--mount", "--pid", "--root"]
        argv += ["--wd", f"--setuid={SHELL_UID}", f"--setgid={SHELL_UID}"]
        argv += ["/usr/bin/env", mark, "/system/bin/sh"]
        return self._popen([*argv, "-c", command] if command else argv, environment, stderr)

    def free_bytes(self) -> int:
        disk = os.statvfs(self.host_path("/data"))
        return disk.f_bavail * disk.f_frsize


def _start(argv: list[str]) -> subprocess.Popen[bytes]:
    """Starts a process and waits until it prints `ready`.

    Raises:
        OSError: if the process ends before that; the message has its stderr.
    """
    process = subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None and process.stderr is not None
    if process.stdout.readline() != b"ready\n":
        error = process.stderr.read(1000).decode(errors="replace")
        _stop(process)
        raise OSError(f"{argv[0]} failed: {error}")
    return process


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait(timeout=HANG_S)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
