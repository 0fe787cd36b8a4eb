#!/usr/bin/env python3
"""NPY and safetensors files go from C++ to Python and back, unchanged.

usage: formats.py TEST_IO    the program built from tests/io

Reads and writes with twenty lines of its own, and with NumPy and the safetensors package where these are installed.
Exits 77 if the program is not there.
"""
import ast
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

try:
    import numpy
except ImportError:
    numpy = None
try:
    import safetensors.numpy
except ImportError:
    safetensors = None

# type -> (code of struct, NPY, safetensors)
TYPES = {"f32": ("f", "<f4", "F32"), "f64": ("d", "<f8", "F64"), "i32": ("i", "<i4", "I32"),
         "i64": ("q", "<i8", "I64"), "u8": ("B", "|u1", "U8")}
NPY = {"f32": (2, 3), "f64": (), "i32": (5,), "i64": (1, 2, 2, 1), "u8": (0, 3)}
TENSORS = {"f32": ("f32", (2, 3)), "f64": ("f64", ()), "i32": ("i32", (5,)), 'i64 "é"': ("i64", (1, 4)),
           "u8": ("u8", (3,))}


def count(shape):
    product = 1
    for extent in shape:
        product *= extent
    return product


def packed(kind, shape):
    return struct.pack(f"<{count(shape)}{TYPES[kind][0]}", *(3 * k for k in range(count(shape))))


def read_own(folder):
    for kind, shape in NPY.items():
        content = (folder / f"{kind}.npy").read_bytes()
        length = struct.unpack("<H", content[8:10])[0]
        assert content[:8] == b"\x93NUMPY\1\0" and (10 + length) % 64 == 0
        header = ast.literal_eval(content[10:10 + length].decode())
        assert header == {"descr": TYPES[kind][1], "fortran_order": False, "shape": shape}, header
        assert content[10 + length:] == packed(kind, shape)
    content = (folder / "all.safetensors").read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header, elements = json.loads(content[8:8 + length]), content[8 + length:]
    assert header.pop("__metadata__") == {"origin": "C++\n"}
    assert header.keys() == TENSORS.keys()
    for name, (kind, shape) in TENSORS.items():
        begin, end = header[name]["data_offsets"]
        assert header[name]["dtype"] == TYPES[kind][2] and tuple(header[name]["shape"]) == shape
        assert elements[begin:end] == packed(kind, shape)


def write_own(folder):
    for kind, shape in NPY.items():
        header = repr({"descr": TYPES[kind][1], "fortran_order": False, "shape": shape}).encode() + b"\n"
        (folder / f"{kind}.npy").write_bytes(
            b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + packed(kind, shape))
    header, elements = {"__metadata__": {"origin": "Python\n"}}, b""
    for name, (kind, shape) in sorted(TENSORS.items(), key=lambda item: -struct.calcsize(TYPES[item[1][0]][0])):
        begin = len(elements)
        elements += packed(kind, shape)
        header[name] = {"dtype": TYPES[kind][2], "shape": shape, "data_offsets": [begin, len(elements)]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (folder / "all.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + elements)


def array(kind, shape):
    return numpy.frombuffer(packed(kind, shape), TYPES[kind][1]).reshape(shape)


def same(read, kind, shape):
    expected = array(kind, shape)
    return read.dtype == expected.dtype and read.shape == expected.shape and read.tobytes() == expected.tobytes()


def read_packages(folder):
    for kind, shape in NPY.items():
        assert same(numpy.load(folder / f"{kind}.npy"), kind, shape)
    if safetensors:
        tensors = safetensors.numpy.load_file(folder / "all.safetensors")
        assert tensors.keys() == TENSORS.keys()
        assert all(same(tensors[name], *what) for name, what in TENSORS.items())


def write_packages(folder):
    for kind, shape in NPY.items():
        numpy.save(folder / f"{kind}.npy", array(kind, shape))
    if safetensors:
        tensors = {name: array(*what) for name, what in TENSORS.items()}
        safetensors.numpy.save_file(tensors, folder / "all.safetensors", {"origin": "Python\n"})


def main():
    if len(sys.argv) != 2 or not os.access(sys.argv[1], os.X_OK):
        print(__doc__)
        return 77

    def run(case, folder):
        subprocess.run([sys.argv[1], f"--test-case=exchange: {case}*"], check=True,
                       env={**os.environ, "VIVACE_EXCHANGE_FOLDER": str(folder)})

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        run("write", folder)
        read_own(folder)
        if numpy:
            read_packages(folder)
        write_own(folder)
        run("read", folder)
        if numpy:
            write_packages(folder)
            run("read", folder)
    print("NumPy:", numpy.__version__ if numpy else "not installed",
          "safetensors:", "installed" if safetensors else "not installed")
    return 0


sys.exit(main())
