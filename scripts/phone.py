"""Phones before they are measured: which there are, reaching them by Wi-Fi, what they can tell.

    python -m scripts.phone list                          every phone that adb knows
    python -m scripts.phone doctor                        what can be measured on each, and why not
    python -m scripts.phone doctor SERIAL                 on one
    python -m scripts.phone connect --usb=SERIAL          from the cable to Wi-Fi, for energy
    python -m scripts.phone connect HOST[:PORT]           a phone that listens on the network
    python -m scripts.phone pair HOST:PORT [CODE]         Android 11+: Wireless debugging, pairing

`list` ends with exit code 1 where no phone is usable, `doctor` where latency can't be measured on
one of them. The doctor changes nothing on a phone and leaves nothing there. Without CODE, `pair`
asks for it.
"""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from absl import flags

from scripts.common import cli
from zoo.errors import UnknownNameError, ZooError

FLAGS = flags.FLAGS
flags.DEFINE_string("usb", None, "connect: serial of a phone on a cable, to go on by Wi-Fi")
flags.DEFINE_integer("port", 5555, "connect: where the phone listens", 1, 65535)
flags.DEFINE_float("wait_secs", 15, "connect: for the key dialog on the phone", lower_bound=0)
flags.DEFINE_float("sample_secs", 5, "doctor: of the battery's gauge", 2, 600)
flags.DEFINE_bool("json", False, "list, doctor: print JSON")
flags.DEFINE_string("benchmark_binary", None, "doctor: your own benchmark_model")
flags.DEFINE_string("adb", None, "the adb client (default: the one on PATH, else adbutils' own)")


def main(argv: list[str]) -> int:
    """Runs the sub-command."""
    command, words = (argv[1], argv[2:]) if len(argv) > 1 else ("", [])
    if not command:
        raise ZooError(
            "no sub-command",
            expected=", ".join(COMMANDS),
            remedy="see python -m scripts.phone --help",
        )
    if command not in COMMANDS:
        raise UnknownNameError("sub-command", command, COMMANDS)
    return COMMANDS[command](words)


def _list(words: list[str]) -> int:
    from android_bench.adb.client import Adb
    from zoo.schema.device import device_id

    _expect(words, 0, 0, "list")
    phones = Adb(FLAGS.adb).devices()
    rows = [
        {
            "serial": phone.serial,
            "id": device_id(phone.serial),
            "state": phone.state,
            "model": phone.details.get("model", ""),
            "problem": phone.problem,
        }
        for phone in phones
    ]
    usable = any(phone.usable for phone in phones)
    if FLAGS.json:
        cli.say(json.dumps(rows, indent=2))
        return 0 if usable else 1
    widths = (
        {key: max((len(row[key]) for row in rows), default=0) for key in rows[0]} if rows else {}
    )
    for row in rows:
        cells = [row[key].ljust(widths[key]) for key in ("serial", "id", "state", "model")]
        cli.say("  ".join([*cells, row["problem"]]).rstrip())
    if not usable:
        what = "none of the phones is usable" if rows else "no phone is attached"
        raise ZooError(
            what,
            remedy="see above"
            if rows
            else "connect one by USB with USB debugging on, or run "
            "python -m scripts.phone connect HOST:PORT",
        )
    return 0


def _connect(words: list[str]) -> int:
    from android_bench.adb import wireless
    from android_bench.adb.client import Adb
    from android_bench.session.session import attached_phones
    from zoo.schema.device import device_id

    adb = Adb(FLAGS.adb)
    if FLAGS.usb:
        _expect(words, 0, 0, "connect --usb=SERIAL")
        usb = attached_phones(adb, FLAGS.usb)[0]
        phone = wireless.over_usb(adb, usb, FLAGS.port, wait_s=FLAGS.wait_secs, log=cli.say)
        cli.say(f"connected: {phone.serial} ({device_id(phone.serial)})")
        cli.say(
            f"Unplug the cable now: energy is measured on battery only, --device={phone.serial}"
        )
        return 0
    _expect(words, 1, 1, "connect HOST[:PORT], or connect --usb=SERIAL")
    address = wireless.parse_address(words[0], FLAGS.port)
    phone = wireless.connect(adb, address, wait_s=FLAGS.wait_secs, log=cli.say)
    cli.say(f"connected: {phone.serial} ({device_id(phone.serial)})")
    return 0


def _pair(words: list[str]) -> int:
    from android_bench.adb import wireless
    from android_bench.adb.client import Adb

    _expect(words, 1, 2, "pair HOST:PORT [CODE]", secret=True)
    address = wireless.parse_address(words[0])
    code = words[1] if len(words) > 1 else _asked()
    wireless.pair(Adb(FLAGS.adb), address, code)
    cli.say(f"paired with {address}")
    cli.say(
        "Now: python -m scripts.phone connect HOST:PORT, with the port under Wireless debugging"
    )
    return 0


def _asked() -> str:
    if not sys.stdin.isatty():
        raise ZooError("no pairing code", expected="pair HOST:PORT CODE")
    return getpass.getpass("Pairing code (not shown): ").strip()


def _doctor(words: list[str]) -> int:
    from android_bench.adb.client import Adb
    from android_bench.doctor.diagnosis import heading
    from android_bench.doctor.examine import examine
    from android_bench.session.session import attached_phones

    adb = Adb(FLAGS.adb)
    own = Path(FLAGS.benchmark_binary) if FLAGS.benchmark_binary else None
    found = []
    for phone in attached_phones(adb, ",".join(words) or "all"):
        diagnosis = examine(adb, phone, cli.cache(), tool=own, sample_s=FLAGS.sample_secs)
        found.append(diagnosis)
        if not FLAGS.json:
            cli.say("\n".join([heading(diagnosis), *diagnosis.lines(), ""]))
    if FLAGS.json:
        cli.say(json.dumps([diagnosis.to_json() for diagnosis in found], indent=2))
    return 0 if all(diagnosis.measurable for diagnosis in found) else 1


def _expect(words: list[str], least: int, most: int, usage: str, secret: bool = False) -> None:
    if not least <= len(words) <= most:
        raise ZooError(
            "wrong arguments",
            expected=f"python -m scripts.phone {usage}",
            got=f"{len(words)} of them" if secret else " ".join(words) or "none",
        )


COMMANDS: Mapping[str, Callable[[list[str]], int]] = {
    "list": _list,
    "connect": _connect,
    "pair": _pair,
    "doctor": _doctor,
}


if __name__ == "__main__":
    cli.run(main, positional=True)
