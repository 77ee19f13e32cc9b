"""Message types of ROS: those of the file's own definitions, and messages from their bytes and back.

A definition is the text of a type with those that it uses. That of messages which are serialized as ROS 1 does begins
with ``ROS1_MARK``, so that it tells all that reading needs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

from fusion_aug.errors import DataError, MissingPackage

NEED = "recordings of ROS need the packages mcap and rosbags: pip install '.[ros]'"
MOST_TEXT = 2**20  # bytes of a definition
MOST_TOLD = 120  # characters of why one cannot be read, which may repeat it
IDL = re.compile(r"^\s*module\s+\w+\s*\{", re.MULTILINE)  # which a definition in ROS's own language never has
INCLUDE = re.compile(r"^[ \t]*#.*$", re.MULTILINE)  # of IDL; what it names is beside it
BETWEEN_FILES = "=" * 80 + "\n"
HEADER = "std_msgs/msg/Header"
CDR, ROS1 = "cdr", "ros1"
ENCODINGS = (CDR, ROS1)  # of messages that can be read
ROS1_MARK = "# ROS 1\n"
# types of ROS 1 that have another name in ROS 2, and the same fields
RENAMED = {"tf/msg/tfMessage": "tf2_msgs/msg/TFMessage"}


def definition_of(text: str, encoding: str) -> str:
    """What messages are read by: the text of their type, marked where they are serialized as ROS 1 does."""
    return ROS1_MARK + text if encoding == ROS1 else text


def kind_of(name: str) -> str:
    """Name of a type as ROS 2 writes it: "sensor_msgs/msg/Image" of ROS 1's "sensor_msgs/Image"."""
    group, _, own = name.partition("/")
    kind = f"{group}/msg/{own}" if own and "/" not in own else name
    return RENAMED.get(kind, kind)


class DamagedDefinition(DataError):
    """The text of a type cannot be read."""


@cache
def typestore() -> Any:
    """Types of ROS 2 Humble.

    Raises:
        MissingPackage: the package is not installed.
    """
    try:
        from rosbags.typesys import Stores, get_typestore
    except ImportError:
        raise MissingPackage(NEED) from None
    return get_typestore(Stores.ROS2_HUMBLE)


@cache
def ros1_typestore() -> Any:
    """Types of ROS 1 Noetic, with the field names of ROS 2: D, K, R and P of CameraInfo are d, k, r and p."""
    from rosbags.typesys import Stores, get_typestore

    own = get_typestore(Stores.EMPTY)
    own.register(_in_small_letters(get_typestore(Stores.ROS1_NOETIC).fielddefs))
    return own


def _in_small_letters(types: Mapping[str, Any]) -> dict[str, Any]:
    """Types with their fields in small letters, where these stay apart; messages hold no names of fields."""
    out = {}
    for name, (constants, fields) in types.items():
        small = [(n.lower(), form) for n, form in fields]
        out[name] = (constants, small if len({n for n, _ in small}) == len(small) else fields)
    return out


@lru_cache(maxsize=1024)
def types_of(kind: str, definition: str) -> Any:
    """The types that a file's messages are read by.

    Those of ROS 2 Humble (of ROS 1 Noetic) where the file's definition says the same or is not there; else the file's
    own, since a vendor or another distribution may give a type of the same name other fields.

    Args:
        kind: "sensor_msgs/msg/Image". definition: text of the type with those that it uses, as the file holds it.

    Raises:
        DamagedDefinition: the text cannot be read, and neither Humble nor Noetic has such a type.
    """
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    is_ros1 = definition.startswith(ROS1_MARK)
    known = ros1_typestore() if is_ros1 else typestore()
    definition = definition.removeprefix(ROS1_MARK)
    if not definition.strip():
        if kind in known.fielddefs:
            return known
        raise DamagedDefinition(f"the file holds no definition of {kind or 'its type'}")
    try:
        if len(definition) > MOST_TEXT:
            raise ValueError(f"it has {len(definition)} characters")
        found = _types_of_idl(definition) if IDL.search(definition) else get_types_from_msg(definition, kind)
        found = _in_small_letters(found) if is_ros1 else found
        if kind in known.fielddefs and all(
            n in known.fielddefs and fields[1] == known.fielddefs[n][1] for n, fields in found.items()
        ):
            return known
        own = get_typestore(Stores.EMPTY)
        own.register({n: f for n, f in known.fielddefs.items() if n not in found} | found)
    except Exception as error:  # a parser's many
        if kind in known.fielddefs:
            return known
        why = " ".join(str(error).split())
        raise DamagedDefinition(f"the definition of {kind} cannot be read ({why[:MOST_TOLD]})") from None
    if kind not in own.fielddefs:
        raise DamagedDefinition(f"the definition of {kind} does not name it")
    return own


def _types_of_idl(text: str) -> Any:
    """The types of IDL: of one file, or of several, each behind a line ``IDL: NAME``, as rosbag2 writes them."""
    from rosbags.typesys import get_types_from_idl

    found: dict[str, Any] = {}
    for part in INCLUDE.sub("", text).split(BETWEEN_FILES):
        own = part.partition("\n")[2] if part.startswith("IDL: ") else part
        found |= get_types_from_idl(own) if own.strip() else {}
    return found


def has_header(kind: str, definition: str) -> bool:
    """Whether messages of a type begin with a header.

    Raises:
        DamagedDefinition: nothing is known of the type.
    """
    fields = types_of(kind, definition).fielddefs[kind][1]
    return bool(fields) and fields[0][0] == "header" and fields[0][1][1] == HEADER


def decode(data: bytes | memoryview, kind: str, definition: str, where: str) -> Any:
    """A message from its bytes, in CDR or as ROS 1 serializes it.

    Args:
        data: the bytes. kind: "sensor_msgs/msg/Image". definition: of the type, see ``definition_of``.
        where: file and topic, for messages.

    Raises:
        DataError: the bytes are not such a message.
    """
    try:
        types = types_of(kind, definition)
    except DamagedDefinition as error:
        raise DataError(f"{where}: {error}") from None
    try:
        return (types.deserialize_ros1 if definition.startswith(ROS1_MARK) else types.deserialize_cdr)(
            bytes(data), kind
        )
    except Exception as error:  # numpy, struct, assertion and index errors of a damaged message
        raise DataError(f"{where}: is not a valid {kind} ({type(error).__name__}: {error})") from None


def encode(message: Any, kind: str, definition: str = "") -> bytes:
    """Bytes of a message; ``definition`` is that of its type, see ``definition_of``."""
    types = types_of(kind, definition)
    return bytes((types.serialize_ros1 if definition.startswith(ROS1_MARK) else types.serialize_cdr)(message, kind))
