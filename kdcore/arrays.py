"""What the inspector answers, as named arrays, for files and notebooks. No torch."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas

_PARTS = (dict, list, tuple, np.ndarray)


def flat(answer: Any) -> dict[str, np.ndarray]:
    """The arrays, numbers and words of nested lists and dictionaries, each by its path, such as "0.maps"."""
    return dict(_leaves(answer, ""))


def npz(answer: Any) -> bytes:
    """The same as a file of numpy's."""
    content = io.BytesIO()
    np.savez_compressed(content, **flat(answer))
    return content.getvalue()


def csv(answer: Any) -> bytes:
    """The same as a table with a row for each value: what it is, where in its array, and the value."""
    table = pandas.concat([_rows(name, values) for name, values in flat(answer).items()])
    indices = [name for name in table if name.startswith("index")]
    return table.astype(dict.fromkeys(indices, "Int64"))[["what", *indices, "value"]].to_csv(index=False).encode()


def _rows(name: str, values: np.ndarray) -> pandas.DataFrame:
    where = np.indices(values.shape).reshape(values.ndim, values.size)
    return pandas.DataFrame({"what": name, **{f"index {axis}": at for axis, at in enumerate(where)},
                             "value": values.ravel()})


def _leaves(answer: Any, path: str) -> Iterator[tuple[str, np.ndarray]]:
    several = isinstance(answer, (list, tuple)) and any(isinstance(part, _PARTS) for part in answer)
    for name, part in answer.items() if isinstance(answer, dict) else enumerate(answer) if several else ():
        yield from _leaves(part, f"{path}.{name}" if path else str(name))
    if not (several or answer is None or isinstance(answer, dict)):
        yield path or "answer", np.asarray(answer)
