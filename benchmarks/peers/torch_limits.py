"""What a GPU can do at most, as PyTorch gets it: a large product in each precision, a large copy; and what it is.

Prints one line of JSON. With --device cpu and a small --size, a rehearsal.
"""
import argparse
import json
import shutil
import subprocess
import time

import torch


def least_seconds(body, synchronise, rounds=5, calls=4):
    """Of one call, the least over some rounds."""
    least = float("inf")
    for at in range(rounds + 1):  # the first one warms up
        start = time.perf_counter()
        for _ in range(calls):
            body()
        synchronise()
        if at > 0:
            least = min(least, (time.perf_counter() - start) / calls)
    return least


def product(precision, size, device, synchronise):
    """Floating-point operations a second."""
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = (torch.rand(size, size, device=device).to(kind) for _ in range(2))
    c = torch.empty_like(a)
    return 2 * size ** 3 / least_seconds(lambda: torch.mm(a, b, out=c), synchronise)


def copy(bytes_of, device, synchronise):
    """Bytes a second, those read and those written."""
    a = torch.zeros(bytes_of // 4, device=device)
    b = torch.empty_like(a)
    return 2 * bytes_of / least_seconds(lambda: b.copy_(a), synchronise)


def driver():
    if not shutil.which("nvidia-smi"):
        return "unknown"
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    return subprocess.run(command, capture_output=True, text=True).stdout.split("\n")[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", type=int, default=8192)
    options = parser.parse_args()
    on_gpu = options.device == "cuda"
    synchronise = torch.cuda.synchronize if on_gpu else lambda: None
    print(json.dumps({
        "name": torch.cuda.get_device_name() if on_gpu else "CPU", "driver": driver(), "cuda": torch.version.cuda,
        "torch": torch.__version__, "cudnn": torch.backends.cudnn.version(),
        "peak": {precision: product(precision, options.size, options.device, synchronise)
                 for precision in ("f32", "tf32", "bf16")},
        "bandwidth": copy(16 * options.size ** 2, options.device, synchronise)}))


main()
