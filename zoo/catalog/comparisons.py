"""Which networks answer a question together; tables put them beside each other."""

from __future__ import annotations

# Title → the networks; the first one is what the others are compared with.
QUESTIONS: dict[str, tuple[str, ...]] = {
    "The shift question: one skeleton, ResNet-20 of expansion 3, and what moves or mixes in it": (
        "dwresnet20_e3", "shiftresnet20_e3", "asresnet20_e3", "sslresnet20_e3",
    ),
    "The CSE question: MobileNetV2 for CIFAR, and with a gate over places": (
        "mobilenet_v2_cifar", "mobilenet_v2_optimized_cifar", "mobilenet_v2_cse_mix",
        "mobilenet_v2_cse_only",
    ),
    "The bypass question: SqueezeNet 1.0, and with sums around its Fire modules": (
        "squeezenet_v1_0", "squeezenet_v1_0_simple_bypass", "squeezenet_v1_0_complex_bypass",
    ),
}  # fmt: skip
