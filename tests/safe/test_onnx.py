"""Files of networks: what they may hold, and what is refused before anything runs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from networks import level_model, write_network
from onnx import TensorProto, helper, numpy_helper

from fusion_aug.errors import DataError, MissingPackage
from fusion_aug.safe import onnx as safe
from fusion_aug.safe.onnx import contract_of, open_network

pytestmark = pytest.mark.quick


def test_the_contract_is_read_and_the_network_runs(tmp_path: Path) -> None:
    path = write_network(tmp_path / "m.onnx", (1, 2, 3), 4.0, (1, 3, 8, 10))
    contract = contract_of(path)
    assert contract == (hashlib.sha256(path.read_bytes()).hexdigest(), "picture", "map", (8, 10), False)
    session = open_network(path, contract.sha256)
    picture = np.random.default_rng(0).random((1, 3, 8, 10), np.float32)
    (found,) = session.run(["map"], {"picture": picture})
    assert np.allclose(found[0, 0], picture[0, 0] + 2 * picture[0, 1] + 3 * picture[0, 2] + 4, atol=1e-5)
    assert session.get_providers() == ["CPUExecutionProvider"]
    assert session.get_session_options().intra_op_num_threads == 1


def test_another_file_is_not_taken_for_it(tmp_path: Path) -> None:
    path = write_network(tmp_path / "m.onnx", (1, 2, 3))
    before = contract_of(path).sha256
    write_network(path, (1, 2, 4))
    assert contract_of(path).sha256 != before
    with pytest.raises(DataError, match=r"m\.onnx: is another network than was used"):
        open_network(path, before)


def elsewhere(model: Any, tmp_path: Path) -> None:
    """Weights that lie in a file outside."""
    tensor = model.graph.initializer[0]
    (tmp_path / "secret").write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret")


def elsewhere_within(model: Any, tmp_path: Path) -> None:
    """The same in a constant within a branch of an operator."""
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "hidden")
    tensor.ClearField("raw_data")
    tensor.external_data.add(key="location", value="/etc/passwd")
    body = helper.make_graph([helper.make_node("Constant", [], ["c"], value=tensor)], "branch", [], [])
    model.graph.node.append(helper.make_node("If", ["never"], ["c"], then_branch=body, else_branch=body))


def of_somebody(model: Any, tmp_path: Path) -> None:
    model.graph.node[0].domain = "com.example"
    model.opset_import.append(helper.make_opsetid("com.example", 1))


def two_inputs(model: Any, tmp_path: Path) -> None:
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, (1, 3, 8, 10)))


def of_bytes(model: Any, tmp_path: Path) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8


def of_grey(model: Any, tmp_path: Path) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 1


def too_wide(model: Any, tmp_path: Path) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[3].dim_value = 2**40


def unknown_operator(model: Any, tmp_path: Path) -> None:
    model.graph.node[0].op_type = "Convolve"


def empty(model: Any, tmp_path: Path) -> None:
    del model.graph.node[:]


HOSTILE: list[tuple[Callable[[Any, Path], None], str]] = [
    (elsewhere, r"weights: its numbers lie in another file"),
    (elsewhere_within, r"hidden: its numbers lie in another file"),
    (of_somebody, r"is an operator of com\.example; export the network with ONNX's own"),
    (two_inputs, r"has 2 inputs and 1 outputs; one picture in and one map out"),
    (of_bytes, r"picture: expected a picture \(1, 3, height, width\).* got \(1, 3, 24, 32\) of UINT8"),
    (of_grey, r"expected a picture .* got \(1, 1, 24, 32\) of FLOAT"),
    (too_wide, r"expected a picture"),
    (unknown_operator, r"is damaged \(.*Convolve"),
    (empty, r"it has no operators"),
]


@pytest.mark.parametrize(("change", "text"), HOSTILE, ids=[c.__name__ for c, _ in HOSTILE])
def test_what_reaches_out_or_does_not_fit_is_refused(
    change: Callable[[Any, Path], None], text: str, tmp_path: Path
) -> None:
    model, path = level_model((1, 2, 3)), tmp_path / "in" / "m.onnx"
    path.parent.mkdir()
    change(model, tmp_path)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(DataError, match=rf"m\.onnx: .*{text}") as caught:
        open_network(path, contract_of(path).sha256)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("raw", [b"", b"\x80\x04K\x01.", b"ORTM" * 20, b"\xff" * 100, None])
def test_other_files_are_refused(raw: bytes | None, tmp_path: Path) -> None:
    path, whole = tmp_path / "m.onnx", level_model((1, 2, 3)).SerializeToString()
    path.write_bytes(whole[: len(whole) // 2] if raw is None else raw)
    with pytest.raises(DataError, match=r"m\.onnx: "):
        contract_of(path)
    with pytest.raises(DataError, match=r"cannot be read \(it is a folder"):
        contract_of(tmp_path)


def test_large_files_are_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_network(tmp_path / "m.onnx", (1, 2, 3))
    monkeypatch.setattr(safe, "MOST_BYTES", 100)
    with pytest.raises(DataError, match=r"m\.onnx: cannot be read \(it is larger than the 100 bytes"):
        contract_of(path)


def test_functions_of_the_models_own_are_taken(tmp_path: Path) -> None:
    """They are made of ONNX's operators."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    twice = helper.make_function("own", "Twice", ["x"], ["y"], [helper.make_node("Add", ["x", "x"], ["y"])], opsets)
    model = level_model((1, 0, 0))
    model.graph.node[0].output[0] = "raw"
    model.graph.node.append(helper.make_node("Twice", ["raw"], ["map"], domain="own"))
    model.functions.append(twice)
    model.opset_import.append(opsets[1])
    path = tmp_path / "m.onnx"
    onnx.save_model(model, str(path))
    session = open_network(path, contract_of(path).sha256)
    (found,) = session.run(["map"], {"picture": np.full((1, 3, 24, 32), 0.25, np.float32)})
    assert (found == 0.5).all()


def test_a_missing_package_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_network(tmp_path / "m.onnx", (1, 2, 3))
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    with pytest.raises(MissingPackage, match=r"networks need the packages onnx and onnxruntime: pip install"):
        contract_of(path)
