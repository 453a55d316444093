"""How the values of a weight tensor follow from small integers, both ways, bit for bit.

DIRECT: the integers are the values. TABLE: they count from zero through the sorted list of the
values that occur (their bit patterns, in the numbers' order). STEP: float32(integer × step).
ROW_STEPS: the same with a step for each filter.
"""

from __future__ import annotations

import numpy as np

_TRIES = 8  # the smallest magnitude is taken for 1 to this many steps
_MAX_STEPS = 1 << 15


def ordered(bits: np.ndarray) -> np.ndarray:
    """int64: numbers that sort as the floats do whose bits these are, uint16 or uint32."""
    top = 8 * bits.dtype.itemsize - 1
    wide = bits.astype(np.int64)
    magnitude = wide & ((1 << top) - 1)
    return np.where(wide >> top, -1 - magnitude, magnitude)


def unordered(numbers: np.ndarray, width: int) -> np.ndarray:
    """The bits, uint16 or uint32, of what `ordered` gives these numbers."""
    top = 8 * width - 1
    bits = np.where(numbers < 0, (-1 - numbers) | (1 << top), numbers)
    return (bits & ((1 << (top + 1)) - 1)).astype(f"u{width}")


def table(bits: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Values as places in the list of those that occur.

    Args:
        bits: uint16 or uint32, the bits of floats.

    Returns:
        the list, int64, as `ordered` and sorted; int32 of the shape of `bits`, places counted from
        that of zero; and that place.
    """
    numbers = ordered(bits)
    entries, places = np.unique(numbers, return_inverse=True)
    zero = int(np.searchsorted(entries, 0))
    if zero == len(entries):
        zero -= 1
    return entries, (places.reshape(bits.shape) - zero).astype(np.int32), zero


def times(integers: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """float32(integer × step), rounded once: the product in float64 is exact.

    Args:
        integers: whole numbers, magnitudes up to 2^17.
        steps: float32, to be broadcast with them.
    """
    with np.errstate(all="ignore"):
        return (integers.astype(np.float64) * steps.astype(np.float64)).astype(np.float32)


def step_of(values: np.ndarray) -> float | None:
    """The float32 of which all values are float32(integer × step); None if there is none.

    Of several, the one that ends in the most zero bits, which takes the fewest bytes.

    Args:
        values: float32, any shape, finite.
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
        found = _roundest(low, high)
        if np.array_equal(times(counts, np.array(found)), sizes.astype(np.float32)):
            return float(found)
    return None


def _roundest(low: float, high: float) -> np.float32:
    """A float32 from `low` to `high` with as many zero bits at the end as can be."""
    middle = np.float32((low + high) / 2)
    bits = int(middle.view(np.uint32))
    for zeros in range(23, 0, -1):
        unit = 1 << zeros
        for candidate in ((bits + unit // 2) & -unit, bits & -unit):
            found = np.uint32(candidate).view(np.float32)
            if low <= found <= high:
                return np.float32(found)
    return middle


def integers_of(values: np.ndarray, steps: np.ndarray) -> np.ndarray | None:
    """The integers of which `values` are the `times`; None if there are none.

    Args:
        values: float32.
        steps: float32, above zero, to be broadcast with them.
    """
    integers = np.rint(values.astype(np.float64) / steps.astype(np.float64))
    if np.abs(integers).max(initial=0) > _MAX_STEPS:
        return None
    found = integers.astype(np.int32)
    # By their bits, since a negative zero is not a zero.
    same = np.array_equal(times(found, steps).view(np.uint32), values.view(np.uint32))
    return found if same else None


def row_steps(values: np.ndarray) -> np.ndarray | None:
    """A step of each filter, float32 (filters,); None if one of them has none.

    Args:
        values: float32 (filters, …).
    """
    found = np.ones(len(values), np.float32)
    for number, row in enumerate(values):
        step = step_of(row)
        if step is None:
            return None
        found[number] = step
    return found
