"""Delegates on a phone: `none`, `xnnpack`, `gpu`, `nnapi` or `external:PATH`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from zoo.errors import UnknownNameError, ZooError

_EXTERNAL = "external:"
_PATH = re.compile(r"/[\w./+=@~-]{1,255}", re.ASCII)
# The tool splits the options at `;` and each option at `:`. It silently drops options without
# exactly one `:` and takes at most 256 (tflite/tools/delegates/external_delegate_provider.cc).
_OPTION = re.compile(r"\w{1,64}:[\w./+=@,~-]{1,255}", re.ASCII)
_MAX_OPTIONS = 256

# Names in benchmark_model's log lines: GetName() in tflite/tools/delegates/*_provider.cc.
TOOL_NAMES: Mapping[str, str] = MappingProxyType(
    {"xnnpack": "XNNPACK", "gpu": "GPU", "nnapi": "NNAPI", "external": "EXTERNAL"}
)
# Names in the runtime (custom_name of the registration), printed in `Replacing …` and in the
# exported runtime information. LITERT_* are LiteRT 2's GPU accelerators, formerly ML_DRIFT_*.
_XNNPACK = r"TfLiteXNNPackDelegate"
_RUNTIME_NAMES = {
    "xnnpack": re.compile(_XNNPACK),
    "gpu": re.compile(r"TfLiteGpuDelegateV2|(?:LITERT|ML_DRIFT)_(?:CL|GL|WEBGPU|VULKAN|METAL)"),
    "nnapi": re.compile(r"TfLiteNnapiDelegate"),
    "external": re.compile(rf"(?!{_XNNPACK}$).+"),  # any name chosen by its library
}


@dataclass(frozen=True)
class Delegate:
    """A delegate and its options.

    Attributes:
        kind: `none` or a key of `TOOL_NAMES`.
        path: Path of an external delegate's library on the phone; else empty.
        options: Options of that library separated by `;`, for example `backend_type:htp`.
    """

    kind: str
    path: str = ""
    options: str = ""

    def __str__(self) -> str:
        if self.kind != "external":
            return self.kind
        return f"{_EXTERNAL}{self.path}" + (f"?{self.options}" if self.options else "")

    @property
    def label(self) -> str:
        """Name of the delegate in messages."""
        names = {"gpu": "the GPU", "external": f"the delegate {self.path}"}
        return names.get(self.kind) or TOOL_NAMES.get(self.kind, "plain kernels")

    def is_called(self, name: str) -> bool:
        """Returns whether the runtime calls this delegate `name`; `none` matches any name."""
        pattern = _RUNTIME_NAMES.get(self.kind)
        return pattern is None or pattern.fullmatch(name) is not None


def parse_delegate(text: str) -> Delegate:
    """Parses the name of a delegate.

    `none` selects the plain kernels; `cpu` is a synonym. An external delegate is `external:PATH` or
    `external:PATH?NAME:VALUE;NAME:VALUE`.

    Raises:
        ZooError: if the name is unknown, the path is not absolute or the options are invalid.
    """
    if text in ("none", "cpu"):
        return Delegate("none")
    if not text.startswith(_EXTERNAL):
        if text not in TOOL_NAMES or text == "external":
            known = ["none", "cpu", "xnnpack", "gpu", "nnapi", "external:PATH"]
            raise UnknownNameError("phone delegate", text, known)
        return Delegate(text)
    path, mark, options = text.removeprefix(_EXTERNAL).partition("?")
    if not _PATH.fullmatch(path) or ".." in path.split("/"):
        raise ZooError(
            "not the path of a delegate library on the phone",
            where=f"delegate {text!r}",
            expected="external:PATH, e.g. external:/data/local/tmp/libQnnTFLiteDelegate.so",
            got=path,
        )
    parts = options.removesuffix(";").split(";") if mark else []
    if len(parts) > _MAX_OPTIONS or not all(map(_OPTION.fullmatch, parts)):
        raise ZooError(
            "invalid options of an external delegate",
            where=f"delegate {text!r}",
            expected="NAME:VALUE;NAME:VALUE, e.g. backend_type:htp",
            got=options,
        )
    return Delegate("external", path, ";".join(parts))
