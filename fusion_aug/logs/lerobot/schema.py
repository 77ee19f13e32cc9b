"""Tables of frames of LeRobotDataset, with the types of their features as the package ``datasets`` declares them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np


def schema_of(features: Mapping[str, Any]) -> Any:
    """The schema of a table.

    Args:
        features: name -> what info.json says of it, but of videos.
    """
    import pyarrow as pa

    scalars = {"int64": pa.int64(), "float32": pa.float32(), "float64": pa.float64(), "bool": pa.bool_()}
    fields, declared = [], dict[str, Any]()
    for name, facts in features.items():
        kind, shape = facts["dtype"], facts["shape"]
        if kind == "image":
            form, declared[name] = pa.struct([("bytes", pa.binary()), ("path", pa.string())]), {"_type": "Image"}
        elif len(shape) == 2:
            form = pa.list_(pa.list_(scalars[kind]))
            declared[name] = {"shape": shape, "dtype": kind, "_type": "Array2D"}
        elif shape == [1]:  # as the package writes it, also where its number has a name
            form, declared[name] = scalars[kind], {"dtype": kind, "_type": "Value"}
        else:
            form = pa.list_(scalars[kind], shape[0])
            value = {"dtype": kind, "_type": "Value"}
            declared[name] = {"feature": value, "length": shape[0], "_type": "Sequence"}
        fields.append(pa.field(name, form))
    return pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": declared}})})


def table_of(columns: Mapping[str, Any], features: Mapping[str, Any]) -> Any:
    """A table of columns, each a list of cells or an array (n, ...), by what info.json says of them."""
    import pyarrow as pa

    schema = schema_of(features)
    cells = [columns[f.name] for f in schema]
    lists = [
        (v.reshape(-1) if features[f.name]["shape"] == [1] else v).tolist() if isinstance(v, np.ndarray) else v
        for f, v in zip(schema, cells, strict=True)
    ]
    return pa.Table.from_arrays([pa.array(v, type=f.type) for f, v in zip(schema, lists, strict=True)], schema=schema)
