"""What the Python peers share: the start values that our side wrote, and the loop that serves the driver."""
import argparse
import json
import sys
import time


def options():
    parser = argparse.ArgumentParser()
    for name in ("network", "optimiser", "mode", "data"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=("f32", "tf32", "bf16"), default="f32")
    parser.add_argument("--rate", type=float, required=True)
    return parser.parse_args()


def read_safetensors(path, library):
    """{name: array of the library, numpy or torch}, in the order of the names."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        body = file.read()
    types = {"F32": library.float32, "I32": library.int32}
    header.pop("__metadata__", None)
    return {name: library.frombuffer(bytearray(body[slice(*one["data_offsets"])]), dtype=types[one["dtype"]])
            .reshape(one["shape"]) for name, one in sorted(header.items())}


def start_of(path, library):
    """(parameters in the network's order, batch {features, targets, labels})"""
    arrays = read_safetensors(path, library)
    parameters = [array for name, array in arrays.items() if name.startswith("parameter.")]
    batch = {name.removeprefix("batch."): array for name, array in arrays.items() if name.startswith("batch.")}
    return parameters, batch


def serve(restart, step, finish=lambda: None):
    """Answers the driver's lines; serve.hpp says what they are. `finish` waits for what `step` only began."""
    of_step = 0
    for line in sys.stdin:
        word, _, argument = line.strip().partition(" ")
        if word == "quit":
            break
        if word == "losses":
            restart()
            print(json.dumps({"losses": [float(step()) for _ in range(int(argument))]}), flush=True)
        elif word == "time":
            steps = max(1, round(float(argument) / of_step)) if of_step else 1
            processor, start = time.process_time(), time.perf_counter()
            for _ in range(steps):
                step()
            finish()
            wall = time.perf_counter() - start
            of_step = wall / steps
            print(json.dumps({"steps": steps, "wall": wall, "cpu": time.process_time() - processor}), flush=True)
