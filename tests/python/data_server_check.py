#!/usr/bin/env python3
"""The data server's Python client reads each item once an epoch, without copying, and goes on after the server died.

usage: data_server_check.py DATA_SERVER CLIENT    the program built from examples/data_server, and its client.py

Exits 77 if the program or numpy is not there.
"""
import importlib.util
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading

try:
    import numpy
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

COUNT = 500


def load(path):
    specification = importlib.util.spec_from_file_location("client", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def expect(condition, what):
    if not condition:
        sys.exit("failed: " + what)


def start(program, folder, *more):
    running = subprocess.Popen([program, "--data", folder / "x.npy", "--labels", folder / "y.npy", "--scale", "0.5", "--socket",
                                folder / "s", "--memory", "8", "--workers", "1", *more], stdout=subprocess.PIPE, text=True)
    expect(running.stdout.readline().startswith(f"{COUNT} samples"), "the server starts")
    return running


def read_epoch(client, images, wanted, most=None):
    """Reads an epoch or some batches of it; returns the items, all of which are right."""
    seen = []
    for features, labels, items in client.epoch():
        for feature, label, item in zip(features, labels, items):
            expect(numpy.array_equal(feature, images[item] * numpy.float32(0.5)), f"item {item} is right")
            expect(label == item % 10, f"the label of item {item} is right")
        views = [features] if isinstance(features, numpy.ndarray) else features
        for view in views:
            expect(not view.flags.owndata and not view.flags.writeable, "batches are views of the shared memory")
        seen += items.tolist()
        if most and len(seen) >= most:
            break
    expect(len(set(seen)) == len(seen) and set(seen) <= set(wanted), "no item comes twice, and none unasked")
    expect(most or len(seen) == len(wanted), "an epoch is complete")
    return seen


def check(program, client, folder):
    images = numpy.random.default_rng(1).integers(0, 255, (COUNT, 3, 4, 5)).astype(numpy.uint8)
    numpy.save(folder / "x.npy", images)
    numpy.save(folder / "y.npy", (numpy.arange(COUNT) % 10).astype(numpy.int32))
    running = start(program, folder)
    path = str(folder / "s")
    try:
        second = subprocess.run([program, "--data", folder / "x.npy", "--socket", path], capture_output=True, text=True)
        expect(second.returncode == 1 and "running already" in second.stderr, "a second server is refused")

        failures = []

        def job(batch, items):
            try:
                mine = client.Client(path, batch, items)
                for _ in range(3):
                    read_epoch(mine, images, range(COUNT) if items is None else items)
            except BaseException as failure:
                failures.append(failure)

        jobs = [threading.Thread(target=job, args=one) for one in ((32, None), (7, list(range(0, COUNT, 3))))]
        for one in jobs:
            one.start()
        for one in jobs:
            one.join()
        expect(not failures, str(failures))

        try:
            client.Client(path, 32, [COUNT])
            expect(False, "an item that there is not is refused")
        except client.ServerError as failure:
            expect("there is no such item" in str(failure), str(failure))

        mine = client.Client(path, 32)
        seen = read_epoch(mine, images, range(COUNT), most=100)
        expect(set(seen) | mine.rest == set(range(COUNT)), "the rest is known")
        running.kill()
        running.wait()
        try:
            mine.next()
            expect(False, "a dead server is an error")
        except (client.ServerError, OSError):
            pass
        running = start(program, folder)
        mine = client.Client(path, 32, rest=sorted(mine.rest))
        seen += rest_of(mine, images)
        expect(sorted(seen) == list(range(COUNT)), "a new client goes on with the rest of the epoch")
        read_epoch(mine, images, range(COUNT))

        running.send_signal(signal.SIGTERM)
        output = running.communicate(timeout=30)[0]
        expect(running.returncode == 0 and "prepared" in output, "the server ends when it is told to")
        expect(not os.path.exists(path), "the socket goes with the server")
    finally:
        running.kill()
        running.wait()


def rest_of(client, images):
    seen = []
    for features, labels, items in client.epoch():
        for feature, item in zip(features, items):
            expect(numpy.array_equal(feature, images[item] * numpy.float32(0.5)), f"item {item} is right")
        seen += items.tolist()
    return seen


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    if not os.access(sys.argv[1], os.X_OK):
        print("skipped:", sys.argv[1], "is not there")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as temporary:
        check(sys.argv[1], load(sys.argv[2]), pathlib.Path(temporary))
