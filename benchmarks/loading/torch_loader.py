"""PyTorch's side of compare.py: jobs that train at once, each a process of its own with a DataLoader of its own.

A sample is prepared by the C++ function that our side calls (loading_turns, of turns.cpp), so that the work a sample is
the same to the instruction and what differs is the loading around it: worker processes, queues, collation. Networks,
batch, optimiser and number of samples are ours; each job shuffles for itself. Workers stay from epoch to epoch
(persistent_workers), and their number is that of the machine's cores over the jobs, at least one.
"""
import argparse
import ctypes
import json
import multiprocessing
import os
import sys
import time

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Pictures(Dataset):
    """Bytes in memory, as in our data set; an item becomes floats, then it is prepared."""

    def __init__(self, samples, library):
        generator = torch.Generator().manual_seed(1)
        self.pictures = torch.randint(0, 256, (samples, 1, 28, 28), dtype=torch.uint8, generator=generator)
        self.labels = torch.randint(0, 10, (samples,), generator=generator)
        self.turns = None
        if library:
            self.turns = ctypes.CDLL(library).loading_turns
            self.turns.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_uint64, ctypes.c_uint32,
                                   ctypes.c_uint32]
            self.turns.restype = None

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        picture = self.pictures[index].float().div_(255)
        if self.turns:
            self.turns(picture.data_ptr(), 28, 28, 1, torch.randint(1 << 31, ()).item(), index)
        return picture, self.labels[index]


def network(preparation):
    widths = [784, 32, 10] if preparation == "costly" else [784, 512, 256, 10]
    layers = [nn.Flatten()]
    for one, next_one in zip(widths, widths[1:]):
        layers += [nn.Linear(one, next_one), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def job(pipe, preparation, samples, library, workers):
    """One training job: an epoch whenever it is told to."""
    torch.set_num_threads(1)
    torch.manual_seed(os.getpid())
    data = Pictures(samples, library if preparation == "costly" else None)
    batches = DataLoader(data, batch_size=64, shuffle=True, num_workers=workers, persistent_workers=workers > 0,
                         multiprocessing_context="fork" if workers > 0 else None)
    model = network(preparation)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)

    def epoch():
        for pictures, labels in batches:
            optimiser.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(model(pictures), labels).backward()
            optimiser.step()

    epoch()  # starts the workers
    pipe.send("ready")
    while pipe.recv() == "go":
        epoch()
        pipe.send("done")


class Jobs:
    """Processes that train at once."""

    def __init__(self, preparation, count, options):
        context = multiprocessing.get_context("spawn")
        workers = options.workers if options.workers >= 0 else max(1, (os.cpu_count() or 1) // count)
        self.pipes, self.processes = [], []
        for _ in range(count):
            mine, theirs = context.Pipe()
            one = context.Process(target=job, args=(theirs, preparation, options.samples, options.library, workers))
            one.start()
            theirs.close()
            self.pipes.append(mine)
            self.processes.append(one)
        for pipe in self.pipes:
            pipe.recv()

    def epoch(self):
        start = time.perf_counter()
        for pipe in self.pipes:
            pipe.send("go")
        for pipe in self.pipes:
            pipe.recv()
        return time.perf_counter() - start

    def close(self):
        for pipe in self.pipes:
            pipe.send("end")
        for one in self.processes:
            one.join()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", required=True, help="loading_turns.so")
    parser.add_argument("--samples", type=int, default=4096)
    parser.add_argument("--workers", type=int, default=-1, help="of each DataLoader; default: see above")
    options = parser.parse_args()
    running, what = None, None
    for line in sys.stdin:
        preparation, count, _ = line.split()
        if what != (preparation, count):
            if running:
                running.close()
            running, what = Jobs(preparation, int(count), options), (preparation, count)
        print(json.dumps({"seconds": running.epoch()}), flush=True)
    if running:
        running.close()


if __name__ == "__main__":
    main()
