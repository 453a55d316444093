"""Exact conversion between the values of a weight tensor and small integers.

DIRECT: the integers are the values. TABLE: the integers are indices into the sorted list of
distinct values, relative to the entry of zero. STEP: each value is float32(integer × step).
ROW_STEPS: like STEP, with a step per filter.
"""

from __future__ import annotations

import numpy as np

_TRIES = 8  # the smallest magnitude is tried as 1 to this many steps
_MAX_STEPS = 1 << 15


def ordered(bits: np.ndarray) -> np.ndarray:
    """Maps floats, given by their uint16 or uint32 bits, to int64 numbers in the same order."""
    top = 8 * bits.dtype.itemsize - 1
    wide = bits.astype(np.int64)
    magnitude = wide & ((1 << top) - 1)
    return np.where(wide >> top, -1 - magnitude, magnitude)


def unordered(numbers: np.ndarray, width: int) -> np.ndarray:
    """Inverts `ordered`.

    Args:
        numbers: Output of `ordered`.
        width: Bytes per float, 2 or 4.

    Returns:
        The floats' bits, uint16 or uint32.
    """
    top = 8 * width - 1
    bits = np.where(numbers < 0, (-1 - numbers) | (1 << top), numbers)
    return (bits & ((1 << (top + 1)) - 1)).astype(f"u{width}")


def table(bits: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Converts floats to a codebook and indices into it.

    Args:
        bits: The floats' bits, uint16 or uint32.

    Returns:
        Three values: the sorted codebook of `ordered` numbers, int64; the indices relative to the
        entry of zero, int32 of the shape of `bits`; and the index of that entry.
    """
    numbers = ordered(bits)
    entries, indices = np.unique(numbers, return_inverse=True)
    zero = int(np.searchsorted(entries, 0))
    if zero == len(entries):
        zero -= 1
    return entries, (indices.reshape(bits.shape) - zero).astype(np.int32), zero


def times(integers: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Returns float32(integer × step), rounded once because the product in float64 is exact.

    Args:
        integers: Integers with magnitudes up to 2^17.
        steps: Steps, float32, broadcast with the integers.
    """
    with np.errstate(all="ignore"):
        return (integers.astype(np.float64) * steps.astype(np.float64)).astype(np.float32)


def step_of(values: np.ndarray) -> float | None:
    """Finds a float32 step such that all values are float32(integer × step).

    If several steps are possible, prefers one with many trailing zero bits, which takes fewer
    bytes.

    Args:
        values: Finite float32 numbers of any shape.

    Returns:
        The step, or None if there is none.
    """
    sizes = np.unique(np.abs(values)).astype(np.float64)
    sizes = sizes[sizes > 0]
    if not len(sizes):
        return 1.0
    if sizes[0] < 1e-30:
        return None
    for tries in range(1, _TRIES + 1):
        counts = np.rint(sizes * tries / sizes[0])
        if counts[-1] > _MAX_STEPS:
            return None
        # The largest has the smallest relative rounding error.
        counts = np.rint(sizes * counts[-1] / sizes[-1]) if len(sizes) > 1 else counts
        half = np.spacing(sizes.astype(np.float32)).astype(np.float64) / 2
        if (counts < 1).any():
            continue
        low, high = ((sizes - half) / counts).max(), ((sizes + half) / counts).min()
        if low > high:
            continue
        step = _roundest(low, high)
        if np.array_equal(times(counts, np.array(step)), sizes.astype(np.float32)):
            return float(step)
    return None


def _roundest(low: float, high: float) -> np.float32:
    """Returns the float32 from `low` to `high` with the most trailing zero bits."""
    middle = np.float32((low + high) / 2)
    bits = int(middle.view(np.uint32))
    for zeros in range(23, 0, -1):
        unit = 1 << zeros
        for candidate in ((bits + unit // 2) & -unit, bits & -unit):
            rounded = np.uint32(candidate).view(np.float32)
            if low <= rounded <= high:
                return np.float32(rounded)
    return middle


def integers_of(values: np.ndarray, steps: np.ndarray) -> np.ndarray | None:
    """Inverts `times`.

    Args:
        values: float32 numbers.
        steps: Positive float32 steps, broadcast with the values.

    Returns:
        The integers, int32, or None if some value is not an exact multiple of its step.
    """
    integers = np.rint(values.astype(np.float64) / steps.astype(np.float64))
    if np.abs(integers).max(initial=0) > _MAX_STEPS:
        return None
    result = integers.astype(np.int32)
    # Compared as bits, since -0.0 must not become 0.0.
    same = np.array_equal(times(result, steps).view(np.uint32), values.view(np.uint32))
    return result if same else None


def row_steps(values: np.ndarray) -> np.ndarray | None:
    """Finds a step for each filter; see `step_of`.

    Args:
        values: Finite float32 numbers, (filters, …).

    Returns:
        The steps, float32 (filters,), or None if a filter has none.
    """
    steps = np.ones(len(values), np.float32)
    for number, row in enumerate(values):
        step = step_of(row)
        if step is None:
            return None
        steps[number] = step
    return steps
