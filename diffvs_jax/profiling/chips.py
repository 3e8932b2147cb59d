"""What accelerators can do at most, from their makers' data sheets."""

# Dense bfloat16 matrix products, FLOP/s per device (a TPU's device is one chip of v4 and newer).
_PEAK_BF16 = {
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "A100": 312e12,
    "A100-SXM4-40GB": 312e12,
    "A100-SXM4-80GB": 312e12,
    "L4": 121e12,
    "TPU v6 lite": 918e12,
    "TPU v5p": 459e12,
    "TPU v5 lite": 197e12,
    "TPU v5": 459e12,
    "TPU v4": 275e12,
}

ACCELERATORS = ("A100", "H100", "TPU v4", "TPU v5 lite", "TPU v5p", "TPU v6 lite")  # of each kind one, to compare


def peak_flops(device_kind: str) -> float | None:
    """Peak bfloat16 FLOP/s of a device by JAX's name for it; None where it is not known, as for CPUs."""
    words = f" {device_kind} "
    return next((peak for name, peak in _PEAK_BF16.items() if f" {name} " in words), None)
