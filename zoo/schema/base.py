"""What all files that are read have in common: strict models, hashes, names."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

# Names of runs and files: one folder deep, no dot in front, nothing that a shell or a URL reads
# otherwise. A run's has at most 120 characters; steps and precision are appended to it.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,149}$")]


class Strict(BaseModel):
    """Base of everything that is read from a file: unknown keys refused, immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def former_names(**names: str) -> Any:
    """A validator for the body of a model, which reads keys of earlier files.

    Args:
        names: former key → the field that it is now.
    """

    def renamed(cls: type[BaseModel], data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {names.get(key, key): value for key, value in data.items()}

    return model_validator(mode="before")(classmethod(renamed))  # type: ignore[arg-type]
