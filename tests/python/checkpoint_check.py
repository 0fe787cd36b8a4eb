#!/usr/bin/env python3
"""A checkpoint is a safetensors file: the Python package reads the arrays that the training held.

usage: checkpoint_check.py TEST_TRAIN    the program built from tests/train

Exits 77 if the program, safetensors or numpy is not there.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy
    import safetensors
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)


def main():
    if len(sys.argv) != 2 or not os.access(sys.argv[1], os.X_OK):
        print(__doc__)
        return 77
    with tempfile.TemporaryDirectory() as name:
        subprocess.run([sys.argv[1], "--test-case=checkpoint: write for Python"], check=True,
                       env={**os.environ, "VIVACE_EXCHANGE_FOLDER": name})
        folder = pathlib.Path(name)
        with safetensors.safe_open(folder / "net.safetensors", "np") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}
            text = file.metadata()
        assert text["format"] == "vivace checkpoint 1" and text["epoch"] == "2" and text["step"] == "4", text
        assert tensors.pop("trace.epochs").shape == (2, 6)
        assert tensors.pop("trace.batches").shape == (4, 4)
        arrays = {one.name.removesuffix(".npy"): numpy.load(one) for one in folder.glob("*.npy")}
        assert tensors.keys() == arrays.keys(), tensors.keys() ^ arrays.keys()
        for key, expected in arrays.items():
            got = tensors[key]
            assert got.dtype == expected.dtype and got.shape == expected.shape and got.tobytes() == expected.tobytes(), key
        print(len(arrays), "arrays, the same bits")
    return 0


sys.exit(main())
