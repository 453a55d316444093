"""Where the rules and the engine disagree: what is taken, and what is computed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from converters.inspection import cautions, gpu, gpu_ml_drift
from converters.inspection.cautions import Caution
from converters.inspection.gpu import Gpu
from converters.parity.signals import DEPARTS_DB
from converters.studies.gpu_rules.engine import EngineAnswer
from converters.studies.gpu_rules.files import Case
from converters.tflite.model import Model
from converters.tflite.reader import read

# Part of what the engine or the runtime says → why the rules need not agree.
_EXPLAINED: tuple[tuple[str, str], ...] = ()
_HIDDEN = "the outputs of a network may hide an operator's errors"
_NOT_RUN = "Unsupported dtype"


@dataclass(frozen=True)
class Compared:
    """A case with the rules' verdict and the engine's answer.

    Attributes:
        case: The case or other file.
        answer: What the engine did.
        verdict: What the rules say of LiteRT's engine.
        classic: What the rules say of TFLite's delegate.
        cautions: The cautions about the file.
        wrong: Whether the engine's values depart from XNNPACK's; None if they were not compared.
    """

    case: Case
    answer: EngineAnswer
    verdict: Gpu
    classic: Gpu
    cautions: tuple[Caution, ...]
    wrong: bool | None

    @property
    def whole(self) -> bool:
        """Whether the engine took all operators."""
        return self.answer.nodes is not None and self.answer.taken == self.answer.nodes

    @property
    def doubted(self) -> tuple[Caution, ...]:
        """The cautions by which the engine and the CPU differ."""
        known = (gpu_ml_drift.NAME, cautions.CPU)
        return tuple(each for each in self.cautions if set(known) & set(each.engines))


@dataclass(frozen=True)
class Disagreement:
    """A case on which rules and engine disagree, with the reason; empty if it is not known."""

    name: str
    rules: str
    engine: str
    reason: str


def compare(
    cases: Iterable[Case], answers: Mapping[tuple[str, str], EngineAnswer], version: str
) -> list[Compared]:
    """Returns the cases with verdicts and answers; those without an answer are left out.

    Args:
        cases: The cases or files.
        answers: Answers by (SHA-256, version of LiteRT).
        version: Version of LiteRT.
    """
    pairs = ((case, answers.get((sha256(case.content).hexdigest(), version))) for case in cases)
    return [compared(case, answer) for case, answer in pairs if answer is not None]


def compared(case: Case, answer: EngineAnswer) -> Compared:
    """Returns the case with the rules' verdict and an answer of the engine."""
    model = read(case.content, case.name)
    doubts = cautions.check(model)
    return Compared(
        case=case,
        answer=answer,
        verdict=gpu.ml_drift(model, doubts),
        classic=gpu.classic(model, doubts),
        cautions=doubts,
        wrong=None if answer.db is None else answer.db < _limit(model),
    )


def disagreements(rows: Iterable[Compared]) -> list[Disagreement]:
    """Returns a row for each case on which rules and engine disagree."""
    found = []
    for row in rows:
        for rules, engine in (*_placed(row), *_computed(row)):
            told = f"{engine} {row.answer.problem or ''}"
            reason = next((why for part, why in _EXPLAINED if part in told), "")
            if rules.startswith("caution") and row.verdict.operators > 1:
                reason = _HIDDEN
            found.append(Disagreement(row.case.name, rules, engine, reason))
    return found


def _limit(model: Model) -> float:
    """Returns the signal-to-noise ratio in dB below which values depart."""
    quantized = any(tensor.quantization for tensor in model.main.tensors)
    return DEPARTS_DB["integers" if quantized else "float32"]


def _placed(row: Compared) -> list[tuple[str, str]]:
    verdict, answer = row.verdict, row.answer
    if answer.nodes is None:
        return [("loads", answer.problem or "does not load")]
    if verdict.on_gpu == answer.taken:
        return []
    rules = f"{verdict.on_gpu} of {verdict.operators} on the GPU"
    if verdict.refusals:
        reasons = "; ".join(f"{each.operator}: {each.reason}" for each in verdict.refusals)
        rules += f" ({reasons})"
    engine = f"{answer.taken} of {answer.nodes} ({'; '.join(answer.refused) or 'no refusal'})"
    return [(rules, engine)]


def _computed(row: Compared) -> list[tuple[str, str]]:
    problem = row.answer.problem
    if problem is not None and row.answer.nodes is not None and _NOT_RUN not in problem:
        return [("runs", problem)]
    if row.wrong and not row.doubted:
        return [("no caution", f"departs from the CPU: {row.answer.db:.1f} dB")]
    if row.doubted and row.wrong is False and row.answer.taken:
        return [(f"caution: {row.doubted[0].text}", f"as the CPU: {row.answer.db:.1f} dB")]
    return []
