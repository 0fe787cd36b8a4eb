#!/usr/bin/env python3
"""Makes golden.safetensors: what PyTorch computes for layers, losses, optimisers and schedules, in double precision.

usage: make_golden.py [FILE]    needs torch and safetensors; takes seconds

tests/nn/golden.cpp compares ours with it. A tensor is named case/role: x and labels are inputs, y the output, c the
weights of the sum over y that is differentiated, dx and d<parameter> its gradients, next.<state> a state afterwards.
Where PyTorch lays a weight out otherwise, it is transposed here. Inputs are numbers that float holds exactly.
"""
import pathlib
import sys

import numpy
import torch
from safetensors.numpy import save_file

torch.set_default_dtype(torch.float64)
torch.manual_seed(1)
golden = {}


def random(*shape):
    return torch.randn(shape).to(torch.float32).to(torch.float64)


def put(case, role, value):
    array = value.detach().numpy() if torch.is_tensor(value) else value
    golden[f"{case}/{role}"] = numpy.array(array, order="C")  # a copy


def layer(case, x, function, parameters=None, kept=lambda name, value: value):
    """Value and gradients of a function of x and parameters; kept() lays a parameter out as ours is."""
    parameters = parameters or {}
    tensors = [x, *parameters.values()] if x.is_floating_point() else [*parameters.values()]
    for one in tensors:
        one.requires_grad_(True)
    y = function(x)
    c = random(*y.shape)
    gradients = torch.autograd.grad((y * c).sum(), tensors)
    put(case, "x" if x.is_floating_point() else "labels", x if x.is_floating_point() else x.to(torch.int32))
    put(case, "y", y)
    put(case, "c", c)
    if x.is_floating_point():
        put(case, "dx", gradients[0])
        gradients = gradients[1:]
    for (name, value), gradient in zip(parameters.items(), gradients):
        put(case, name, kept(name, value))
        put(case, "d" + name, kept(name, gradient))


def randomised(module):
    with torch.no_grad():
        for one in [*module.parameters(), *module.buffers()]:
            if one.is_floating_point():
                one.copy_(random(*one.shape) * 0.5 + 0.25)
    return module


def transposed(name, value):
    return value.T if name.endswith("weight") else value


def layers():
    nn = torch.nn
    for case, shape in (("dense", (4, 5)), ("dense_positions", (2, 3, 5))):
        module = randomised(nn.Linear(5, 3))
        layer(case, random(*shape), module, dict(weight=module.weight, bias=module.bias), transposed)
    for case, arguments in (("conv2d", dict(kernel_size=3, stride=2, padding=1)),
                            ("conv2d_dilated", dict(kernel_size=3, padding=2, dilation=2)),
                            ("conv2d_groups", dict(kernel_size=3, groups=2, bias=False)),
                            ("conv2d_one", dict(kernel_size=1))):
        module = randomised(nn.Conv2d(4, 6, **arguments))
        parameters = dict(weight=module.weight)
        if module.bias is not None:
            parameters["bias"] = module.bias
        layer(case, random(3, 4, 6, 7), module, parameters)

    for case, module, shape in (("batch_norm", nn.BatchNorm2d(3), (4, 3, 3, 2)),
                                ("batch_norm_rows", nn.BatchNorm1d(3), (6, 3))):
        for training in (True, False):
            randomised(module)
            with torch.no_grad():
                module.running_var.abs_()
            module.train(training)
            name = case if training else case + "_prediction"
            x = random(*shape)
            put(name, "running_mean", module.running_mean)
            put(name, "running_variance", module.running_var)
            layer(name, x, module, dict(scale=module.weight, shift=module.bias))
            if training:  # PyTorch keeps the unbiased variance, as the paper does; ours is that of the batch
                put(name, "next.running_mean", module.running_mean)
                axes = [d for d in range(x.dim()) if d != 1]
                variance = x.var(axes, unbiased=False).detach().numpy()
                put(name, "next.running_variance", 0.9 * golden[name + "/running_variance"] + 0.1 * variance)
    module = randomised(nn.LayerNorm(5))
    layer("layer_norm", random(3, 2, 5), module, dict(scale=module.weight, shift=module.bias))

    f = nn.functional
    for case, function in (("relu", f.relu), ("gelu", f.gelu), ("silu", f.silu), ("sigmoid", torch.sigmoid),
                           ("tanh", torch.tanh), ("leaky_relu", lambda x: f.leaky_relu(x, 0.1)),
                           ("softmax", lambda x: f.softmax(x, -1))):
        layer(case, 2 * random(4, 6), function)
    layer("max_pool", random(2, 3, 7, 6), lambda x: f.max_pool2d(x, 3, 2, 1))
    layer("avg_pool", random(2, 3, 7, 6), lambda x: f.avg_pool2d(x, 3, 2, 1, count_include_pad=False))
    layer("global_avg_pool", random(2, 3, 4, 5), lambda x: x.mean((2, 3)))

    labels = torch.tensor([3, 0, 4, 4, 1, 2])
    for case, smoothing in (("cross_entropy", 0.0), ("cross_entropy_smoothed", 0.1)):
        put(case, "labels", labels.to(torch.int32))
        layer(case, 3 * random(6, 5), lambda x: f.cross_entropy(x, labels, reduction="none", label_smoothing=smoothing))
    target = random(4, 3)
    for case, function in (("mse", f.mse_loss), ("huber", lambda x, t: f.huber_loss(x, t, delta=0.7)),
                           ("binary_cross_entropy", lambda x, t: f.binary_cross_entropy_with_logits(x, t))):
        t = torch.sigmoid(target).to(torch.float32).to(torch.float64) if case.startswith("binary") else target
        put(case, "target", t)
        layer(case, 2 * random(4, 3), lambda x: function(x, t))
    module = randomised(nn.Embedding(7, 4))
    layer("embedding", torch.tensor([[0, 6, 2], [2, 5, 2]]), module, dict(weight=module.weight))

    for case, causal in (("attention", False), ("attention_causal", True)):
        module = randomised(nn.MultiheadAttention(6, 2, batch_first=True))
        mask = torch.triu(torch.ones(4, 4, dtype=torch.bool), 1) if causal else None
        layer(case, random(3, 4, 6), lambda x: module(x, x, x, need_weights=False, attn_mask=mask)[0],
              dict(qkv_weight=module.in_proj_weight, qkv_bias=module.in_proj_bias,
                   out_weight=module.out_proj.weight, out_bias=module.out_proj.bias), transposed)


class Lion(torch.optim.Optimizer):
    """The formula of Chen et al., NeurIPS 2023."""

    def __init__(self, parameters, lr, betas, weight_decay):
        super().__init__(parameters, dict(lr=lr, betas=betas, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            (first, second), lr = group["betas"], group["lr"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                direction = torch.sign(first * m + (1 - first) * p.grad) + group["weight_decay"] * p
                m.copy_(second * m + (1 - second) * p.grad)
                p -= lr * direction


def optimisers():
    """Five steps on the mean square error of a linear model."""
    x, y, start = random(8, 6), random(8, 1), random(6, 1)
    put("optimiser", "x", x)
    put("optimiser", "y", y)
    put("optimiser", "w", start)
    optim = torch.optim
    for case, make in (
            ("sgd", lambda p: optim.SGD(p, lr=0.1)),
            ("sgd_decay", lambda p: optim.SGD(p, lr=0.1, weight_decay=0.2)),
            ("sgd_momentum", lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.2)),
            ("nesterov", lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.2, nesterov=True)),
            ("adam", lambda p: optim.Adam(p, lr=0.1, betas=(0.8, 0.95))),
            ("adamw", lambda p: optim.AdamW(p, lr=0.1, weight_decay=0.3)),
            ("lion", lambda p: Lion(p, lr=0.05, betas=(0.9, 0.98), weight_decay=0.3))):
        w = start.clone().requires_grad_(True)
        optimiser = make([w])
        path = []
        for _ in range(5):
            optimiser.zero_grad()
            ((x @ w - y) ** 2).mean().backward()
            optimiser.step()
            path.append(w.detach().clone())
        put("optimiser", case, torch.stack(path))


def schedules():
    """The factor on the rate at epochs 0, 1, ..."""
    scheduler = torch.optim.lr_scheduler
    for case, make in (("step_decay", lambda o: scheduler.StepLR(o, 3, 0.2)),
                       ("cosine", lambda o: scheduler.CosineAnnealingLR(o, 20, 0.05)),
                       ("one_cycle", lambda o: scheduler.OneCycleLR(o, 1.0, total_steps=21, pct_start=0.3,
                                                                    cycle_momentum=False))):
        optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        schedule = make(optimiser)
        factors = []
        for _ in range(21):
            factors.append(optimiser.param_groups[0]["lr"])
            optimiser.step()
            if len(factors) < 21:
                schedule.step()
        put("schedule", case, factors)


layers()
optimisers()
schedules()
path = sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).with_name("golden.safetensors")
save_file(golden, path, {"made by": "make_golden.py with PyTorch " + torch.__version__.split("+")[0]})
print(len(golden), "tensors,", pathlib.Path(path).stat().st_size, "bytes")
