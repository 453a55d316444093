"""The sandbox in which a phone's commands run: the interface, and a variant that needs no root.

`FolderSandbox` runs commands on the host. It rewrites the phone's absolute paths in them to paths
in the phone's folder, and vice versa in their output. `namespace.NamespaceSandbox` gives the phone
its own root folder, process table and disk instead.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import IO, Literal

from tests.virtual_phone.processes import MARK, kill_all
from tests.virtual_phone.profile import PhoneProfile
from tests.virtual_phone.stubs import DF_IN_A_FOLDER, ID_IN_A_FOLDER
from tests.virtual_phone.tree import BOOT_ID_PATH, build_tree, put, stat_text, write_program

_PHONE_PATH = re.compile(
    r"(?<![\w./)}-])/(?=(?:data|sdcard|sys|system|proc/sys/kernel/random/boot_id|proc/stat)(?![\w.-]))"
)
_FILLER = "/data/filler"


class Sandbox(ABC):
    """A phone's files and the means to run commands on them.

    Args:
        folder: Empty folder on the host for the phone.
        profile: Profile of the phone.
        phone_id: Mark of the phone's processes.
    """

    kind: Literal["namespace", "shim"]

    def __init__(self, folder: Path, profile: PhoneProfile, phone_id: str):
        self.root = folder / "root"
        self.root.mkdir(mode=0o755, parents=True)
        self.profile = profile
        self.phone_id = phone_id
        if self.kind == "shim":
            profile = replace(profile, simulated=False)
        build_tree(self.root, profile)

    @abstractmethod
    def boot(self, boot_id: str) -> None:
        """Starts the phone, which can then run commands, with the given boot ID."""

    @abstractmethod
    def halt(self) -> None:
        """Kills all processes of the phone; its files stay."""

    @abstractmethod
    def close(self) -> None:
        """Kills all processes and releases all resources of the host except the folder."""

    @abstractmethod
    def host_path(self, path: str) -> Path:
        """Returns the host's path for a path of the phone."""

    @abstractmethod
    def stat_path(self) -> Path:
        """Returns the host's path of the phone's /proc/stat."""

    @abstractmethod
    def inner_path(self, path: str) -> str:
        """Returns the path that a program on the phone opens for a path of the phone."""

    @abstractmethod
    def spawn(self, command: str, stderr: int) -> subprocess.Popen[bytes]:
        """Starts `sh -c command` (plain `sh` if it is empty) with pipes, in its own session."""

    @property
    def foreign_prefix(self) -> bytes:
        """Prefix to remove from paths in the output of commands; empty for none."""
        return b""

    def may_write(self, path: str) -> bool:
        """Returns whether the adb daemon, which does not run as root, may create a file there."""
        return normal(path).startswith(("/data/local/tmp/", "/sdcard/"))

    @abstractmethod
    def free_bytes(self) -> int:
        """Returns the free space on /data in bytes."""

    def fill_disk(self) -> None:
        """Fills /data until `free_disk`."""
        path = self.host_path(_FILLER)
        with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
            for size in (2**20, 2**12, 1):  # fills it to the last byte
                while self.free_bytes() > 0 and file.write(bytes(size)) == size:
                    pass

    def free_disk(self) -> None:
        """Undoes `fill_disk`."""
        self.host_path(_FILLER).unlink(missing_ok=True)

    def environment(self) -> dict[str, str]:
        """Returns the environment of commands on the phone, with the phone's mark."""
        return {
            "ANDROID_DATA": "/data",
            "ANDROID_ROOT": "/system",
            "HOME": "/",
            "PATH": self.inner_path("/system/bin"),
            "SHELL": "/system/bin/sh",
            "TMPDIR": self.inner_path("/data/local/tmp"),
            "USER": "shell",
            "VIRTUAL_PHONE_BENCHMARK": self.inner_path("/system/stub/benchmark.json"),
            MARK: self.phone_id,
        }

    def _popen(
        self, argv: list[str], environment: dict[str, str], stderr: int | IO[bytes]
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environment,
            cwd=self.root,
            bufsize=0,
            start_new_session=True,
        )


def normal(path: str) -> str:
    """Returns an absolute path without `.`, `..` and repeated slashes.

    `..` is resolved in the text, so no request can leave the phone's folder.
    """
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


class FolderSandbox(Sandbox):
    """A sandbox in a plain folder, for computers on which namespaces are not allowed."""

    kind = "shim"

    def __init__(self, folder: Path, profile: PhoneProfile, phone_id: str):
        super().__init__(folder, profile, phone_id)
        programs = self.root / "system/bin"
        disk = DF_IN_A_FOLDER.replace("@DISK_BYTES@", str(profile.disk_bytes))
        write_program(programs / "df", disk)
        write_program(programs / "id", ID_IN_A_FOLDER)
        for path in profile.denied:  # even the owner cannot read these files, only root
            self.host_path(path).chmod(0)
        shell = shutil.which("sh")
        if shell is None:
            raise RuntimeError("the virtual phone needs a POSIX sh on this computer")
        self._shell = shell
        put(self.root, "/proc/stat", stat_text(0))
        if not re.fullmatch(r"[\w./-]+", str(self.root)):
            raise RuntimeError(f"commands can't be rewritten to a folder like {self.root}")

    def boot(self, boot_id: str) -> None:
        put(self.root, BOOT_ID_PATH, boot_id + "\n")

    def halt(self) -> None:
        kill_all(self.phone_id)

    def close(self) -> None:
        self.halt()

    def host_path(self, path: str) -> Path:
        return self.root / normal(path).lstrip("/")

    def stat_path(self) -> Path:
        return self.host_path("/proc/stat")

    def inner_path(self, path: str) -> str:
        return str(self.host_path(path))

    def spawn(self, command: str, stderr: int) -> subprocess.Popen[bytes]:
        inward = _PHONE_PATH.sub(lambda _: f"{self.root}/", command)
        argv = [self._shell, "-c", inward] if command else [self._shell]
        return self._popen(argv, self.environment(), stderr)

    @property
    def foreign_prefix(self) -> bytes:
        return str(self.root).encode()

    def free_bytes(self) -> int:
        files = (path for path in (self.root / "data").rglob("*") if path.is_file())
        return self.profile.disk_bytes - sum(path.stat().st_size for path in files)
