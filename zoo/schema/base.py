"""Base types of all validated files: strict models, hashes and names."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

# Names of runs and files: no folders, no leading dot, nothing that a shell or a URL would
# interpret. Run names have at most 120 characters; steps and precision are appended to them.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,149}$")]


class Strict(BaseModel):
    """Base of all models that are read from files: immutable, unknown keys are errors.

    Validators are built on first use, since most commands use few of the models they import.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


def former_names(**names: str) -> Any:
    """Returns a pydantic validator that renames the keys of earlier file versions.

    Assign it to a private attribute in the body of the model.

    Args:
        **names: Former key → current field name.
    """

    def renamed(cls: type[BaseModel], data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {names.get(key, key): value for key, value in data.items()}

    return model_validator(mode="before")(classmethod(renamed))  # type: ignore[arg-type]


def with_former_channels(preprocessing: object) -> object:
    """Reads the preprocessing of earlier manifests, checkpoints and model cards."""
    former = "grey"  # codespell:ignore grey
    if isinstance(preprocessing, dict) and preprocessing.get("channels") == former:
        return {**preprocessing, "channels": "gray"}
    return preprocessing
