"""Result: any line of `results.jsonl`, told apart by its `kind`. Imports no TensorFlow."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter

from zoo.schema.engine_check import EngineCheck
from zoo.schema.measurement import (
    Accuracy,
    Agreement,
    ConvertRecord,
    Measurement,
    OperatorProfile,
    Sustained,
    TrainRecord,
)

Result = (
    TrainRecord
    | ConvertRecord
    | Accuracy
    | EngineCheck
    | Measurement
    | Sustained
    | OperatorProfile
    | Agreement
)
RESULT: TypeAdapter[Result] = TypeAdapter(
    Annotated[Result, Field(discriminator="kind")], config=ConfigDict(defer_build=True)
)
