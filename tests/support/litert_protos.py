"""LiteRT's protocol buffer messages, in their own descriptor pool.

TensorFlow registers messages of the same names in the default pool.
"""

import ast
import importlib.util
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pool, message_factory  # type: ignore[import-untyped]

_FILE = "tflite/profiling/proto/model_runtime_info.proto"
_FILES = ("profiling_info_pb2", "model_runtime_info_pb2")  # the second imports the first


def messages() -> dict[str, Any]:
    """Returns the classes of all messages of LiteRT's runtime information, by name."""
    package = importlib.util.find_spec("ai_edge_litert")
    assert package is not None and package.submodule_search_locations
    folder = Path(next(iter(package.submodule_search_locations)))
    pool = descriptor_pool.DescriptorPool()
    for name in _FILES:
        tree = ast.parse((folder / f"{name}.py").read_text())
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "AddSerializedFile":
                pool.AddSerializedFile(ast.literal_eval(call.args[0]))
    types = pool.FindFileByName(_FILE).message_types_by_name
    return {name: message_factory.GetMessageClass(kind) for name, kind in types.items()}
