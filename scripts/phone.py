"""Lists phones, connects them over Wi-Fi, and checks what can be measured on them.

    zoo phone list                     every phone that adb knows
    zoo phone doctor                   what can be measured on each phone, and the reason if not
    zoo phone doctor SERIAL            the same for one phone
    zoo phone connect --usb=SERIAL     switch a phone from USB to Wi-Fi, for energy measurements
    zoo phone connect HOST[:PORT]      connect a phone that listens on the network
    zoo phone pair HOST:PORT [CODE]    pair a phone with Android 11+ (Wireless debugging)

`doctor` changes nothing on a phone and leaves no files there. `pair` prompts for the code if it is
not given. The exit code is 1 if `list` finds no usable phone, or if `doctor` finds one on which
latency can't be measured.
"""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from absl import flags

from scripts.common import cli, help
from zoo.errors import UnknownNameError, ZooError

FLAGS = flags.FLAGS
flags.DEFINE_string("usb", None, "serial of the USB phone that is switched to Wi-Fi")
flags.DEFINE_integer("port", 5555, "port that the phone listens on", 1, 65535)
flags.DEFINE_float(
    "wait_secs", 15, "longest wait for the prompt on the phone, in seconds", lower_bound=0
)
flags.DEFINE_float("sample_secs", 5, "how long the battery gauge is sampled, in seconds", 2, 600)
flags.DEFINE_bool("json", False, "list and doctor: print JSON")
flags.DEFINE_string(
    "benchmark_binary", None, "path of your own benchmark_model (default: download)"
)
flags.DEFINE_string("adb", None, "path of adb (default: adb on PATH, else the one in adbutils)")
help.group("For connect", "usb", "port", "wait_secs")
help.group("For doctor", "sample_secs", "benchmark_binary")


def main(argv: list[str]) -> int:
    """Runs the subcommand."""
    command, words = (argv[1], argv[2:]) if len(argv) > 1 else ("", [])
    if not command:
        raise ZooError(
            "a subcommand is required",
            expected=", ".join(COMMANDS),
            remedy="see zoo phone --help",
        )
    if command not in COMMANDS:
        raise UnknownNameError("subcommand", command, COMMANDS)
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
        if rows:
            raise ZooError("no attached phone is usable", remedy="fix the problems listed above")
        raise ZooError(
            "no phone is attached",
            remedy="connect one over USB with USB debugging on, or run zoo phone connect HOST:PORT",
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
        cli.say(f"unplug the cable, then measure energy on battery with --device={phone.serial}")
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
    code = words[1] if len(words) > 1 else _prompted_code()
    wireless.pair(Adb(FLAGS.adb), address, code)
    cli.say(f"paired with {address}")
    cli.say("next: zoo phone connect HOST:PORT, with the port shown under Wireless debugging")
    return 0


def _prompted_code() -> str:
    if not sys.stdin.isatty():
        raise ZooError("a pairing code is required", expected="pair HOST:PORT CODE")
    return getpass.getpass("Pairing code (hidden): ").strip()


def _doctor(words: list[str]) -> int:
    from android_bench.adb.client import Adb
    from android_bench.doctor.diagnosis import heading
    from android_bench.doctor.examine import examine
    from android_bench.session.session import attached_phones

    adb = Adb(FLAGS.adb)
    binary = Path(FLAGS.benchmark_binary) if FLAGS.benchmark_binary else None
    diagnoses = []
    for phone in attached_phones(adb, ",".join(words) or "all"):
        diagnosis = examine(adb, phone, cli.cache(), tool=binary, sample_s=FLAGS.sample_secs)
        diagnoses.append(diagnosis)
        if not FLAGS.json:
            cli.say("\n".join([heading(diagnosis), *diagnosis.lines(), ""]))
    if FLAGS.json:
        cli.say(json.dumps([diagnosis.to_json() for diagnosis in diagnoses], indent=2))
    return 0 if all(diagnosis.measurable for diagnosis in diagnoses) else 1


def _expect(words: list[str], least: int, most: int, usage: str, secret: bool = False) -> None:
    if not least <= len(words) <= most:
        raise ZooError(
            "wrong arguments",
            expected=f"zoo phone {usage}",
            got=f"{len(words)} arguments" if secret and words else " ".join(words) or "none",
        )


COMMANDS: Mapping[str, Callable[[list[str]], int]] = {
    "list": _list,
    "connect": _connect,
    "pair": _pair,
    "doctor": _doctor,
}


if __name__ == "__main__":
    cli.run(main, positional=True)
