"""What this machine has to compute with: processor cores and what they can do, an NVIDIA GPU, libraries of TensorRT.

Nothing here can end the process, and no runtime is imported.
"""

import ctypes
import math
import os
from functools import cache
from pathlib import Path

# Matrix products in bfloat16, by Intel's tiles or in AVX-512: half the memory traffic, twice the products.
BFLOAT16_FLAGS = frozenset({"amx_bf16", "avx512_bf16"})


def cores() -> int:
    """Processor cores that this process may use: by its affinity, and by its control group's quota of time."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return allowed if quota is None else max(1, min(allowed, math.ceil(quota)))


def cpu_quota(cgroup: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Cores' worth of time that a container may use (control groups, version 2); None where there is no limit."""
    try:
        [own] = [line[3:] for line in cgroup.read_text().splitlines() if line.startswith("0::")]
        quota, period = (root / own.strip("/") / "cpu.max").read_text().split()
        return int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # "max 100000": all of the time
        return None


@cache
def has_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor multiplies in bfloat16; False where that cannot be told."""
    try:
        with cpuinfo.open() as file:
            flags = next((line for line in file if line.startswith("flags")), "")
    except OSError:
        return False
    return not BFLOAT16_FLAGS.isdisjoint(flags.split())


@cache
def find_gpu() -> str | None:
    """Name of the first NVIDIA GPU, as its driver says it; None where there is no driver or no GPU."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    device, count, name = ctypes.c_int(), ctypes.c_int(), ctypes.create_string_buffer(256)
    if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return None
    if cuda.cuDeviceGet(ctypes.byref(device), 0) or cuda.cuDeviceGetName(name, len(name), device):
        return None
    return name.value.decode(errors="replace")


def missing_gpu() -> list[str]:
    return [] if find_gpu() else ["an NVIDIA GPU (the driver's libcuda.so.1 finds none)"]


def library_version(library: str) -> str | None:
    """Version of a libnvinfer that can be loaded, such as 10.13.2; None where it cannot."""
    try:
        number = int(ctypes.CDLL(library).getInferLibVersion())
    except (OSError, AttributeError):
        return None
    # Two digits for each part since TensorRT 10, before that one for the minor version: 101302 and 8601.
    major, rest = divmod(number, 10000) if number >= 100000 else divmod(number, 1000)
    return f"{major}.{rest // 100}.{rest % 100}"
