#!/usr/bin/env python3
"""A client of the data server: batches that lie in shared memory, as numpy arrays, without copying.

usage: client.py SOCKET [BATCH [EPOCHS]]    reads some epochs and prints how fast

    for features, labels, items in Client("/tmp/data", 128).epoch(): ...

features[i] is read-only and valid until the next batch: one array, or a list of arrays where samples lie apart.
"""
import mmap
import os
import socket
import struct
import sys
import time

import numpy

MAGIC, VERSION, ANY_MODE = 0x53445656, 1, 0xFFFFFFFF
HELLO, JOIN, NEXT, NEXT_EPOCH, REFUSAL = 1, 2, 3, 5, 199


class ServerError(RuntimeError):
    def __init__(self, problem, text):
        super().__init__(text)
        self.problem = problem  # 7 is an expired lease, 8 the end of the server, 9 a connection that is gone


class Client:
    def __init__(self, path, batch, items=None, rest=None, epochs=0, drop_last=False):
        """items: the job's subset; rest: what it still needs of the first epoch, to go on after a restart."""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(path)
        server = struct.unpack("3i", self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if server[1] != os.geteuid():
            raise ServerError(3, f"{path} belongs to user {server[1]}")
        body = self.ask(HELLO, struct.pack("=II", MAGIC, VERSION))
        version, real, self.size, self.classes, self.targets, length, identity, lease, _, _, _, rank = struct.unpack_from(
            "=IIQiiQQIIIII", body)
        if version != VERSION:
            raise ServerError(2, f"the server speaks version {version}, this client {VERSION}")
        self.shape = struct.unpack_from(f"={rank}I", body, 60)
        self.lease = lease / 1000
        self.type = numpy.dtype({4: numpy.float32, 8: numpy.float64}[real])
        name = body[64 + 4 * rank:].decode()
        with open("/dev/shm/" + os.path.basename(name), "rb") as file:
            self.memory = mmap.mmap(file.fileno(), length, prot=mmap.PROT_READ)
        if struct.unpack_from("=Q", self.memory)[0] != identity:
            raise ServerError(9, "the shared memory belongs to another server")
        lists = [numpy.asarray([] if one is None else one, numpy.uint32) for one in (items, rest)]
        flags = drop_last * 1 | (items is not None) * 2 | (rest is not None) * 4
        self.ask(JOIN, struct.pack("=IIIIIQQ", batch, 1, epochs, flags, ANY_MODE, *map(len, lists))
                 + b"".join(one.tobytes() for one in lists))
        self.all = range(self.size) if items is None else lists[0].tolist()
        self.rest = set(self.all if rest is None else lists[1].tolist())  # items of this epoch that are still to come
        self.held, self.begun = [], False

    def ask(self, kind, body=b""):
        self.socket.sendall(struct.pack("=II", len(body), kind) + body)
        size, kind = struct.unpack("=II", self.read(8))
        body = self.read(size)
        if kind == REFUSAL:
            raise ServerError(struct.unpack_from("=I", body)[0], body[8:].decode(errors="replace"))
        return body

    def read(self, size):
        parts = bytearray()
        while len(parts) < size:
            part = self.socket.recv(size - len(parts))
            if not part:
                raise ServerError(9, "the server closed the connection; a new Client with rest=client.rest goes on")
            parts += part
        return bytes(parts)

    def next(self):
        """The next (features, labels, items), or None at the end of the epoch."""
        self.begun = True
        body = self.ask(NEXT, struct.pack(f"={1 + len(self.held)}I", len(self.held), *self.held))
        number, count = struct.unpack_from("=II", body)
        self.held = [number] if count else []
        if count == 0:
            return None
        places = numpy.frombuffer(body, [("offset", "=u8"), ("item", "=u4"), ("label", "=i4")], count, 16)
        width = int(numpy.prod(self.shape, dtype=int))
        step = (width + self.targets) * self.type.itemsize
        offsets = places["offset"].astype(numpy.int64)
        if (offsets < 4096).any() or (offsets + step > len(self.memory)).any() or (places["item"] >= self.size).any():
            raise ServerError(1, "the server sent a batch that cannot be")
        self.rest.difference_update(places["item"].tolist())
        if (numpy.diff(offsets) == step).all():  # in a row: one array
            features = numpy.ndarray((count, *self.shape), self.type, self.memory, offsets[0],
                                     (step, *numpy.ndarray(self.shape, self.type, self.memory).strides))
        else:
            features = [numpy.ndarray(self.shape, self.type, self.memory, offset) for offset in offsets]
        return features, places["label"], places["item"]

    def epoch(self):
        """All batches of an epoch: of the first, or the rest of it, then of the next one, and so on."""
        if self.begun:
            self.ask(NEXT_EPOCH)
            self.rest = set(self.all)
        return iter(self.next, None)


if __name__ == "__main__":
    client = Client(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 128)
    for epoch in range(int(sys.argv[3]) if len(sys.argv) > 3 else 1):
        start, count = time.perf_counter(), 0
        for features, labels, items in client.epoch():
            count += len(items)
        print(f"epoch {epoch}: {count} samples, {count / (time.perf_counter() - start):.0f} a second")
