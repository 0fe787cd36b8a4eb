#!/usr/bin/env python3
"""TensorBoard reads the event file of a training.

usage: tensorboard_check.py TEST_TRAIN    the program built from tests/train

Exits 77 if the program or tensorboard is not there.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)


def main():
    if len(sys.argv) != 2 or not os.access(sys.argv[1], os.X_OK):
        print(__doc__)
        return 77
    with tempfile.TemporaryDirectory() as name:
        subprocess.run([sys.argv[1], "--test-case=tensorboard: curves"], check=True,
                       env={**os.environ, "VIVACE_EXCHANGE_FOLDER": name})
        events = EventAccumulator(str(pathlib.Path(name) / "runs" / "first"))
        events.Reload()
        tags = events.Tags()["scalars"]
        assert sorted(tags) == ["accuracy/validation", "loss/train", "loss/validation"], tags
        for tag in tags:
            assert [one.step for one in events.Scalars(tag)] == [1, 2, 3]
        print("3 curves of 3 points")
    return 0


sys.exit(main())
