"""The phone fails: refused, unplugged, offline, frozen, rebooted, or full."""

import threading

from tests.android_bench.conftest import SHORT, Bench, bench_of, left_on, only_reason
from tests.virtual_phone import AdbServer
from zoo.schema.device import device_id

RETRY_S = 0.5  # between two tries to reach a lost phone: `link._RETRY_EVERY_S`


def test_unauthorized(bench: Bench):
    with bench.phone(auth="unauthorized") as phone:
        before_s = bench.clock.now()
        rows = bench.measure(phone, "none", "gpu")
        assert bench.clock.now() - before_s < SHORT.tolerance_s, "no waiting for what can't help"
    assert len(rows) == 2
    for row in rows:
        assert "unauthorized" in only_reason(row) and "USB debugging prompt" in row.reasons[0]
        assert row.device.id == device_id(phone.serial)


def test_never_attached(bench: Bench):
    with bench.phone() as phone:
        phone.unplug()
        bench.clock.hurry()
        rows = bench.measure(phone, "none", "none")
    assert len(rows) == 2
    assert "not found" in only_reason(rows[0]) or "offline" in only_reason(rows[0])


def test_offline_from_the_start(bench: Bench):
    with bench.phone() as phone:
        phone.go_offline()
        assert bench.server.run("-s", phone.serial, "wait-for-disconnect").returncode == 0
        bench.clock.hurry()
        rows = bench.measure(phone, "none", "none")
    assert len(rows) == 2
    for row in rows:
        assert "offline" in only_reason(row) or "not found" in only_reason(row)


def test_frozen_from_the_start(bench: Bench):
    with bench.phone() as phone:
        phone.freeze()
        bench.clock.hurry()
        rows = bench.measure(phone, "none", "none", "none")
        phone.thaw()
    assert len(rows) == 3
    for row in rows:
        assert only_reason(row)


def test_unplugged_in_mid_run(bench: Bench):
    with bench.phone() as phone, bench.phone() as second:

        def leave() -> None:
            phone.unplug()
            bench.clock.hurry()

        bench.during_run(phone, leave)
        rows = bench.measure(phone, "none", "xnnpack", "gpu")
        pauses = bench.clock.pauses
        bench.clock.normal()
        rows += bench.measure(second, "none")
    assert [row.valid for row in rows] == [False, False, False, True]
    assert "phone lost during the run" in only_reason(rows[0])
    for row in rows[1:3]:
        assert "not measured" in only_reason(row)
    # Once for the run and once for the rest, which is not waited for one by one.
    whole_s = SHORT.tolerance_s + SHORT.recovery_s
    assert sum(pause for pause in pauses if pause <= RETRY_S) <= 2 * whole_s


def test_a_short_absence_is_survived(bench: Bench):
    with bench.phone() as phone:

        def away() -> None:
            phone.unplug()
            bench.clock.wait_for_pause(RETRY_S)  # it was looked for in vain
            phone.plug()

        bench.during_run(phone, away)
        (row,) = bench.measure(phone, "none")
        assert len(phone.benchmarks()) == 1, "it was not run again silently"
        assert left_on(phone) == []
    assert row.valid and row.latency is not None and row.latency.runs >= 12
    assert row.state_after["link_losses"] == "1"


def test_a_dead_adb_server_is_survived(bench: Bench):
    with AdbServer() as server:
        own = bench_of(server, bench.binary, bench.model)
        with own.phone() as phone:
            own.during_run(phone, server.kill)
            (row,) = own.measure(phone, "none")
            assert left_on(phone) == []
    assert row.valid, row.reasons


def test_back_too_late_costs_one_case(bench: Bench):
    with bench.phone() as phone:

        def leave() -> None:
            phone.unplug()
            bench.clock.hurry()

        def come_back(line: str) -> None:
            if line.endswith("waiting for it"):
                bench.clock.normal()
                phone.plug()

        bench.during_run(phone, leave)
        rows = bench.measure(phone, "none", "none", log=come_back)
        assert left_on(phone) == []
    assert "phone lost during the run" in only_reason(rows[0])
    assert rows[1].valid, rows[1].reasons


def test_reboot_in_mid_run(bench: Bench):
    with bench.phone() as phone:
        bench.during_run(phone, lambda: phone.reboot(away_s=0.2, boot_s=0.3))
        rows = bench.measure(phone, "none", "none")
        assert left_on(phone) == []
    assert "rebooted" in only_reason(rows[0])
    assert rows[1].valid, rows[1].reasons


def test_a_long_reboot_is_named_too(bench: Bench):
    with bench.phone() as phone:
        given_up = threading.Event()

        def reboot() -> None:
            phone.reboot(back=given_up)
            bench.clock.hurry()

        def said(line: str) -> None:
            if line.endswith("waiting for it"):
                bench.clock.normal()
                given_up.set()

        bench.during_run(phone, reboot)
        rows = bench.measure(phone, "none", "none", log=said)
    assert "rebooted" in only_reason(rows[0])
    assert rows[1].valid, rows[1].reasons


def test_frozen_in_mid_run(bench: Bench):
    with bench.phone() as phone:

        def freeze() -> None:
            phone.freeze()
            bench.clock.hurry()

        bench.during_run(phone, freeze)
        rows = bench.measure(phone, "none", "none")
        phone.thaw()
    assert "does not respond" in only_reason(rows[0])
    assert len(rows) == 2 and not rows[1].valid


def test_full_storage(bench: Bench):
    with bench.phone(disk_bytes=2**16) as phone:
        filler = phone.path("/data/local/tmp/filler")
        filler.write_bytes(bytes(2**16 - 2**13))
        rows = bench.measure(phone, "none", "none")
        assert left_on(phone, but=["filler"]) == []
    assert len(rows) == 2
    assert all("storage is full" in only_reason(row) for row in rows)
