"""What may compute a model on a phone: `none`, `xnnpack`, `gpu`, `nnapi` or `external:PATH`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from zoo.errors import UnknownNameError, ZooError

_EXTERNAL = "external:"
_PATH = re.compile(r"/[\w./+=@~-]{1,255}", re.ASCII)
# The tool splits the options at `;` and each at `:`; one that is not in two parts it drops without
# a word (tflite/tools/delegates/external_delegate_provider.cc). It takes 256 of them at most.
_OPTION = re.compile(r"\w{1,64}:[\w./+=@,~-]{1,255}", re.ASCII)
_MAX_OPTIONS = 256

# How benchmark_model's lines name a delegate: GetName() in tflite/tools/delegates/*_provider.cc.
TOOL_NAMES: Mapping[str, str] = MappingProxyType(
    {"xnnpack": "XNNPACK", "gpu": "GPU", "nnapi": "NNAPI", "external": "EXTERNAL"}
)
# How the runtime names one: custom_name of the registration, in `Replacing …` and in the exported
# runtime information. LITERT_CL and its like are LiteRT 2's GPU accelerators (ML_DRIFT_CL before).
_XNNPACK = r"TfLiteXNNPackDelegate"
_RUNTIME_NAMES = {
    "xnnpack": re.compile(_XNNPACK),
    "gpu": re.compile(r"TfLiteGpuDelegateV2|(?:LITERT|ML_DRIFT)_(?:CL|GL|WEBGPU|VULKAN|METAL)"),
    "nnapi": re.compile(r"TfLiteNnapiDelegate"),
    "external": re.compile(rf"(?!{_XNNPACK}$).+"),  # any name that its library chose
}


@dataclass(frozen=True)
class Delegate:
    """One delegate.

    Attributes:
        kind: `none`, or a key of `TOOL_NAMES`.
        path: on the phone, of an external delegate's library.
        options: for that library, such as `backend_type:htp`, with `;` between them.
    """

    kind: str
    path: str = ""
    options: str = ""

    def __str__(self) -> str:
        if self.kind != "external":
            return self.kind
        return f"{_EXTERNAL}{self.path}" + (f"?{self.options}" if self.options else "")

    @property
    def said(self) -> str:
        """As it is called in a sentence."""
        names = {"gpu": "the GPU", "external": f"the delegate {self.path}"}
        return names.get(self.kind) or TOOL_NAMES.get(self.kind, "plain kernels")

    def is_called(self, name: str) -> bool:
        """Whether the runtime's `name` of a delegate means this one; for `none`, any."""
        pattern = _RUNTIME_NAMES.get(self.kind)
        return pattern is None or pattern.fullmatch(name) is not None


def parse_delegate(text: str) -> Delegate:
    """Reads a delegate's name; `cpu` is another word for `none`, which is plain kernels.

    External ones are `external:PATH` or `external:PATH?NAME:VALUE;NAME:VALUE`.

    Raises:
        ZooError: something else, a path that is not absolute, or options the tool would not take.
    """
    if text in ("none", "cpu"):
        return Delegate("none")
    if not text.startswith(_EXTERNAL):
        if text not in TOOL_NAMES or text == "external":
            known = ["none", "cpu", "xnnpack", "gpu", "nnapi", "external:PATH"]
            raise UnknownNameError("delegate on a phone", text, known)
        return Delegate(text)
    path, mark, options = text.removeprefix(_EXTERNAL).partition("?")
    if not _PATH.fullmatch(path) or ".." in path.split("/"):
        raise ZooError(
            "not the path of a delegate's library on the phone",
            where=f"delegate {text!r}",
            expected="external:PATH, such as external:/data/local/tmp/libQnnTFLiteDelegate.so",
            got=path,
        )
    parts = options.removesuffix(";").split(";") if mark else []
    if len(parts) > _MAX_OPTIONS or not all(map(_OPTION.fullmatch, parts)):
        raise ZooError(
            "options that benchmark_model would not take",
            where=f"delegate {text!r}",
            expected="NAME:VALUE;NAME:VALUE, such as backend_type:htp",
            got=options,
        )
    return Delegate("external", path, ";".join(parts))
