"""Small networks in ONNX files, whose output is a known function of the levels of the picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Shape = Sequence[int | str]
PLACES = {"from": [3], "to": [4], "axis": [1], "zero": [0], "three": [3], "high": [2, 3]}


def level_model(
    weights: Sequence[float],
    bias: float = 0.0,
    shape: Shape = (1, 3, 24, 32),
    out_shape: Shape | None = None,
    squeeze: bool = False,
    kind: int = TensorProto.FLOAT,
) -> Any:
    """A model that gives weights . (red, green, blue) + bias of every pixel.

    Args:
        weights, bias: of the function. shape: of the picture. out_shape: that the file says of the map.
        squeeze: whether the map is (1, height, width). kind: of numbers.
    """
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    stored = [
        numpy_helper.from_array(np.asarray(weights, dtype).reshape(1, 3, 1, 1), "weights"),
        numpy_helper.from_array(np.asarray([bias], dtype), "bias"),
        numpy_helper.from_array(np.asarray([1], np.int64), "axes"),
    ]
    nodes = [helper.make_node("Conv", ["picture", "weights", "bias"], ["map" if not squeeze else "raw"])]
    if squeeze:
        nodes.append(helper.make_node("Squeeze", ["raw", "axes"], ["map"]))
    rank = [1, *shape[2:]] if squeeze else [1, 1, *shape[2:]]
    graph = helper.make_graph(
        nodes, "levels", [helper.make_tensor_value_info("picture", kind, shape)],
        [helper.make_tensor_value_info("map", kind, out_shape or rank)], stored if squeeze else stored[:2],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def write_network(path: Path, *args: Any, **words: Any) -> Path:
    """Write the model of ``level_model``; the file."""
    onnx.save_model(level_model(*args, **words), str(path))
    return path


def translator(
    kernel: np.ndarray,
    shape: Shape = ("n", 3, "h", "w"),
    latent: int = 0,
    fog: float = 0.0,
    mean: float = 0.0,
    near: float = 5.0,
) -> Any:
    """A model of a picture out of a picture: a convolution of each plane that keeps the size.

    Args:
        kernel: (k, k) of every plane; beyond the picture levels are 0. shape: of the picture; with 4 planes the last is
            nearness. latent: length of a vector whose first three numbers are added to the levels.
        fog: 1/m; the picture is seen through it, before grey of 0.7, by the distance ``near`` / nearness. mean: added.
    """
    planes, side = int(shape[1]), len(kernel)
    weights = np.zeros((3, planes, side, side), np.float32)
    weights[range(3), range(3)] = kernel
    stored = {
        "weights": weights, "mean": np.full(1, mean, np.float32), "least": np.full(1, 1e-6, np.float32),
        "by": np.full(1, -near * fog, np.float32), "air": np.full(1, 0.7, np.float32), "one": np.ones(1, np.float32),
        **{n: np.asarray(v, np.int64) for n, v in PLACES.items()},
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["picture", "weights"], ["folded"], pads=[side // 2] * 4),
        helper.make_node("Add", ["folded", "mean"], ["shown"]),
    ]
    out, inputs = "shown", [helper.make_tensor_value_info("picture", TensorProto.FLOAT, shape)]
    if latent:
        inputs.append(helper.make_tensor_value_info("latent", TensorProto.FLOAT, (1, latent)))
        nodes += [
            helper.make_node("Slice", ["latent", "zero", "three", "axis"], ["tint"]),
            helper.make_node("Unsqueeze", ["tint", "high"], ["tinted"]),
            helper.make_node("Add", [out, "tinted"], ["dyed"]),
        ]  # fmt: skip
        out = "dyed"
    if fog:
        nodes += [
            helper.make_node("Slice", ["picture", "from", "to", "axis"], ["nearness"]),
            helper.make_node("Max", ["nearness", "least"], ["positive"]),
            helper.make_node("Div", ["by", "positive"], ["thick"]),
            helper.make_node("Exp", ["thick"], ["kept"]), helper.make_node("Sub", [out, "air"], ["over"]),
            helper.make_node("Mul", ["over", "kept"], ["left"]), helper.make_node("Add", ["left", "air"], ["seen"]),
        ]  # fmt: skip
        out = "seen"
    nodes.append(helper.make_node("Identity", [out], ["made"]))
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes, "translator", inputs, [helper.make_tensor_value_info("made", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [numpy_helper.from_array(v, n) for n, v in stored.items() if n in used],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def write_translator(path: Path, *args: Any, **words: Any) -> Path:
    """Write the model of ``translator``; the file."""
    onnx.save_model(translator(*args, **words), str(path))
    return path
