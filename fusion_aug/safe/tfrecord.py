"""TFRecord files and the examples in them, without TensorFlow.

A record is its length (8 bytes, little endian), a checksum of these, its bytes, and a checksum of those; checksums are
CRC-32C, rotated and shifted by a constant (https://www.tensorflow.org/tutorials/load_data/tfrecord). The bytes are a
message ``tf.train.Example`` (tensorflow/core/example/feature.proto), whose descriptor is built here for protobuf.
"""

from __future__ import annotations

import struct
from array import array
from functools import cache
from pathlib import Path
from typing import Any

from calib.regular_files import open_regular
from fusion_aug.errors import DataError, MissingPackage

HEAD, TAIL = 12, 4  # bytes of length and its checksum, and of the checksum of the record
LEAST = HEAD + TAIL
MASK = 0xA282EAD8
MAX_RECORD = 2**31 - 1  # which protobuf reads
NEED = "RLDS logs need the packages protobuf and google-crc32c: pip install '.[rlds]'"


def record_places(path: Path) -> array[int]:
    """Place of every record of a file, bytes, and the end of the file; of each its head is read, and nothing else.

    Raises:
        DataError: a head is damaged, or a record ends behind the file. MissingPackage: google-crc32c is not there.
    """
    size = path.stat().st_size
    places = array("q", [0])
    try:
        with open_regular(path) as file:
            while places[-1] < size:
                at = places[-1]
                file.seek(at)
                places.append(at + LEAST + _length(file.read(HEAD), size - at, f"{path}: record {len(places) - 1}"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    return places


def read_record(path: Path, place: int) -> bytes:
    """The bytes of the record at a place of ``record_places``.

    Raises:
        DataError: it is damaged.
    """
    where = f"{path}: record at byte {place}"
    try:
        left = path.stat().st_size - place
        with open_regular(path) as file:
            file.seek(place)
            length = _length(file.read(HEAD), left, where)
            data, tail = file.read(length), file.read(TAIL)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    if len(tail) < TAIL or _checksum(data) != struct.unpack("<I", tail)[0]:
        raise DataError(f"{where}: is damaged (its checksum is another)")
    return data


def _length(head: bytes, left: int, where: str) -> int:
    if len(head) < HEAD:
        raise DataError(f"{where}: is cut off")
    length, checksum = struct.unpack("<QI", head)
    if _checksum(head[:8]) != checksum:
        raise DataError(f"{where}: is damaged (the checksum of its length is another)")
    if length > min(left - LEAST, MAX_RECORD):
        raise DataError(f"{where}: says it has {length:,} bytes, more than there are or can be read")
    return int(length)


def _checksum(data: bytes) -> int:
    try:
        import google_crc32c
    except ImportError:
        raise MissingPackage(NEED) from None
    crc = int(google_crc32c.value(data))
    return (((crc >> 15) | (crc << 17)) + MASK) & 0xFFFFFFFF


def parse_example(data: bytes, where: str) -> dict[str, Any]:
    """Name -> values of every feature of an example: a sequence of bytes, floats or ints.

    Raises:
        DataError: it is no example.
    """
    example = _example_class()()
    from google.protobuf.message import DecodeError

    try:
        example.ParseFromString(data)
    except DecodeError as error:
        raise DataError(f"{where}: is no example of TensorFlow ({error})") from None
    out: dict[str, Any] = {}
    for name, feature in example.features.feature.items():
        kind = feature.WhichOneof("kind")
        out[name] = getattr(feature, kind).value if kind else ()
    return out


@cache
def _example_class() -> Any:
    """Class of ``tf.train.Example``."""
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError:
        raise MissingPackage(NEED) from None
    package = "fusion_aug.tensorflow"
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for name, kind in (("BytesList", 12), ("FloatList", 2), ("Int64List", 3)):
        file.message_type.add(name=name).field.add(name="value", number=1, label=3, type=kind)
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, held in enumerate(("BytesList", "FloatList", "Int64List"), 1):
        own = f"{held.removesuffix('List').lower()}_list"
        feature.field.add(name=own, number=number, label=1, type=11, type_name=f".{package}.{held}", oneof_index=0)
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=1, type=9)
    entry.field.add(name="value", number=2, label=1, type=11, type_name=f".{package}.Feature")
    features.field.add(name="feature", number=1, label=3, type=11, type_name=f".{package}.Features.FeatureEntry")
    example = file.message_type.add(name="Example")
    example.field.add(name="features", number=1, label=1, type=11, type_name=f".{package}.Features")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.Example"))
