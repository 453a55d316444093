"""Power and energy from battery gauges and processor counters: sampling, calibration, results."""
