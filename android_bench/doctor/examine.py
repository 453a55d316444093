"""Examines a phone. Only a sampler is pushed, into a separate folder that is removed again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from android_bench.adb.client import Adb, Attached
from android_bench.doctor import checks
from android_bench.doctor.diagnosis import GOALS, Check, Diagnosis, failed, known
from android_bench.doctor.facts import FACTS_COMMAND, LOAD_COMMAND, busy_share, parse_facts
from android_bench.doctor.gauges import gauge_checks
from android_bench.phone import probe
from android_bench.phone.jobs import Jobs
from android_bench.phone.phone import ROOT, Phone
from android_bench.phone.probe import CpuCluster
from android_bench.tools import binary
from zoo.errors import ZooError, one_line
from zoo.schema.device import device_id

OWN_ROOT = f"{ROOT}-doctor"  # separate, so leftovers of a measurement are not touched
_FACTS_TIMEOUT_S = 40.0  # some services take 10 s on a slow phone
_FEATURES_TIMEOUT_S = 5.0
_TOLERANCE_S = 5.0


def examine(
    adb: Adb, attached: Attached, cache: Path, *, tool: Path | None = None, sample_s: float = 5.0
) -> Diagnosis:
    """Checks what can be measured on a phone; problems with the phone never raise.

    Args:
        adb: The adb client.
        attached: The phone to examine.
        cache: Folder with downloaded executables; nothing is downloaded here.
        tool: The user's own `benchmark_model`; None for the default one.
        sample_s: How long to sample the battery's nodes, in s.
    """
    results: list[Check] = []
    name = attached.details.get("model", "unknown")
    if attached.refusal is not None:
        results.append(Check("adb", "problem", *attached.refusal, concerns=GOALS))
    else:
        results.append(Check("adb", "ok", "device"))
        phone = Phone(adb, attached.serial, tolerance_s=_TOLERANCE_S, root=OWN_ROOT)
        with ExitStack() as stack:
            try:
                stack.enter_context(phone)
            except ZooError as error:
                results.append(failed("other runs", error, GOALS))
            else:
                examination = _Examination(phone, results, cache, tool, sample_s)
                try:
                    name = examination.run() or name
                except ZooError as error:
                    results.append(failed("link", error, GOALS))
    identity = device_id(attached.serial)
    return Diagnosis(attached.serial, identity, one_line(name, 80), tuple(results))


class _Examination:
    """Appends to `found` step by step, so results are kept if the phone disconnects midway."""

    def __init__(
        self, phone: Phone, found: list[Check], cache: Path, tool: Path | None, sample_s: float
    ):
        self.phone = phone
        self.found = found
        self.cache = cache
        self.tool = tool
        self.sample_s = sample_s

    def run(self) -> str:
        """Runs all checks and returns the phone's name."""
        phone, found = self.phone, self.found
        details = phone.probe()
        name = known([details["manufacturer"], details["model"]])
        if details["boot_completed"] != "1":
            remedy = "wait until it has booted, then unlock it once"
            found.append(Check("boot", "problem", "not completed", remedy, GOALS))
            return name
        found.append(Check("boot", "ok", "completed"))
        found += checks.software(details, self._features())
        output = phone.shell(FACTS_COMMAND, _FACTS_TIMEOUT_S).stdout
        facts = parse_facts(output, details["gpu"])
        clusters = phone.clusters()
        found += checks.processors(details, clusters, self._refused(clusters), facts)
        busy = busy_share(phone.shell(LOAD_COMMAND).stdout)
        running = Jobs(phone.link, ROOT).running()
        found += checks.resources(facts, busy, running, self._where_from(details["abi"]))
        state = phone.state()
        found += checks.condition(state, facts, details["battery_saver"])
        found += checks.power_supply(state, phone.serial)
        found += gauge_checks(phone, details["abi"], self.sample_s)
        found += checks.extras(details, facts)
        return name

    def _features(self) -> list[str]:
        phone = self.phone
        done = phone.adb.run("-s", phone.serial, "features", timeout_s=_FEATURES_TIMEOUT_S)
        return done.stdout.split()

    def _where_from(self, abi: str) -> str | ZooError:
        try:
            return binary.where_from(self.tool, abi, self.cache)
        except ZooError as error:
            return error

    def _refused(self, clusters: Sequence[CpuCluster]) -> dict[str, str]:
        """Maps each of little, big and prime that can't be selected to the reason."""
        refused = {}
        for name in ("little", "big", "prime"):
            try:
                mask = probe.mask(clusters, name)
            except ZooError as error:
                refused[name] = error.what
                continue
            if self.phone.shell(f"taskset {mask} true").code != 0:
                refused[name] = f"the phone refuses the mask {mask}"
        return refused
