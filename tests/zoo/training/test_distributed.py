"""Training on several devices and workers, over loopback."""

import json
import re
import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.support import processes
from tests.zoo.training.test_loop import weights_of
from zoo.errors import ZooError
from zoo.training import tf_config

FLAGS = (
    "--recipe=digits_quick", "--model=resnet20", "--width=0.25", "--epochs=3", "--batch_size=16",
    "--epoch_images=64", "--image_size=16", "--ema=0.9", "--name=spread",
)  # fmt: skip


def _free_ports(count):
    with_sockets = [socket.socket() for _ in range(count)]
    for each in with_sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in with_sockets]
    for each in with_sockets:
        each.close()
    return ports


def _workers(output, *mishap):
    """Two processes of the same command, each with its own TF_CONFIG, run to their ends.

    Args:
        mishap: what happens to the second, see `tests.support.mishap`.

    Returns:
        Each one's output, errors and exit code.
    """
    cluster = {"worker": [f"127.0.0.1:{port}" for port in _free_ports(2)]}
    words = ("scripts.train", *FLAGS, f"--output={output}", "--strategy=multi_worker")
    with ThreadPoolExecutor() as pool:
        running = []
        for index in range(2):
            task = {"cluster": cluster, "task": {"type": "worker", "index": index}}
            more = ("tests.support.mishap", *mishap) if mishap and index == 1 else ()
            environment = {"TF_CONFIG": json.dumps(task)}
            running.append(pool.submit(processes.run, *more, *words, environment=environment))
        ended = [each.result() for each in running]
    return [(each.stdout, each.stderr, each.returncode) for each in ended]


@pytest.mark.slow
def test_a_worker_that_is_killed_and_started_again(tmp_path):
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    for output, errors, code in _workers(unbroken):
        assert code == 0, errors
        assert "epoch 3/3" in output
    lines = (unbroken / "results.jsonl").read_text().splitlines()
    assert len(lines) == 1, "the chief alone writes"

    # Four steps an epoch: in the midst of the second.
    (_, errors, code), (_, _, killed) = _workers(broken, "kill_at_step=6")
    assert killed == -signal.SIGKILL
    assert code == 1
    told = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert len(told) == 1
    assert re.search("another worker has ended or is unreachable.*same command again", told[0])
    assert not (broken / "runs" / "spread" / "run.json").exists()

    for output, errors, code in _workers(broken):
        assert code == 0, errors
        assert "resuming after epoch 1 of 3" in output
    one, two = (weights_of(output / "runs" / "spread") for output in (unbroken, broken))
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)


@pytest.mark.parametrize(
    ("jobs", "kind", "index", "expected"),
    [
        ({"worker": ["a:1", "b:1"]}, "worker", 1, (1, ("a:1", "b:1"))),
        ({"chief": ["c:1"], "worker": ["a:1", "b:1"]}, "chief", 0, (0, ("c:1", "a:1", "b:1"))),
        ({"chief": ["c:1"], "worker": ["a:1", "b:1"]}, "worker", 0, (1, ("c:1", "a:1", "b:1"))),
        ({"worker": ["a:1"], "ps": ["b:1"]}, "ps", 0, None),
        ({"worker": ["a:1"]}, "worker", 1, None),
        (["a:1"], "worker", 0, None),
    ],
)
def test_the_chief_comes_first(monkeypatch, jobs, kind, index, expected):
    told = json.dumps({"cluster": jobs, "task": {"type": kind, "index": index}})
    monkeypatch.setenv("TF_CONFIG", told)
    if expected:
        assert tf_config.place() == tf_config.WorkerAddress(*expected)
    else:
        with pytest.raises(ZooError, match="TF_CONFIG is missing or invalid"):
            tf_config.place()


def test_a_port_that_is_taken_is_told_in_one_line(command, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = (taken.getsockname()[1], *_free_ports(1))
        cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
        told = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": 0}})
        flags = [*FLAGS, f"--output={tmp_path}", "--strategy=multi_worker"]
        done = command("train", *flags, TF_CONFIG=told)
    assert done.returncode == 1
    assert f"worker 0 of 2: waiting for 127.0.0.1:{ports[1]}" in done.stdout
    last = done.stderr.splitlines()[-1]
    pattern = "error: the workers could not connect to each other.*free port"
    assert re.match(pattern, last), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("index", [0, 1])
def test_a_worker_that_never_appears_ends_the_wait(command, tmp_path, index):
    cluster = {"worker": [f"127.0.0.1:{port}" for port in _free_ports(2)]}
    told = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
    flags = [*FLAGS, f"--output={tmp_path}", "--strategy=multi_worker", "--peer_secs=2"]
    done = command("train", *flags, TF_CONFIG=told)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: the workers could not connect to each other"), done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("config", ["", "{", '{"cluster": {"worker": ["a:1"]}}'])
def test_a_config_that_is_none(command, tmp_path, config):
    flags = [*FLAGS, f"--output={tmp_path}", "--strategy=multi_worker"]
    done = command("train", *flags, TF_CONFIG=config)
    assert done.returncode == 1
    assert re.search(r"TF_CONFIG.*once per worker", done.stderr), done.stderr
    assert not list(tmp_path.iterdir())


def test_unknown_strategy(command, tmp_path):
    done = command("train", f"--output={tmp_path}", "--strategy=miror")
    assert done.returncode == 1 and "did you mean mirrored" in done.stderr


@pytest.mark.slow
def test_two_replicas_of_one_machine(tmp_path):
    words = (
        "tests.support.mishap", "cpus=2", "scripts.train", *FLAGS, f"--output={tmp_path}",
        "--strategy=mirrored", "--epochs=1",
    )  # fmt: skip
    done = processes.run(*words)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "spread" / "run.json").exists()
    done = processes.run(*words, "--batch_size=15", "--name=odd")
    assert done.returncode == 1 and "a multiple of 2, the number of replicas" in done.stderr
