"""The programs that sample on the phone: which one, where, and how they are called."""

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
# Of `make sampler`, which gives the same bytes wherever it is run.
ARM64_SHA256 = "b0ddd427f0ef2421490daa5c0f402f51db57bdad36146f055328966e209bc0f4"
LOOP = _HERE / "sampler.sh"
# Name → where it may be, the usual place first: gauges of their own are called bms.
_SUPPLY = "/sys/class/power_supply"
NODES: dict[str, tuple[str, ...]] = {
    name: (f"{_SUPPLY}/battery/{name}", f"{_SUPPLY}/bms/{name}")
    for name in ("current_now", "voltage_now", "charge_counter", "temp", "capacity")
}


@dataclass(frozen=True)
class Sampler:
    """A program on this computer that the phone is to run.

    Attributes:
        kind: `native` or `loop`.
        path: the file.
        sha256: of it.
    """

    kind: str
    path: Path
    sha256: str

    def command(self, remote: str, period_s: float, limit_s: float, nodes: dict[str, str]) -> str:
        """The shell command that samples to stdout.

        Args:
            remote: the file on the phone.
            period_s: between two rows, 0.01 or more.
            limit_s: after which it ends by itself.
            nodes: name → path.
        """
        words = [f"{name}={path}" for name, path in nodes.items()]
        if self.kind == "native":
            start = [remote, str(round(1000 * period_s))]
        else:
            start = ["sh", remote, f"{period_s:.3f}"]
        return " ".join(quote(word) for word in (*start, str(round(limit_s)), *words))


def native(path: Path = ARM64, sha256: str | None = ARM64_SHA256) -> Sampler:
    """The program for 64-bit ARM, or another that was built from its source.

    Args:
        path: the file.
        sha256: what it must be; None for one's own.

    Raises:
        ZooError: it is not what it should be.
    """
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ZooError("cannot read the sampler", where=path, got=error.strerror) from error
    if sha256 is not None and found != sha256:
        raise ZooError(
            "the sampler is not the one that was built from its source",
            where=path,
            expected=f"sha256 {sha256}",
            got=found,
            remedy="make sampler, or install the package again",
        )
    return Sampler("native", path, found)


def loop() -> Sampler:
    """The shell loop, for phones that don't run the program."""
    return Sampler("loop", LOOP, hashlib.sha256(LOOP.read_bytes()).hexdigest())
