#!/usr/bin/env python3
"""What rank_traces prints is what numpy and scipy compute from the formulas, to 1e-9.

usage: rank_check.py RANK_TRACES TRACES    the program built from examples/rank_traces, and a table of traces

Exits 77 if the program, scipy or numpy is not there.
"""
import csv
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy
    import scipy.stats
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

BUDGETS = [1, 2, 5, 10, 20, 50]


def released(curves):
    average = curves[:, 0]
    for epoch in range(1, curves.shape[1]):
        average = 0.1 * average + 0.9 * curves[:, epoch]
    return average


def discounted(curves, gamma):
    return curves @ gamma ** numpy.arange(curves.shape[1] - 1, -1, -1)


# From losses [runs, epochs] of training and validation to scores [runs]. A loss that is not finite makes it the worst.
ESTIMATORS = {
    "tse": lambda train, val: train.sum(axis=1),
    "tse_e1": lambda train, val: train[:, -1],
    "tse_ema_0.9": lambda train, val: discounted(train, 0.9),
    "tse_ema_0.999": lambda train, val: discounted(train, 0.999),
    "tse_ema_released": lambda train, val: released(train),
    "sum_validation_loss": lambda train, val: val.sum(axis=1),
    "early_stop": lambda train, val: val[:, -1],
}


def check(program, arguments, train, val, target, budgets=BUDGETS):
    """target: lower is better"""
    printed = subprocess.run([program, *map(str, arguments), "--json"], check=True, capture_output=True, text=True)
    rows = {(row["estimator"], row["budget"]): row for row in json.loads(printed.stdout)["rows"]}
    assert rows.keys() == {(name, budget) for name in ESTIMATORS for budget in budgets}, rows.keys()
    for (name, budget), row in rows.items():
        scores = ESTIMATORS[name](train[:, :budget], val[:, :budget])
        read = val if name in ("sum_validation_loss", "early_stop") else train
        scores = numpy.where(numpy.isfinite(read[:, :budget]).all(axis=1), scores, math.inf)
        statistics = {"spearman": scipy.stats.spearmanr(scores, target)[0],
                      "kendall": scipy.stats.kendalltau(scores, target, variant="b")[0]}
        for statistic, expected in statistics.items():
            got = row[statistic]
            if math.isnan(expected):
                assert got is None, (name, budget, statistic, got)
            else:
                assert abs(got - expected) < 1e-9, (name, budget, statistic, got, expected)
        assert row["runs"] == len(target)
    return 2 * len(rows)


def matrix(rows, prefix):
    return numpy.array([[float(row[f"{prefix}{epoch:02}"]) for epoch in range(1, 51)] for row in rows])


def write_table(path, train, val, target, name="final_test_loss"):
    with open(path, "w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([name, *(f"{kind}{epoch + 1}" for kind in ("train_", "val_") for epoch in range(train.shape[1]))])
        for row in zip(target, train, val):
            table.writerow([repr(float(row[0])), *(repr(float(loss)) for series in row[1:] for loss in series)])


def main():
    if len(sys.argv) != 3 or not os.access(sys.argv[1], os.X_OK):
        print(__doc__)
        return 77
    program, traces = sys.argv[1:]
    with open(traces, newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["status"] == "ok"]
    train, val = matrix(rows, "train_"), matrix(rows, "val_")
    target = numpy.array([float(row["final_test_loss"]) for row in rows])
    cells = check(program, [traces], train, val, target)

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        random = numpy.random.default_rng(1)
        # Ties everywhere, and candidates that failed.
        train, val = (numpy.round(random.random((60, 20)) * 4) / 4 for _ in range(2))
        target = numpy.round(random.random(60) * 6) / 6
        train[7, 3:] = math.nan
        train[11, 0] = math.inf
        val[7, 12] = math.nan
        write_table(folder / "ties.csv", train, val, target)
        cells += check(program, [folder / "ties.csv"], train, val, target, BUDGETS[:-1])
        # Accuracies: negated by the program. Constant scores are null.
        train[:, 0], val[:, 0] = 1, 1
        write_table(folder / "accuracy.csv", train, val, target, "accuracy")
        cells += check(program, [folder / "accuracy.csv", "--target", "accuracy", "--better", "high"], train, val, -target,
                       BUDGETS[:-1])
        # The trainer's traces with a table of targets.
        train, val, target = random.random((12, 5)), random.random((12, 5)), random.random(12)
        files = [folder / f"run{run}" / "trace.csv" for run in range(12)]
        for run, path in enumerate(files):
            path.parent.mkdir()
            lines = [f"{epoch},{float(train[run, epoch])!r},{float(val[run, epoch])!r},0.5,1,0.25" for epoch in range(5)]
            path.write_text("epoch,train_loss,val_loss,val_accuracy,rate,seconds\n" + "\n".join(lines) + "\n")
        order = random.permutation(12)
        (folder / "runs.csv").write_text("run,target\n" + "".join(f"run{run},{float(target[run])!r}\n" for run in order))
        cells += check(program, [*files, folder / "runs.csv"], train, val, target, BUDGETS[:3])
    print(cells, "statistics agree")
    return 0


sys.exit(main())
