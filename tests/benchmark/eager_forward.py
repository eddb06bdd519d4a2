"""PyTorch's eager forward of a network that is given as a list of nodes.

Talks over standard input and output: first a line with the network and the input's size as JSON, then
one line for each forward that is wanted; answers each with its milliseconds. With `backward`
instead of `forward`, the gradients of all activations are taken by autograd as well; with
`back_step` the answer is what one kernel costs when the pyramid is walked kernel by kernel; with
`pipeline` what all files of the first line take, from the disk to logits (python_pipeline.py).
"""
import json
import sys
import time

import torch
import torch.nn.functional as F


def pad(x, node, value=0.0):
    before, after = node["pad_before"], node["pad_after"]
    if before == after:
        return x, before
    sizes = [n for axis in (2, 1, 0) for n in (before[axis], after[axis])]
    return F.pad(x, sizes, value=value), [0, 0, 0]


def run_node(node, x, weights):
    op, name = node["op"], node["name"]
    if op == "Conv3d":
        padded, padding = pad(x[0], node)
        return F.conv3d(padded, weights[name + ".weight"], weights.get(name + ".bias"),
                        node["stride"], padding, node["dilation"], node["groups"])
    if op == "BatchNorm3d":
        return F.batch_norm(x[0], weights[name + ".running_mean"], weights[name + ".running_var"],
                            weights[name + ".weight"], weights[name + ".bias"], False, 0,
                            node["eps"])
    if op == "Relu":
        return F.relu(x[0])
    if op == "MaxPool3d":
        value = 0.0 if node["zero_padding"] else float("-inf")
        sizes = [n for axis in (2, 1, 0) for n in (node["pad_before"][axis], node["pad_after"][axis])]
        if node["zero_padding"] or node["pad_before"] != node["pad_after"]:
            return F.max_pool3d(F.pad(x[0], sizes, value=value), node["kernel"], node["stride"],
                                ceil_mode=node["ceil_mode"])
        return F.max_pool3d(x[0], node["kernel"], node["stride"], node["pad_before"],
                            ceil_mode=node["ceil_mode"])
    if op == "AvgPool3d":
        return F.avg_pool3d(x[0], node["kernel"], node["stride"])
    if op == "GlobalAverage":
        return x[0].mean((2, 3, 4))
    if op == "Add":
        return x[0] + x[1]
    if op == "Concat":
        return torch.cat(x, 1)
    if op == "Linear":
        return F.linear(x[0].flatten(1), weights[name + ".weight"], weights[name + ".bias"])
    raise ValueError(f"node {name}: no operation is called {op}")


def forward(nodes, clips, weights):
    """The value of every node."""
    values = [clips]
    for node in nodes[1:]:
        values.append(run_node(node, [values[i] for i in node["inputs"]], weights))
    return values


def make_weights(nodes):
    generator = torch.Generator().manual_seed(1)
    weights = {}
    for node in nodes:
        for tensor, shape in node["tensors"].items():
            if tensor.endswith("running_var"):
                weights[tensor] = torch.ones(shape)
            else:
                fan_in = max(1, torch.Size(shape).numel() // shape[0])
                weights[tensor] = torch.randn(shape, generator=generator) * (2 / fan_in) ** 0.5
    return weights


def back_step(nodes, values, weights, clock):
    """Milliseconds a kernel: three kernels of every convolution, each scored by itself."""
    seconds, kernels = 0.0, 0
    for node in nodes:
        if node["op"] != "Conv3d":
            continue
        weight, x = weights[node["name"] + ".weight"], values[node["inputs"][0]]
        width, out = weight.shape[1], weight.shape[0] // node["groups"]
        for kernel in range(0, weight.shape[0], max(1, weight.shape[0] // 3)):
            start = clock()
            first = kernel // out * width
            means = F.adaptive_avg_pool3d(x, 1)[0, first:first + width].flatten()
            scores = [float(weight[kernel, c].mean() * means[c]) for c in range(width)]
            total, kept = sum(scores) or 1.0, []
            shares = [score / total for score in scores]
            low, high = min(shares), max(shares)
            for channel, share in enumerate(shares):
                if high > low and (share - low) / (high - low) >= 0.6:
                    kept.append(channel)
            seconds += clock() - start
            kernels += 1
    return seconds * 1e3 / kernels


def main():
    setup = json.loads(sys.stdin.readline())
    torch.set_num_threads(setup["threads"])
    clock = time.process_time if setup["cpu_time"] else time.perf_counter
    nodes = setup["nodes"]
    weights = make_weights(nodes)
    clip = torch.randn(1, 3, *setup["size"])
    batches = None
    if "clips" in setup:
        from python_pipeline import batches_of_clips
        batches = batches_of_clips(setup["clips"], setup["size"][0])
    print("ready", flush=True)
    for line in sys.stdin:
        task = line.strip()
        start = clock()
        if task == "back_step":
            with torch.no_grad():
                print(back_step(nodes, values, weights, clock), flush=True)
            continue
        if task == "pipeline":
            with torch.inference_mode():
                for batch in batches:
                    forward(nodes, batch, weights)[-1].argmax(1).tolist()
        else:
            backward = task == "backward"
            with torch.set_grad_enabled(backward):
                values = forward(nodes, clip.clone().requires_grad_(backward), weights)
                if backward:
                    torch.autograd.grad(values[-1][0, 0], values[:-1], allow_unused=True)
        print((clock() - start) * 1e3, flush=True)


if __name__ == "__main__":
    main()
