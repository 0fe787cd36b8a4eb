#!/usr/bin/env python3
"""ONNX files that C++ writes are valid, and onnxruntime predicts with them what the library predicts.

usage: onnx_check.py TEST_TRAIN    the program built from tests/train

Exits 77 if the program, onnx, onnxruntime or numpy is not there.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy
    import onnx
    import onnxruntime
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)


def check(model_path):
    stem = model_path.with_suffix("")
    model = onnx.load(model_path)
    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version == 8 and model.opset_import[0].version == 17 and model.producer_name == "vivace"
    for value in [*model.graph.input, *model.graph.output]:
        dims = value.type.tensor_type.shape.dim
        assert not dims or dims[0].dim_param == "batch", value
    session = onnxruntime.InferenceSession(model_path, providers=["CPUExecutionProvider"])
    inputs = {one.name: numpy.load(f"{stem}.{one.name}.npy") for one in session.get_inputs()}
    worst = 0
    for output, got in zip(session.get_outputs(), session.run(None, inputs)):
        expected = numpy.load(f"{stem}.{output.name}.npy")
        assert got.dtype == expected.dtype and got.shape == expected.shape, (output.name, got.shape, expected.shape)
        worst = max(worst, float(numpy.max(numpy.abs(got - expected) / (1 + numpy.abs(expected)))))
    print(f"{stem.name}: {len(model.graph.node)} nodes, largest difference {worst:.1e}")
    assert worst < 1e-5
    return {one.name for one in model.graph.initializer}


def main():
    if len(sys.argv) != 2 or not os.access(sys.argv[1], os.X_OK):
        print(__doc__)
        return 77
    with tempfile.TemporaryDirectory() as name:
        subprocess.run([sys.argv[1], "--test-case=onnx: write"], check=True,
                       env={**os.environ, "VIVACE_EXCHANGE_FOLDER": name})
        models = sorted(pathlib.Path(name).glob("*.onnx"))
        assert [one.stem for one in models] == ["lenet", "loops", "mlp", "resnet", "sequence", "zoo"]
        names = {one.stem: check(one) for one in models}
        assert {"0.dense.weight", "0.dense.bias"} <= names["mlp"]
        assert {"0.conv2d.weight", "1.batch_norm.running_mean"} <= names["resnet"]
    return 0


sys.exit(main())
