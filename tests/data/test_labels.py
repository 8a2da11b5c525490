"""Order of labels."""

from __future__ import annotations

from itertools import permutations

import zoo


def test_numbers_come_by_size_and_words_after_them_in_every_order_of_the_names() -> None:
    names = ["10", "9", "nan", "b", "inf", "01"]
    orders = {zoo.sorted_labels(order) for order in permutations(names)}
    assert orders == {("01", "9", "10", "b", "inf", "nan")}
    assert zoo.sorted_labels(["x", "x"]) == ("x",)
