"""What the inspector answers, as files."""

import io
import tracemalloc

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


def test_a_table_goes_through_the_values_as_they_lie_in_their_arrays():
    table = pandas.read_csv(io.BytesIO(arrays.csv(ANSWER)), dtype=str, keep_default_na=False)
    assert list(table) == ["what", "index 0", "index 1", "value"]
    assert [tuple(row) for row in table.to_numpy()] == [
        *(("0.maps", str(i), str(j), str(float(3 * i + j))) for i in range(2) for j in range(3)),
        ("0.distance", "", "", "0.5"), ("0.reason", "", "", ""), ("1.layers.0.paid", "", "", "1.5"),
        ("1.layers.1.paid", "", "", "2.5"), ("1.classes", "0", "", "a"), ("1.classes", "1", "", "b")]


def test_a_table_of_many_values_takes_little_memory():
    """An answer may have a million values, and the web process has little memory to spare."""
    maps = np.random.default_rng(0).random((100, 1, 20, 20)).astype(np.float32)
    tracemalloc.start()
    try:
        arrays.csv([{"maps": maps}])
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 300 * maps.size, most / maps.size
