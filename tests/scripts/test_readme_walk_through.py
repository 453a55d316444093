"""Runs the commands of the README's walk-through, from the download to the recommendation.

They run on a virtual phone, exactly as they are in the README, except for the serial, the Wi-Fi
port (another adb may use 5555), and the durations of metering and of the sustained run.
"""

import json
import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from android_bench.tools.binary import ADDRESS
from tests.conftest import Run
from tests.support.processes import HANG_S
from tests.virtual_phone import AdbServer, PhoneProfile, Power, VirtualPhone, stand_in_binary
from zoo.io import cache
from zoo.io.files import sha256_of
from zoo.schema.device import device_id
from zoo.schema.json_files import read_records
from zoo.schema.measurement import Accuracy, Agreement, Measurement, Sustained

ROOT = Path(__file__).parents[2]
COMMANDS = [
    line
    for block in re.findall(r"```walk-through\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    for line in block.splitlines()
]
SHORTER = {
    "--energy": "--energy --energy_secs=32 --idle_secs=9",
    "--sustained_minutes=10": "--sustained_minutes=0.75",
}


@pytest.fixture
def folder(command: Run, tmp_path: Path) -> Path:
    """A folder with a cache that has the tool and the test images, as if downloaded."""
    done = command("data", "--dataset=fashion_mnist")
    if done.returncode:
        pytest.skip(f"Fashion-MNIST is not available: {done.stderr}")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "fashion_mnist").symlink_to(cache.folder() / "fashion_mnist")
    tool = stand_in_binary(tmp_path / "cache", "android_aarch64_benchmark_model")
    origin = {
        "url": ADDRESS.format(platform="android_aarch64"),
        "sha256": sha256_of(tool),
        "bytes": tool.stat().st_size,
        "downloaded_utc": "2026-01-01T00:00:00+00:00",
    }
    tool.with_name(f"{tool.name}.json").write_text(json.dumps(origin))
    return tmp_path


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.slow
def test_every_command(folder: Path):
    assert len(COMMANDS) == 11
    profile = PhoneProfile(
        wifi="127.0.0.1",
        usb_powered=False,
        power=Power(charging_positive=False),
        slow_ms=30,
        simulated=True,
    )
    port = free_port()
    with AdbServer() as adb, VirtualPhone(profile) as phone:
        phone.set_property("ro.serialno", "R58M12ABCDE")
        adb.run("connect", phone.serial)
        for command in COMMANDS:
            line = command.replace("SERIAL", phone.serial).replace(
                "ADDRESS:5555", f"127.0.0.1:{port}"
            )
            for long, short in SHORTER.items():
                line = line.replace(long, short)
            words = shlex.split(line)
            assert words[0] == "zoo", command
            if "connect" in words:
                words.append(f"--port={port}")
            if "recommend" in line:  # the serial of a phone on a cable is its own
                words = [word.replace(phone.serial, "R58M12ABCDE") for word in words]
            done = subprocess.run(
                [sys.executable, "-m", f"scripts.{words[1]}", *words[2:]],
                cwd=folder,
                env={
                    **os.environ, **adb.env, "PYTHONPATH": str(ROOT),
                    "MODEL_ZOO_CACHE": str(folder / "cache"),
                },
                capture_output=True, text=True, check=False, timeout=HANG_S,
            )  # fmt: skip
            assert done.returncode == 0, (command, done.stdout, done.stderr)
        assert list(phone.path("/data/local/tmp").iterdir()) == []
    (model,) = (folder / "output" / "artifacts").glob("*.tflite")
    assert sha256_of(model) == sha256_of(ROOT / "release" / "artifacts" / model.name)
    records, problems = read_records(folder / "output" / "results.jsonl")
    assert problems == []
    timed = [record for record in records if not isinstance(record, Accuracy)]
    rows = [row for row in timed if row.device.kind == "phone"]
    assert all(row.valid for row in rows), [row.reasons for row in rows if not row.valid]
    assert {row.device.id for row in rows} == {device_id("R58M12ABCDE")}, "one phone, two links"
    by_kind = {kind: [r for r in rows if isinstance(r, kind)] for kind in
               (Measurement, Agreement, Sustained)}  # fmt: skip
    assert [len(found) for found in by_kind.values()] == [12, 3, 1]
    assert all(row.top1_agreement == 1 for row in by_kind[Agreement])
    metered = [row.energy for row in by_kind[Measurement] if row.energy is not None]
    assert len(metered) == 1 and metered[0].charging_is == "negative"
    page = (folder / "output" / "report" / "index.html").read_text()
    assert "Sustained runs" in page and "Test accuracy against energy" in page
