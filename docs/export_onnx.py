"""MZSR as two ONNX graphs for the browser: the network, and one update of its weights with the learned step.

Both take the weights as inputs, since every update makes others. The update is written out, forwards and backwards,
from the operations that every runtime has: what autograd does in the library is here to be read.
"""

import json
from pathlib import Path

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from mzsr_lib.models import weights
from mzsr_lib.mzsr.curvature import LearnedStep
from mzsr_lib.shapes import Tensor

OPSET, IR = 17, 8  # of 2022: read by every onnxruntime-web since
FLOAT = TensorProto.FLOAT
PICTURE: list[int | str] = [1, 3, "height", "width"]


class Graph:
    """A graph in the making: each call of `add` is an operation, and gives the name of its result."""

    def __init__(self):
        self.nodes, self.constants, self.inputs = [], [], []

    def given(self, name: str, shape: list[int | str]) -> str:
        """Add an input."""
        self.inputs.append(helper.make_tensor_value_info(name, FLOAT, shape))
        return name

    def add(self, operation: str, *names: str, **attributes: object) -> str:
        """Add an operation on named values."""
        result = f"{operation.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, list(names), [result], **attributes))
        return result

    def constant(self, values: list[int]) -> str:
        """Add whole numbers that are always the same, such as a shape."""
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(torch.tensor(values, dtype=torch.int64).numpy(), name))
        return name

    def finished(self, outputs: dict[str, tuple[str, list[int | str]]]) -> bytes:
        """Return the file; `outputs` are a value of the graph and its shape each, by the name they are to have."""
        ends = [helper.make_node("Identity", [value], [name]) for name, (value, _) in outputs.items()]
        infos = [helper.make_tensor_value_info(name, FLOAT, shape) for name, (_, shape) in outputs.items()]
        graph = helper.make_graph([*self.nodes, *ends], "mzsr", self.inputs, infos, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
        onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString()


def forwards(graph: Graph, params: dict[str, Tensor]) -> tuple[list[str], str]:
    """Add the network; return the inputs of its convolutions, and its output."""
    image = graph.given("input", PICTURE)
    features, seen = image, []
    names = list(params)
    for name in names:
        graph.given(name, list(params[name].shape))
    for weight, bias in zip(names[::2], names[1::2], strict=True):
        seen.append(features)
        features = graph.add("Conv", features, weight, bias, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        if bias != names[-1]:
            features = graph.add("Relu", features)
    return seen, graph.add("Add", image, features)


def gradients(graph: Graph, params: dict[str, Tensor], seen: list[str], error: str) -> dict[str, str]:
    """Add the gradient of every parameter, from that of the network's output."""
    grads, names = {}, list(params)
    for weight, bias, features in reversed(list(zip(names[::2], names[1::2], seen, strict=True))):
        grads[bias] = graph.add("ReduceSum", error, graph.constant([0, 2, 3]), keepdims=0)
        # The outputs' errors slide over the features as one large kernel each; the places are the nine taps.
        apart, kernels = (graph.add("Transpose", value, perm=[1, 0, 2, 3]) for value in (features, error))
        taps = graph.add("Conv", apart, kernels, pads=[1, 1, 1, 1])
        grads[weight] = graph.add("Transpose", taps, perm=[1, 0, 2, 3])
        if weight != names[0]:
            back = graph.add("ConvTranspose", error, weight, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
            alive = graph.add("Sign", features)  # a ReLU's output: 1 where it let something through
            error = graph.add("Mul", back, alive)
    return grads


def turned(graph: Graph, name: str, grad: str, shape: list[int]) -> str:
    """Add what the learned step makes of a gradient: a product with I + A along each axis, see `mzsr.curvature`."""
    if len(shape) == 1:
        column = graph.add(
            "MatMul", graph.given(f"{name}.0", [shape[0]] * 2), graph.add("Unsqueeze", grad, graph.constant([1]))
        )
        return graph.add("Squeeze", column, graph.constant([1]))
    out, into, taps = shape[0], shape[1], shape[2] * shape[3]
    sides = [graph.given(f"{name}.{axis}", [side, side]) for axis, side in enumerate((out, into, taps))]
    grad = graph.add("MatMul", sides[0], graph.add("Reshape", grad, graph.constant([out, into * taps])))
    grad = graph.add("MatMul", sides[1], graph.add("Reshape", grad, graph.constant([out, into, taps])))
    grad = graph.add("MatMul", grad, graph.add("Transpose", sides[2], perm=[1, 0]))
    return graph.add("Reshape", grad, graph.constant(shape))


def network(params: dict[str, Tensor]) -> bytes:
    """Return the graph of the network: an enlarged picture (1, 3, H, W) and the weights to a repaired one."""
    graph = Graph()
    _, output = forwards(graph, params)
    return graph.finished({"output": (output, PICTURE)})


def update(params: dict[str, Tensor]) -> bytes:
    """Return the graph of one update of MZSR: the loss before it, and the weights after it.

    Inputs beside `input` and the weights are `target`, the rate of each weight (``rate:NAME``, shape (1,)), and for
    each weight I + A along its axes (``NAME.0`` and so on).
    """
    graph = Graph()
    seen, output = forwards(graph, params)
    error = graph.add("Sub", output, graph.given("target", PICTURE))
    loss = graph.add("ReduceMean", graph.add("Abs", error), keepdims=0)
    count = graph.add("Cast", graph.add("Size", error), to=FLOAT)
    grads = gradients(graph, params, seen, graph.add("Div", graph.add("Sign", error), count))
    changed: dict[str, tuple[str, list[int | str]]] = {"loss": (loss, [])}
    for name, value in params.items():
        step = turned(graph, name, grads[name], list(value.shape))
        scaled = graph.add("Mul", step, graph.given(f"rate:{name}", [1]))
        changed[f"new:{name}"] = (graph.add("Sub", name, scaled), list(value.shape))
    return graph.finished(changed)


def tensors(params: dict[str, Tensor], rule: LearnedStep) -> dict[str, Tensor]:
    """Return what the page needs by name: weights, the rates (steps, weights), and I + A for each set and axis."""
    axes = {f"{name}.{axis}": a for name, stack in rule.matrices.items() for axis, a in enumerate(stack)}
    return {**params, "rates": rule.rates, **{name: a + torch.eye(a.shape[-1]) for name, a in axes.items()}}


def write(folder: Path, name: str = "mzsr-x2") -> None:
    """Write the two graphs, all numbers in one file, and their names and shapes in the order of that file."""
    loaded = weights.load(name, "cpu", "float32")
    params = {key: value.detach() for key, value in loaded.network.named_parameters()}
    assert isinstance(loaded.rule, LearnedStep)
    kept = tensors(params, loaded.rule)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "network.onnx").write_bytes(network(params))
    (folder / "update.onnx").write_bytes(update(params))
    (folder / "weights.bin").write_bytes(b"".join(value.contiguous().numpy().tobytes() for value in kept.values()))
    shapes = {key: list(value.shape) for key, value in kept.items()}
    (folder / "weights.json").write_text(json.dumps({"weights": list(params), "shapes": shapes}))
