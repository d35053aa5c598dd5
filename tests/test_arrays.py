"""What the inspector answers, as files."""

import io

import numpy as np
import pandas

from kdcore import arrays

ANSWER = [{"maps": np.arange(6.0).reshape(2, 3), "distance": 0.5, "reason": "", "mark": None},
          {"maps": None, "layers": [{"paid": 1.5}, {"paid": 2.5}], "classes": ("a", "b")}]


def test_every_value_is_named_by_its_path():
    found = arrays.flat(ANSWER)
    assert list(found) == ["0.maps", "0.distance", "0.reason", "1.layers.0.paid", "1.layers.1.paid", "1.classes"]
    assert np.array_equal(found["0.maps"], ANSWER[0]["maps"]) and found["1.layers.1.paid"] == 2.5
    assert list(arrays.flat(3.0)) == ["answer"]


def test_the_files_hold_every_value():
    with np.load(io.BytesIO(arrays.npz(ANSWER))) as file:
        assert np.array_equal(file["0.maps"], ANSWER[0]["maps"]) and list(file["1.classes"]) == ["a", "b"]
    table = pandas.read_csv(io.BytesIO(arrays.csv(ANSWER)))
    cell = table[(table["what"] == "0.maps") & (table["index 0"] == 1) & (table["index 1"] == 2)]
    assert float(cell["value"].iloc[0]) == 5.0
    assert len(table) == 6 + 1 + 1 + 2 + 2
