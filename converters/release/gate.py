"""The gate of a release: what other engines compute of a file must be what the CPU computes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from converters.parity.evidence import METHOD, MIN_IMAGES, meant_for
from zoo import runtime
from zoo.catalog.precisions import precision
from zoo.errors import ZooError
from zoo.schema.artifact import Artifact, EngineResult
from zoo.schema.engine_check import EngineCheck


def problems(
    artifact: Artifact,
    checks: Sequence[EngineCheck],
    engines: Sequence[str] = runtime.COMPARED,
    *,
    of_this_version: bool = True,
) -> list[str]:
    """Returns one sentence per engine that computes something else, or for which this is unknown.

    Args:
        artifact: Manifest of the file.
        checks: Evidence about this very file, see `converters.parity.evidence`.
        engines: Engines to ask for. Those that the precision is not for are left out.
        of_this_version: Whether evidence must be of the version that is installed here, if one is.
    """
    sentences = []
    for name in engines:
        if not meant_for(artifact.precision, name):
            continue
        version = _installed(name) if of_this_version else None
        found = [
            check
            for check in _usable(artifact, checks)
            if check.configuration.runtime == name
            and version in (None, check.configuration.runtime_version)
        ]
        if not found:
            which = f"{name} {version}" if version else name
            sentences.append(f"nothing shows what {which} computes of it: run zoo prove")
        for check in found:
            sentences += [f"{name}, {check.configuration.delegate}: {r}" for r in _failing(check)]
    return sentences


def results(artifact: Artifact, checks: Iterable[EngineCheck]) -> tuple[EngineResult, ...]:
    """Returns what the manifest tells about each engine that ran the file."""
    found = [
        EngineResult(
            engine=check.configuration.runtime,
            version=check.configuration.runtime_version,
            delegate=check.configuration.delegate,
            accelerator=accelerator.name if accelerator else None,
            computes_in=accelerator.computes_in if accelerator else None,
            whole=placement.level == "full" if placement and accelerator else None,
            images=check.images,
            agreement=check.agreement,
            top1=check.top1,
        )
        for check in _usable(artifact, checks)
        if check.agreement is not None
        for placement in [check.placement]
        for accelerator in [placement.accelerator if placement else None]
    ]
    order = list(runtime.RUNTIMES)
    return tuple(sorted(found, key=lambda each: (order.index(each.engine), each.delegate)))


def _usable(artifact: Artifact, checks: Iterable[EngineCheck]) -> list[EngineCheck]:
    return [
        check
        for check in checks
        if check.model_sha256 == artifact.sha256
        and check.method == METHOD
        and check.configuration.runtime in runtime.RUNTIMES
    ]


def _failing(check: EngineCheck) -> list[str]:
    if check.reasons:
        return [*check.reasons, *_wrong(check)]
    least = precision(check.precision).engine_agreement
    if check.agreement is None or check.agreement < least:
        return [f"too few images agree with the CPU, limit {100 * least:g} %"]
    if check.images < min(MIN_IMAGES, check.test_images):
        return [f"only {check.images} images were compared, expected {MIN_IMAGES}: run zoo prove"]
    return []


def _wrong(check: EngineCheck) -> list[str]:
    wrong = check.first_wrong
    return [f"first wrong operator: {wrong.operator} ({wrong.options})"] if wrong else []


def _installed(name: str) -> str | None:
    try:
        return runtime.version(name)
    except ZooError:
        return None
