"""Networks in ONNX files: looked at as a whole before they run, and all that they need lies in the file.

What was parsed is packed again and handed to the runtime, so that both see the same network. Its numbers may not lie in
other files, and its operators are ONNX's own, which read and write no file.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from calib.regular_files import read_regular, status
from fusion_aug.errors import ConfigError, DataError, MissingPackage
from fusion_aug.safe.guard import reads_file

NEED = "networks need the packages onnx and onnxruntime: pip install '.[onnx]'"
MOST_BYTES = 2**31 - 1  # of a file: the format holds no more
MOST_SIDE = 8192  # pixels
DOMAINS = ("", "ai.onnx", "ai.onnx.ml")  # of operators
CPU = "CPUExecutionProvider"
FLOATS = {"FLOAT": np.float32, "FLOAT16": np.float16}


class Value(NamedTuple):
    """An input or output: its name, the ONNX name of its numbers' type, and its shape (None: any length)."""

    name: str
    kind: str
    shape: tuple[int | None, ...]

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of a picture; None for one that may have any."""
        height, width = self.shape[2:]
        return None if height is None or width is None else (height, width)

    def is_picture(self, channels: Sequence[int]) -> bool:
        """Whether it is one picture (1, channels, height, width) of floats."""
        sides = all(s is None or 1 <= s <= MOST_SIDE for s in self.shape[2:])
        fits = len(self.shape) == 4 and self.shape[0] in (1, None) and self.shape[1] in (*channels, None)
        return fits and sides and self.kind in FLOATS


class Signature(NamedTuple):
    """A file's sha256, and what the network in it takes and gives."""

    sha256: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]


class Contract(NamedTuple):
    """What a network of one picture in and one map out takes and gives.

    Attributes:
        sha256: of the file. input, output: names.
        size: (height, width) of its picture; None for one that may have any.
        half: whether its numbers have 16 bits.
    """

    sha256: str
    input: str
    output: str
    size: tuple[int, int] | None
    half: bool


def contract_of(path: Path) -> Contract:
    """What a network of one picture in and one map out takes and gives.

    Raises:
        MissingPackage: onnx or onnxruntime is not there.
        DataError: the file cannot be read, or holds no such network.
    """
    sha256, inputs, outputs = signature_of(path)
    if len(inputs) != 1 or len(outputs) != 1:
        raise DataError(
            f"{path}: has {len(inputs)} inputs and {len(outputs)} outputs; one picture in and one map out are "
            f"understood"
        )
    ((picture,), (out,)) = inputs, outputs
    if not picture.is_picture([3]):
        raise DataError(
            f"{path}: {picture.name}: expected a picture (1, 3, height, width) of floats with 32 or 16 bits, got "
            f"{picture.shape} of {picture.kind}"
        )
    return Contract(sha256, picture.name, out.name, picture.size, FLOATS[picture.kind] is np.float16)


def signature_of(path: Path) -> Signature:
    """What the network in a file takes and gives, whatever that is; each file is looked at once in a process.

    Raises:
        MissingPackage: onnx or onnxruntime is not there. DataError: the file cannot be read, or holds no network.
    """
    found = _status(path)
    return _signature(path, found.st_mtime_ns, found.st_ctime_ns, found.st_size)


@lru_cache(maxsize=32)
def _signature(path: Path, written: int, changed: int, size: int) -> Signature:
    return _read(path)[1]


@reads_file
def _status(path: Path) -> Any:
    return status(path)


def open_network(path: Path, sha256: str, provider: str = CPU, threads: int = 1) -> Any:
    """A session that runs the network of a file, the same way every time.

    Args:
        path: of it. sha256: that the file must have. provider: of ONNX Runtime. threads: that a run may take.

    Raises:
        DataError: it is another file, or cannot be run. ConfigError: this computer has no such provider.
    """
    network, found = _read(path)
    if found.sha256 != sha256:
        raise DataError(f"{path}: is another network than was used (sha256 {found.sha256}, not {sha256})")
    import onnxruntime as ort

    if provider not in ort.get_available_providers():
        known = ", ".join(ort.get_available_providers())
        raise ConfigError(f"{path}: provider: there is no {provider} on this computer (it has {known})")
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return _session(path, ort, network, options, provider)


@reads_file
def _session(path: Path, ort: Any, network: bytes, options: Any, provider: str) -> Any:
    session = ort.InferenceSession(network, options, providers=[provider])
    if session.get_providers()[0] != provider:
        raise DataError(f"{path}: provider: {provider} cannot run this network here")
    return session


@reads_file
def _read(path: Path) -> tuple[bytes, Signature]:
    """The network, packed again, and what it takes and gives."""
    if importlib.util.find_spec("onnxruntime") is None:
        raise MissingPackage(NEED)
    try:
        import onnx
    except ImportError:
        raise MissingPackage(NEED) from None
    from google.protobuf.message import DecodeError

    raw = read_regular(path, MOST_BYTES)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(raw)
    except DecodeError:
        raise DataError(f"{path}: is no ONNX network, or is damaged") from None
    if not model.graph.node:
        raise DataError(f"{path}: is no ONNX network: it has no operators")
    _check_inside(path, model, onnx)
    return model.SerializeToString(), _signature_in(model, onnx, hashlib.sha256(raw).hexdigest())


def _check_inside(path: Path, model: Any, onnx: Any) -> None:
    """Raise unless all that a network needs lies in its file."""
    own = {*DOMAINS, *(function.domain for function in model.functions)}
    for part in _messages(model):
        if isinstance(part, onnx.TensorProto) and (part.external_data or part.data_location):
            raise DataError(f"{path}: {part.name}: its numbers lie in another file; save the network as one file")
        if isinstance(part, onnx.NodeProto) and part.domain not in own:
            raise DataError(
                f"{path}: {part.name or part.op_type}: is an operator of {part.domain}; export the network with ONNX's "
                f"own operators"
            )


def _messages(whole: Any) -> Iterator[Any]:
    """A message and all within it."""
    waiting = [whole]
    while waiting:
        message = waiting.pop()
        yield message
        for field, value in message.ListFields():
            if field.message_type is not None:
                waiting += [value] if hasattr(value, "ListFields") else list(value)


def _signature_in(model: Any, onnx: Any, sha256: str) -> Signature:
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in stored]
    return Signature(sha256, *(tuple(_value(v, onnx) for v in values) for values in (inputs, model.graph.output)))


def _value(value: Any, onnx: Any) -> Value:
    kind = value.type.tensor_type
    shape = tuple(d.dim_value if d.HasField("dim_value") else None for d in kind.shape.dim)
    return Value(value.name, onnx.TensorProto.DataType.Name(kind.elem_type), shape)
