"""Output of `dumpsys` on phones of several vendors and Android versions."""

from __future__ import annotations

from tests.virtual_phone.profile import PhoneProfile


def battery_text(profile: PhoneProfile) -> str:
    """Returns the output of `dumpsys battery`."""
    style, level, powered = profile.battery_style, profile.battery_level, profile.usb_powered
    counter_uah = level * 45_000
    lines = ["Current Battery Service state:"]
    if profile.battery_frozen:
        lines.append("  (UPDATES STOPPED -- use 'reset' to restart)")
    lines += ["  AC powered: false", f"  USB powered: {str(powered).lower()}"]
    lines.append("  Wireless powered: false")
    if style in ("android_13", "android_14"):
        lines.append("  Dock powered: false")
    if style != "android_6":
        lines += ["  Max charging current: 500000", "  Max charging voltage: 5000000"]
        lines.append(f"  Charge counter: {counter_uah}")
    lines += [
        f"  status: {2 if powered else 3}",
        "  health: 2",
        "  present: true",
        f"  level: {level}",
        "  scale: 100",
        "  voltage: 4101",
        f"  temperature: {round(profile.battery_temp_c * 10)}",
        "  technology: Li-ion",
    ]
    if style == "android_14":
        lines += ["  Charging state: 0", "  Charging policy: 0"]
    if style == "samsung":
        # Vendor-specific lines, a current in mA, and another charge counter in another unit.
        lines += [
            "  batteryMiscEvent: 0",
            "  batteryCurrentEvent: 0",
            "  mSecPlugTypeSummary: 0",
            "  LED Charging: true",
            "  LED Low Battery: true",
            f"  current now: {425 if powered else -125}",
            f"  charge counter: {counter_uah // 1000}",
            "  Adaptive Fast Charging Settings: true",
            "  SUPPORT_SHUTDOWN_TEMPERATURE: false",
        ]
    return "\n".join(lines) + "\n"


def thermal_text(status: int) -> str:
    """Returns the output of `dumpsys thermalservice`; its cached section is stale, as usual."""
    skin_c = 31.5 + 4 * status
    return f"""IsStatusOverride: false
ThermalEventListeners:
	callbacks: 1
	killed: false
	broadcasts count: -1
ThermalStatusListeners:
	callbacks: 1
	killed: false
	broadcasts count: -1
Thermal Status: {status}
Cached temperatures:
	Temperature{{mValue=24.7, mType=3, mName=skin, mStatus=0}}
HAL Ready: true
HAL connection:
	ThermalHAL 2.0 connected: yes
Current temperatures from HAL:
	Temperature{{mValue=35.2, mType=0, mName=cpu-1-0, mStatus=0}}
	Temperature{{mValue=33.9, mType=1, mName=gpuss-0, mStatus=0}}
	Temperature{{mValue=28.0, mType=2, mName=battery, mStatus=0}}
	Temperature{{mValue={skin_c}, mType=3, mName=skin, mStatus={status}}}
Current cooling devices from HAL:
	CoolingDevice{{mValue=0, mType=2, mName=thermal-cpufreq-4}}
"""
