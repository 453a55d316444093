"""Finds a Vulkan device for LiteRT's GPU engine: the computer's own, or SwiftShader.

SwiftShader computes on the processor what a GPU would. Chromium brings it, with a Vulkan loader.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import ZooError

_CHROMIUM = (
    "/usr/lib/chromium", "/usr/lib/chromium-browser", "/usr/lib64/chromium-browser",
    "/opt/google/chrome", "/opt/chromium.org/chromium",
)  # fmt: skip
_LOADER = "libvulkan.so.1"
_DRIVERS = ("VK_DRIVER_FILES", "VK_ICD_FILENAMES")  # variables of the loader, the newer one first

# Numbers of the Vulkan specification: structure types, and the device type of a processor.
_APPLICATION, _INSTANCE = 0, 1
_FEATURES_2, _PROPERTIES_2 = 1000059000, 1000059001
_FLOAT16_INT8, _DRIVER = 1000082000, 1000196000
_CPU_TYPE = 4
_VERSION_1_2 = (1 << 22) | (2 << 12)


@dataclass(frozen=True)
class VulkanDevice:
    """A device that the loader finds.

    Attributes:
        name: Its name.
        driver: Name and version of its driver.
        software: Whether it is a processor that stands in for a GPU.
        float16: Whether its shaders compute in float16.
    """

    name: str
    driver: str
    software: bool
    float16: bool


def prepare() -> VulkanDevice:
    """Chooses a device for this process, and returns it.

    The computer's own GPU is chosen, if it has one, or the driver that the variables of the Vulkan
    loader name; otherwise SwiftShader. Must be called before the engine is loaded.

    Raises:
        ZooError: if there is neither.
    """
    named = any(os.environ.get(variable) for variable in _DRIVERS)
    system = _loaded(ctypes.util.find_library("vulkan") or _LOADER)
    found = _devices(system) if system else []
    real = [device for device in found if named or not device.software]
    if real:
        return real[0]
    for folder in map(Path, _CHROMIUM):
        driver = folder / "vk_swiftshader_icd.json"
        if not driver.is_file():
            continue
        # The engine opens the loader by its name, and finds the one that is already open.
        loader = system or _loaded(str(folder / _LOADER))
        os.environ[_DRIVERS[1]] = str(driver)
        if loader and (devices := _devices(loader)):
            return devices[0]
        del os.environ[_DRIVERS[1]]
    raise ZooError(
        "no Vulkan device for LiteRT's GPU engine",
        expected="a GPU with a Vulkan driver, or Chromium, which brings SwiftShader",
        got=", ".join(_DRIVERS) + " name no device" if named else "neither",
        remedy="apt-get install chromium (Debian), or install your GPU's Vulkan driver",
    )


def _loaded(path: str) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(path, ctypes.RTLD_GLOBAL)
    except OSError:
        return None


class _Application(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_uint32), ("next", ctypes.c_void_p), ("name", ctypes.c_char_p),
        ("version", ctypes.c_uint32), ("engine", ctypes.c_char_p),
        ("engine_version", ctypes.c_uint32), ("api", ctypes.c_uint32),
    )  # fmt: skip


class _Instance(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_uint32), ("next", ctypes.c_void_p), ("flags", ctypes.c_uint32),
        ("application", ctypes.POINTER(_Application)), ("layer_count", ctypes.c_uint32),
        ("layers", ctypes.c_void_p), ("extension_count", ctypes.c_uint32),
        ("extensions", ctypes.c_void_p),
    )  # fmt: skip


class _Driver(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_uint32), ("next", ctypes.c_void_p), ("id", ctypes.c_uint32),
        ("name", ctypes.c_char * 256), ("info", ctypes.c_char * 256),
        ("conformance", ctypes.c_uint8 * 4),
    )  # fmt: skip


class _Properties(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_uint32), ("next", ctypes.c_void_p), ("api", ctypes.c_uint32),
        ("driver", ctypes.c_uint32), ("vendor", ctypes.c_uint32), ("device", ctypes.c_uint32),
        ("kind", ctypes.c_uint32), ("name", ctypes.c_char * 256),
        ("limits", ctypes.c_uint8 * 1024),  # and what else the loader writes, 540 bytes
    )  # fmt: skip


class _Float16(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_uint32), ("next", ctypes.c_void_p), ("float16", ctypes.c_uint32),
        ("int8", ctypes.c_uint32),
    )  # fmt: skip


class _Features(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_uint32), ("next", ctypes.c_void_p), ("features", ctypes.c_uint32 * 64),
    )  # fmt: skip


def _devices(vulkan: ctypes.CDLL) -> list[VulkanDevice]:
    """Returns the devices that the loader finds, in its order."""
    application = _Application(type=_APPLICATION, api=_VERSION_1_2)
    information = _Instance(type=_INSTANCE, application=ctypes.pointer(application))
    instance = ctypes.c_void_p()
    if vulkan.vkCreateInstance(ctypes.byref(information), None, ctypes.byref(instance)):
        return []
    try:
        count = ctypes.c_uint32()
        vulkan.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), None)
        handles = (ctypes.c_void_p * count.value)()
        if vulkan.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), handles):
            return []
        return [_device(vulkan, ctypes.c_void_p(handle)) for handle in handles[: count.value]]
    finally:
        vulkan.vkDestroyInstance(instance, None)


def _device(vulkan: ctypes.CDLL, handle: ctypes.c_void_p) -> VulkanDevice:
    driver = _Driver(type=_DRIVER)
    properties = _Properties(type=_PROPERTIES_2, next=ctypes.addressof(driver))
    vulkan.vkGetPhysicalDeviceProperties2(handle, ctypes.byref(properties))
    float16 = _Float16(type=_FLOAT16_INT8)
    features = _Features(type=_FEATURES_2, next=ctypes.addressof(float16))
    vulkan.vkGetPhysicalDeviceFeatures2(handle, ctypes.byref(features))
    names = (driver.name, driver.info)
    return VulkanDevice(
        name=properties.name.decode(errors="replace"),
        driver=" ".join(name.decode(errors="replace") for name in names if name),
        software=properties.kind == _CPU_TYPE,
        float16=bool(float16.float16),
    )
