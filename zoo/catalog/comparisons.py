"""Groups of networks to compare; each becomes a table of the report."""

from __future__ import annotations

# Title → networks; the first one is the baseline.
QUESTIONS: dict[str, tuple[str, ...]] = {
    "Shift operators: ResNet-20 with expansion 3 and four ways to mix neighboring pixels": (
        "dwresnet20_e3", "shiftresnet20_e3", "asresnet20_e3", "sslresnet20_e3",
    ),
    "Channel-wise squeeze-and-excitation: MobileNetV2 for CIFAR with and without CSE gates": (
        "mobilenet_v2_cifar", "mobilenet_v2_optimized_cifar", "mobilenet_v2_cse_mix",
        "mobilenet_v2_cse_only",
    ),
    "Bypasses: SqueezeNet 1.0 with and without connections around its fire modules": (
        "squeezenet_v1_0", "squeezenet_v1_0_simple_bypass", "squeezenet_v1_0_complex_bypass",
    ),
}  # fmt: skip
