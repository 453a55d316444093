"""The virtual phone, tested through the real adb client."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.processes import HANG_S, until
from tests.support.select import some
from tests.support.tiny_tflite import tiny_model
from tests.virtual_phone import AdbServer, PhoneProfile, VirtualPhone, stand_in_binary
from zoo import runtime

FOLDER = "/data/local/tmp"
QUICK = "--num_runs=5 --min_secs=0.01 --warmup_min_secs=0.01"


@pytest.fixture(scope="module")
def adb() -> Iterator[AdbServer]:
    with AdbServer() as server:
        yield server


# Without namespaces, all other tests with phones use the other kind.
@pytest.fixture(params=some(["namespace", "shim"], "namespace"))
def start(request: pytest.FixtureRequest) -> Iterator[Callable[[PhoneProfile], VirtualPhone]]:
    """Starts phones in one kind of sandbox and stops them after the test."""
    phones: list[VirtualPhone] = []

    def starter(profile: PhoneProfile) -> VirtualPhone:
        phone = VirtualPhone(profile, sandbox=request.param)
        try:
            phone.__enter__()
        except OSError as error:
            pytest.skip(f"no namespaces here: {error}")
        phones.append(phone)
        return phone

    yield starter
    for phone in phones:
        phone.__exit__()
        assert phone.processes() == []
        assert not phone.root.exists()


@pytest.fixture
def phone(start, adb) -> VirtualPhone:
    return connected(adb, start(PhoneProfile()))


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """A folder with `benchmark_model` and `tiny.tflite`."""
    folder = tmp_path_factory.mktemp("files")
    stand_in_binary(folder)
    tiny_model(folder / "tiny.tflite")
    return folder


def connected(adb: AdbServer, phone: VirtualPhone) -> VirtualPhone:
    answer = adb.run("connect", phone.serial)
    assert f"connected to {phone.serial}" in answer.stdout
    return phone


def reconnect(adb: AdbServer, phone: VirtualPhone) -> None:
    adb.run("disconnect", phone.serial)
    connected(adb, phone)


def shell(adb: AdbServer, phone: VirtualPhone, command: str, **options):
    return adb.run("-s", phone.serial, "shell", command, **options)


def benchmark(adb: AdbServer, phone: VirtualPhone, files: Path, flags: str, wrapper: str = ""):
    return shell(adb, phone, pushed_benchmark(adb, phone, files, flags, wrapper))


def pushed_benchmark(
    adb: AdbServer, phone: VirtualPhone, files: Path, flags: str, wrapper: str = ""
) -> str:
    """Pushes the tool and its model, and returns the command line of a run."""
    for name in ("benchmark_model", "tiny.tflite"):
        pushed = adb.run("-s", phone.serial, "push", str(files / name), f"{FOLDER}/{name}")
        assert pushed.returncode == 0, pushed.stderr
    tool = f"{wrapper} ./benchmark_model --graph={FOLDER}/tiny.tflite {QUICK} {flags}"
    return f"cd {FOLDER} && {tool}"


def with_tensor(adb, phone, files, tmp_path, tensor: bytes):
    """Runs the model without XNNPACK on a given tensor; writes the output to the file `said`."""
    (tmp_path / "image").write_bytes(tensor)
    pushed = adb.run("-s", phone.serial, "push", str(tmp_path / "image"), f"{FOLDER}/image")
    assert pushed.returncode == 0
    flags = "--input_layer=some:name --input_layer_shape=1,16,16,1 --output_filepath=said "
    flags += f"--input_layer_value_files=some::name:{FOLDER}/image --use_xnnpack=false"
    return benchmark(adb, phone, files, flags)


class TestShell:
    def test_identity(self, adb, phone):
        assert re.search(rf"{phone.serial}\s+device ", adb.run("devices", "-l").stdout)
        answer = shell(adb, phone, "getprop ro.product.model; getprop ro.board.platform; id -u")
        assert answer.stdout == "VP865\nkona\n2000\n"
        assert "[ro.product.cpu.abi]: [arm64-v8a]" in shell(adb, phone, "getprop").stdout

    def test_streams_and_status_are_separate(self, adb, phone):
        answer = shell(adb, phone, "echo out; echo err >&2; exit 7")
        assert (answer.stdout, answer.stderr, answer.returncode) == ("out\n", "err\n", 7)
        assert shell(adb, phone, "kill -9 $$").returncode == 137
        assert [entry.status for entry in phone.log if entry.kind == "exit"] == [7, 137]

    def test_input_reaches_the_command(self, adb, phone):
        assert shell(adb, phone, "cat", text="one\ntwo\n").stdout == "one\ntwo\n"

    def test_much_output(self, adb, phone):
        answer = shell(adb, phone, "seq 1 200000")
        assert answer.stdout.split() == [str(n) for n in range(1, 200001)]
        raw = adb.run("-s", phone.serial, "exec-out", "echo out; echo err >&2")
        assert raw.stdout == "out\nerr\n"

    def test_paths_are_the_phones(self, adb, phone):
        shell(adb, phone, f"mkdir {FOLDER}/d && echo hi >{FOLDER}/d/f")
        assert phone.path(f"{FOLDER}/d/f").read_text() == "hi\n"
        assert not Path(FOLDER, "d").exists()
        assert shell(adb, phone, f"cd {FOLDER}/d && pwd").stdout == f"{FOLDER}/d\n"
        cores = shell(adb, phone, "cat /sys/devices/system/cpu/cpufreq/policy*/related_cpus")
        assert cores.stdout == "0 1 2 3\n4 5 6\n7\n"
        assert shell(adb, phone, "python3 -c ''").returncode == 127

    def test_nodes_that_are_denied(self, adb, start):
        node = "/sys/class/power_supply/battery/current_now"
        phone = connected(adb, start(PhoneProfile(denied=(node,))))
        if phone.sandbox == "shim" and os.geteuid() == 0:
            pytest.skip("root reads everything in a plain folder")
        answer = shell(adb, phone, f"cat {node}")
        assert answer.returncode == 1 and "Permission denied" in answer.stderr

    def test_services(self, adb, phone):
        assert "Thermal Status: 0" in shell(adb, phone, "dumpsys thermalservice").stdout
        shell(adb, phone, "dumpsys battery unplug")
        assert "UPDATES STOPPED" in shell(adb, phone, "dumpsys battery").stdout
        shell(adb, phone, "dumpsys battery reset")
        battery = shell(adb, phone, "dumpsys battery").stdout
        assert "UPDATES STOPPED" not in battery and "  level: 80\n" in battery

    def test_taskset_refuses_what_the_phone_lacks(self, adb, start):
        phone = connected(adb, start(PhoneProfile(refused_masks=("80",))))
        assert shell(adb, phone, "taskset f0 echo on").stdout == "on\n"
        assert shell(adb, phone, "taskset 80 echo on").returncode == 1
        assert shell(adb, phone, "taskset 100 echo on").returncode == 1

    def test_android_6(self, adb, start):
        phone = connected(adb, start(PhoneProfile(shell_v2=False, android_release="6.0.1", sdk=23)))
        answer = shell(adb, phone, "echo out; echo err >&2; exit 7")
        assert (answer.stdout, answer.stderr, answer.returncode) == ("out\r\nerr\r\n", "", 0)


class TestFiles:
    def test_20_mb_there_and_back(self, adb, phone, tmp_path):
        content = bytes(range(251)) * 80_000
        (tmp_path / "there").write_bytes(content)
        target = f"{FOLDER}/new/big file"
        pushed = adb.run("-s", phone.serial, "push", str(tmp_path / "there"), target)
        assert pushed.returncode == 0, pushed.stderr
        assert phone.path(target).read_bytes() == content
        adb.run("-s", phone.serial, "pull", target, str(tmp_path / "back"))
        assert (tmp_path / "back").read_bytes() == content
        assert shell(adb, phone, f"rm '{target}'; ls {FOLDER}/new").stdout == ""

    def test_android_6_transfers_too(self, adb, start, tmp_path):
        phone = connected(adb, start(PhoneProfile(shell_v2=False)))
        (tmp_path / "f").write_bytes(bytes(100_000))
        adb.run("-s", phone.serial, "push", str(tmp_path / "f"), f"{FOLDER}/f")
        adb.run("-s", phone.serial, "pull", f"{FOLDER}/f", str(tmp_path / "g"))
        assert (tmp_path / "g").read_bytes() == bytes(100_000)

    def test_missing_file(self, adb, phone, tmp_path):
        answer = adb.run("-s", phone.serial, "pull", f"{FOLDER}/none", str(tmp_path))
        assert answer.returncode == 1
        assert "No such file or directory" in answer.stderr
        assert [entry.text for entry in phone.log if entry.kind == "stat"] == [f"{FOLDER}/none"]

    def test_full_disk(self, adb, start, tmp_path):
        phone = connected(adb, start(PhoneProfile(disk_bytes=2**20)))
        (tmp_path / "big").write_bytes(bytes(2**21))
        answer = adb.run("-s", phone.serial, "push", str(tmp_path / "big"), f"{FOLDER}/big")
        assert answer.returncode == 1
        assert "No space left on device" in answer.stderr + answer.stdout
        assert not phone.path(f"{FOLDER}/big").exists()

    def test_folder_of_the_system(self, adb, phone, tmp_path):
        (tmp_path / "f").write_text("x")
        answer = adb.run("-s", phone.serial, "push", str(tmp_path / "f"), "/system/bin/getprop")
        assert answer.returncode == 1 and "Permission denied" in answer.stderr
        assert shell(adb, phone, "getprop ro.product.model").stdout == "VP865\n"


class TestFaults:
    def test_key_accepted_then_known(self, adb, start):
        phone = start(PhoneProfile(auth="accept_key"))
        # The client does not wait for the tap on "Allow" but tries again a moment later.
        assert "failed to authenticate" in adb.run("connect", phone.serial).stdout
        until(lambda: f"{phone.serial}\tdevice" in adb.run("devices").stdout)
        reconnect(adb, phone)  # authenticates with a signature
        assert [entry.kind for entry in phone.log].count("key offered") == 1
        assert shell(adb, phone, "echo hi").stdout == "hi\n"

    def test_unplugged_in_mid_shell(self, adb, phone):
        shell(adb, phone, "setsid sleep 770 </dev/null >/dev/null 2>&1 &")

        command = (adb.adb, "-s", phone.serial, "shell", "echo before; sleep 780; echo after")
        environment = {**os.environ, **adb.env}
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=environment
        ) as client:
            assert client.stdout is not None
            assert client.stdout.readline() == "before\n"
            phone.wait_for_process("^sleep 780")
            phone.unplug()
            assert client.stdout.read() == ""
        # adb 36 exits with 255, adb 29 with 0.
        assert client.returncode in (0, 255)
        until(lambda: [one.command for one in phone.processes()] == ["sleep 770"])
        phone.plug()
        reconnect(adb, phone)
        assert shell(adb, phone, "echo back").stdout == "back\n"
        assert [one.command for one in phone.processes()] == ["sleep 770"]

    def test_refuses_connections_while_unplugged(self, adb, phone):
        phone.unplug()
        adb.run("disconnect", phone.serial)
        assert "failed to connect" in adb.run("connect", phone.serial).stdout

    def test_frozen_link_hangs_until_thawed(self, adb, phone):
        phone.freeze()
        with pytest.raises(Exception, match="timed out"):
            shell(adb, phone, "echo hi", timeout=1)
        assert f"{phone.serial}\tdevice" in adb.run("devices").stdout
        phone.thaw()
        assert shell(adb, phone, "echo hi").stdout == "hi\n"

    def test_reboot(self, adb, phone):
        boot_id = shell(adb, phone, "cat /proc/sys/kernel/random/boot_id").stdout.strip()
        assert boot_id == phone.boot_id
        shell(adb, phone, f"echo kept >{FOLDER}/kept; setsid sleep 790 >/dev/null 2>&1 &")
        phone.wait_for_process("sleep 790")
        phone.reboot(away_s=0.2)
        assert phone.processes() == []
        # Not the last entry, because adb may reconnect at once.
        until(lambda: [entry.kind for entry in phone.log].count("plug") == 2)
        reconnect(adb, phone)
        # On a busy computer the first answer can be lost while adb reconnects.
        until(lambda: shell(adb, phone, "echo up").stdout == "up\n")
        answer = shell(adb, phone, f"cat /proc/sys/kernel/random/boot_id {FOLDER}/kept")
        assert answer.stdout == f"{phone.boot_id}\nkept\n"
        assert phone.boot_id != boot_id

    def test_two_phones_of_one_model(self, adb, start):
        phones = [connected(adb, start(PhoneProfile())) for _ in range(2)]
        shell(adb, phones[0], f"echo first >{FOLDER}/f")
        assert shell(adb, phones[1], f"cat {FOLDER}/f").returncode == 1
        assert shell(adb, phones[0], f"cat {FOLDER}/f").stdout == "first\n"

    def test_error_in_a_hook_is_not_lost(self, adb):
        with pytest.raises(ZeroDivisionError), VirtualPhone(sandbox="shim") as phone:
            connected(adb, phone)
            phone.on_command("echo", lambda: 1 / 0)
            shell(adb, phone, "echo hi")


def test_unauthorized_until_someone_allows_it(adb):
    with VirtualPhone(PhoneProfile(auth="unauthorized")) as phone:
        assert "failed to authenticate" in adb.run("connect", phone.serial).stdout
        assert f"{phone.serial}\tunauthorized" in adb.run("devices").stdout
        assert "device unauthorized" in shell(adb, phone, "echo hi").stderr
        phone.authorize()
        until(lambda: f"{phone.serial}\tdevice" in adb.run("devices").stdout)
        assert shell(adb, phone, "echo hi").stdout == "hi\n"


def test_offline(adb):
    with VirtualPhone() as phone:
        connected(adb, phone)
        phone.go_offline()
        answer = shell(adb, phone, "echo hi")
        assert answer.returncode != 0 and "offline" in answer.stderr


class TestBenchmark:
    def test_runs_the_model(self, adb, phone, files):
        answer = benchmark(adb, phone, files, "--num_threads=1 --speed=9", "taskset f0")
        assert answer.returncode == 0, answer.stderr
        assert "WARN: Unconsumed cmdline flags: --speed=9" in answer.stdout
        lines = re.findall(r"^INFO: (count=.*)$", answer.stdout, re.MULTILINE)
        assert len(lines) == 2  # warm-up, regular
        regular = lines[1]
        (run,) = phone.benchmarks()
        times_us = run["times_us"]
        assert isinstance(times_us, list) and len(times_us) >= 5
        assert regular.startswith(f"count={len(times_us)} first={times_us[0]} ")
        assert f"avg={sum(times_us) / len(times_us):g} " in regular
        assert re.search(r" p5=\d+ median=\d+ p95=\d+$", regular)
        assert run["mask"] == "f0" and run["status"] == 0
        assert "XNNPACK delegate for CPU" in answer.stderr + answer.stdout
        assert re.search(r"Inference timings in us: Init: \d+, First inference:", answer.stdout)

    def test_xnnpack_flag(self, adb, phone, files):
        explicit = benchmark(adb, phone, files, "--use_xnnpack=true").stdout
        assert "Explicitly applied XNNPACK delegate, and the model graph will be comp" in explicit
        plain = benchmark(adb, phone, files, "--use_xnnpack=false")
        assert "XNNPACK delegate" not in plain.stdout + plain.stderr

    def test_wrong_value_and_missing_model(self, adb, phone, files):
        assert benchmark(adb, phone, files, "--num_threads=two").returncode == 1
        answer = benchmark(adb, phone, files, f"--graph={FOLDER}/none.tflite")
        assert answer.returncode == 1
        assert f"ERROR: Failed to load model {FOLDER}/none.tflite" in answer.stderr

    def test_older_build_and_limit_of_time(self, adb, start, files):
        profile = PhoneProfile(build_percentiles=False, slow_ms=60)
        phone = connected(adb, start(profile))
        answer = benchmark(adb, phone, files, "--num_runs=50 --max_secs=0.2")
        counts = re.findall(r"count=(\d+) .*std=\d+$", answer.stdout, re.MULTILINE)
        assert answer.returncode == 0 and "p5=" not in answer.stdout
        assert 2 <= int(counts[-1]) < 50

    def test_tensors_from_and_to_files(self, adb, phone, files, tmp_path):
        image = np.random.default_rng(2).normal(size=(1, 16, 16, 1)).astype(np.float32)
        answer = with_tensor(adb, phone, files, tmp_path, image.tobytes())
        assert answer.returncode == 0, answer.stderr
        # Inputs are assigned by their order; a wrong name only causes a warning.
        assert "WARN: Tensor # 0 is named image but flags call it some:name" in answer.stdout
        said = np.frombuffer(phone.path(f"{FOLDER}/said").read_bytes(), np.float32)
        assert said.shape == (10,)
        content = (files / "tiny.tflite").read_bytes()
        net = runtime.load(content, "litert", "none", 1, "tiny")
        np.testing.assert_array_equal(said, net.run(image[0]))

    def test_tensor_of_a_wrong_size(self, adb, phone, files, tmp_path):
        answer = with_tensor(adb, phone, files, tmp_path, bytes(1023))
        assert answer.returncode == 134
        told = f"FATAL: The size of {FOLDER}/image is 1023 bytes. It should be 1024 bytes."
        assert told in answer.stderr
        assert not phone.path(f"{FOLDER}/said").exists()

    def test_a_build_that_saves_no_tensors(self, adb, start, files, tmp_path):
        phone = connected(adb, start(PhoneProfile(build_output_filepath=False)))
        answer = with_tensor(adb, phone, files, tmp_path, bytes(1024))
        assert answer.returncode == 0
        assert "WARN: Unconsumed cmdline flags: --output_filepath=said" in answer.stdout
        assert not phone.path(f"{FOLDER}/said").exists()

    def test_unplugged_in_mid_run(self, adb, start, files):
        phone = connected(adb, start(PhoneProfile()))
        begun = threading.Event()

        def leave() -> None:
            assert begun.wait(HANG_S)  # the output before this point has arrived
            phone.unplug()

        phone.during_run(leave)
        line = pushed_benchmark(adb, phone, files, "--num_runs=500")
        words = [adb.adb, "-s", phone.serial, "shell", line]
        printed = ""
        with subprocess.Popen(
            words, env={**os.environ, **adb.env}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            text=True,
        ) as client:  # fmt: skip
            for text in client.stdout:
                printed += text
                if "Running benchmark for at least 500 iterations" in printed:
                    begun.set()
        assert begun.is_set()
        assert "Inference timings" not in printed
        until(lambda: phone.processes() == [])


@pytest.mark.parametrize(
    ("gpu", "flags", "status", "text"),
    [
        ("full", "", 0, "Explicitly applied GPU delegate, and the model graph will be completely"),
        ("partial", "", 0, "will be partially executed by the delegate w/ 2 delegate kernels."),
        ("partial", "--require_full_delegation=true", 1, "ERROR: Disallowed CPU fallback detected"),
        ("refused", "", 1, "ERROR: Failed to apply GPU delegate."),
        ("silent_cpu", "", 0, "WARN: GPU acceleration is unsupported on this platform."),
    ],
)
def test_gpu(adb, files, gpu, flags, status, text):
    with VirtualPhone(PhoneProfile(gpu=gpu)) as phone:
        answer = benchmark(adb, connected(adb, phone), files, f"--use_gpu=true {flags}")
    assert answer.returncode == status
    assert text in answer.stdout + answer.stderr
    assert ("Inference (avg)" in answer.stdout) == (status == 0)


@pytest.mark.parametrize("status", [134, 137, 139])
def test_crash(adb, files, status):
    with VirtualPhone() as phone:
        phone.set_benchmark(crash_exit=status)
        answer = benchmark(adb, connected(adb, phone), files, "")
    assert answer.returncode == status
    assert "Inference timings" not in answer.stdout
