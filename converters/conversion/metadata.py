"""Embeds metadata in a `.tflite`: a JSON card and the standard TFLite metadata.

The card is a metadata buffer named `MODEL_CARD_JSON`: plain JSON that any flatbuffer reader can
access. Android Studio and the TFLite Task Library read the standard metadata (`TFLITE_METADATA`,
with the labels in a ZIP archive appended to the flatbuffer):
https://ai.google.dev/edge/litert/conversion/tensorflow/metadata.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import flatbuffers

from converters.tflite import edit

CARD = "MODEL_CARD_JSON"
STANDARD = "TFLITE_METADATA"
LABELS_FILE = "labels.txt"

# Enum values of metadata_schema.fbs, version 1.
_IMAGE_PROPERTIES, _NORMALIZATION, _TENSOR_AXIS_LABELS = 2, 1, 2
_COLOR_SPACES = {"RGB": 1, "gray": 2}  # all others are UNKNOWN, 0


def attach(content: bytes, card: Mapping[str, Any]) -> bytes:
    """Returns the flatbuffer with both kinds of metadata. Deterministic.

    Args:
        content: Flatbuffer with one image input.
        card: JSON-serializable, with the keys `name`, `description`, `labels`, `license` and
            `preprocessing` (`channels`, `formula`, `mean`, `std`).
    """
    model = edit.unpacked(content)
    edit.set_metadata(model, CARD, json.dumps(card, ensure_ascii=False, indent=1).encode())
    edit.set_metadata(model, STANDARD, _standard(card))
    archive = io.BytesIO(edit.packed(model))
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_STORED) as files:
        labels = zipfile.ZipInfo(LABELS_FILE, (1980, 1, 1, 0, 0, 0))  # fixed time: reproducible
        files.writestr(labels, "".join(f"{label}\n" for label in card["labels"]))
    return archive.getvalue()


def _standard(card: Mapping[str, Any]) -> bytes:
    builder = flatbuffers.Builder(1024)
    preprocessing = card["preprocessing"]
    labels = _table(
        builder,
        {
            0: _text(builder, LABELS_FILE),
            1: _text(builder, "class names, one a line, in the order of the outputs"),
            2: _Byte(_TENSOR_AXIS_LABELS),
        },
    )
    normalization = _table(
        builder,
        {0: _floats(builder, preprocessing["mean"]), 1: _floats(builder, preprocessing["std"])},
    )
    unit = _table(builder, {0: _Byte(_NORMALIZATION), 1: normalization})
    image = _table(builder, {0: _Byte(_COLOR_SPACES.get(preprocessing["channels"], 0))})
    content = _table(builder, {0: _Byte(_IMAGE_PROPERTIES), 1: image})
    image_in = _table(
        builder,
        {
            0: _text(builder, "image"),
            1: _text(builder, f"{preprocessing['channels']}, {preprocessing['formula']}"),
            3: content,
            4: _tables(builder, [unit]),
        },
    )
    logits_out = _table(
        builder,
        {
            0: _text(builder, "logits"),
            1: _text(builder, "before the soft-max"),
            6: _tables(builder, [labels]),
        },
    )
    graph = _table(builder, {2: _tables(builder, [image_in]), 3: _tables(builder, [logits_out])})
    root = _table(
        builder,
        {
            0: _text(builder, card["name"]),
            1: _text(builder, card["description"]),
            3: _tables(builder, [graph]),
            5: _text(builder, card["license"]),
            7: _text(builder, "1.0.0"),  # minimum parser version: enough for associated files
        },
    )
    builder.Finish(root, file_identifier=b"M001")
    return bytes(builder.Output())


class _Byte(int):
    """A one-byte field of a table; all other fields are offsets."""


def _table(builder: Any, fields: Mapping[int, int]) -> int:
    builder.StartObject(8)
    for slot, value in fields.items():
        if isinstance(value, _Byte):
            builder.PrependByteSlot(slot, value, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(slot, value, 0)
    return int(builder.EndObject())


def _text(builder: Any, text: str) -> int:
    return int(builder.CreateString(text))


def _floats(builder: Any, values: list[float]) -> int:
    return _vector(builder, [float(value) for value in values], builder.PrependFloat32)


def _tables(builder: Any, offsets: list[int]) -> int:
    return _vector(builder, offsets, builder.PrependUOffsetTRelative)


def _vector(builder: Any, values: list[Any], prepend: Callable[[Any], None]) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        prepend(value)
    return int(builder.EndVector())
