"""The official flags, always `--name=value`; unknown flags only cause a warning."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .text import fail, warn

# Official flags and their defaults, which also define the types.
FLAGS: dict[str, bool | int | float | str] = {
    "num_runs": 50, "min_secs": 1.0, "max_secs": 150.0, "run_delay": -1.0, "run_frequency": -1.0,
    "num_threads": -1, "warmup_runs": 1, "warmup_min_secs": 0.5, "verbose": False,
    "report_peak_memory_footprint": False, "memory_footprint_check_interval_ms": 50,
    "graph": "", "signature_to_run_for": "", "input_layer": "", "input_layer_shape": "",
    "input_layer_value_range": "", "input_layer_value_files": "", "allow_fp16": False,
    "require_full_delegation": False, "enable_op_profiling": False, "output_prefix": "",
    "max_profiling_buffer_entries": 1024, "op_profiling_output_mode": "stdout",
    "op_profiling_output_file": "", "profiling_output_csv_file": "", "output_filepath": "",
    "export_model_runtime_info": False, "model_runtime_info_output_file": "",
    "result_file_path": "", "print_preinvoke_state": False, "print_postinvoke_state": False,
    "release_dynamic_tensors": False, "enable_builtin_cast_constant_cache": False,
    "use_gpu": False, "gpu_precision_loss_allowed": True, "gpu_experimental_enable_quant": True,
    "gpu_inference_for_sustained_speed": False, "gpu_backend": "", "delegate_serialize_dir": "",
    "delegate_serialize_token": "", "max_delegated_partitions": 0, "min_nodes_per_partition": 0,
    "use_xnnpack": True, "xnnpack_force_fp16": False, "xnnpack_weight_cache_file_path": "",
    "use_nnapi": False, "nnapi_accelerator_name": "", "disable_nnapi_cpu": True,
    "use_hexagon": False, "hexagon_lib_path": "", "hexagon_profiling": False,
    "external_delegate_path": "", "external_delegate_options": "", "use_caching": False,
}  # fmt: skip


@dataclass
class Flags:
    values: dict[str, Any]
    given: set[str] = field(default_factory=set)

    @classmethod
    def parse(cls, arguments: list[str], known: dict[str, bool | int | float | str]) -> Flags:
        flags, unconsumed = cls(dict(known)), []
        for argument in arguments:
            name, equals, text = argument.removeprefix("--").partition("=")
            if not argument.startswith("--") or not equals or name not in known:
                unconsumed.append(argument)
                continue
            try:
                flags.values[name] = _convert(text, known[name])
            except ValueError:
                fail(f"Couldn't interpret value {text} for flag {name}.")
            flags.given.add(name)
        if unconsumed:
            warn(f"Unconsumed cmdline flags: {' '.join(unconsumed)}")
        return flags

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def get(self, name: str) -> str:
        """Returns a flag as text; empty if this tool does not have the flag."""
        return str(self.values.get(name, ""))


def _convert(text: str, default: object) -> object:
    if isinstance(default, bool):
        if text.lower() not in ("true", "false", "1", "0"):
            raise ValueError(text)
        return text.lower() in ("true", "1")
    if isinstance(default, int):
        return int(text)
    return float(text) if isinstance(default, float) else text
