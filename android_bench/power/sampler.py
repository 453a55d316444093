"""The sampler programs for phones: files, checksums and command lines."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from zoo.errors import ZooError

_HERE = Path(__file__).parent
SOURCE = _HERE / "sampler.c"
ARM64 = _HERE / "sampler-arm64"
BUILD = ("-target", "aarch64-linux-musl", "-Os", "-s", "-static")  # of ziglang 0.17.1
# Of the reproducible build by `make sampler`.
ARM64_SHA256 = "b0ddd427f0ef2421490daa5c0f402f51db57bdad36146f055328966e209bc0f4"
LOOP = _HERE / "sampler.sh"
# Node name → candidate paths, the usual one first; separate gauge chips appear as bms.
_SUPPLY = "/sys/class/power_supply"
NODES: dict[str, tuple[str, ...]] = {
    name: (f"{_SUPPLY}/battery/{name}", f"{_SUPPLY}/bms/{name}")
    for name in ("current_now", "voltage_now", "charge_counter", "temp", "capacity")
}


@dataclass(frozen=True)
class Sampler:
    """A sampler program.

    Attributes:
        kind: `native` (compiled) or `loop` (shell script).
        path: Path of the program on this computer.
        sha256: SHA-256 of the file.
    """

    kind: str
    path: Path
    sha256: str

    def command(self, remote: str, period_s: float, limit_s: float, nodes: dict[str, str]) -> str:
        """Returns the shell command that samples to stdout.

        Args:
            remote: Path of the program on the phone.
            period_s: Sampling period in seconds, at least 0.01.
            limit_s: Seconds after which the sampler exits.
            nodes: Node name → path.
        """
        words = [f"{name}={path}" for name, path in nodes.items()]
        if self.kind == "native":
            start = [remote, str(round(1000 * period_s))]
        else:
            start = ["sh", remote, f"{period_s:.3f}"]
        return " ".join(quote(word) for word in (*start, str(round(limit_s)), *words))


def native(path: Path = ARM64, sha256: str | None = ARM64_SHA256) -> Sampler:
    """Returns the compiled sampler, by default the one for 64-bit ARM.

    Args:
        path: Path of the program.
        sha256: Required SHA-256 of the file; None to accept any.

    Raises:
        ZooError: if the file cannot be read or has another hash.
    """
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ZooError("cannot read the sampler", where=path, got=error.strerror) from error
    if sha256 is not None and digest != sha256:
        raise ZooError(
            "the sampler differs from the build of its source",
            where=path,
            expected=f"sha256 {sha256}",
            got=digest,
            remedy="run make sampler, or reinstall the package",
        )
    return Sampler("native", path, digest)


def loop() -> Sampler:
    """Returns the shell sampler, for phones that cannot run the compiled one."""
    return Sampler("loop", LOOP, hashlib.sha256(LOOP.read_bytes()).hexdigest())
