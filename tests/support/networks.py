"""Small networks in ONNX files, whose output is a known function of the levels of the picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Shape = Sequence[int | str]


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
