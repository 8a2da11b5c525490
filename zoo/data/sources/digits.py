"""The data source ``digits``: small handwritten digits from scikit-learn, without a file."""

from __future__ import annotations

import numpy as np
import torch

import zoo

__all__ = ["Digits", "zoo_register_data"]


class Digits(zoo.DataSource):
    """1,797 digits of 8 x 8 pixels, each row a step of 8 features; pixels from 0 to 16, uint8."""

    name = "digits"

    def load(self, config: zoo.Config) -> zoo.Dataset:  # noqa: ARG002  (nothing to configure)
        """Return the digits in a fixed random split, stratified by digit: 60 % training, 20 % validation, 20 % test."""
        from sklearn.datasets import load_digits  # slow to import, and needed only when this source is loaded
        from sklearn.model_selection import train_test_split

        bunch = load_digits()
        images, digits = bunch.images.astype("uint8"), bunch.target
        first, rest = train_test_split(np.arange(len(digits)), test_size=0.4, random_state=0, stratify=digits)
        train, validation, test = (
            zoo.Split(torch.from_numpy(images[rows]), torch.from_numpy(digits[rows]).long())
            for rows in (first, *train_test_split(rest, test_size=0.5, random_state=0, stratify=digits[rest]))
        )
        return zoo.Dataset(
            train=train,
            validation=validation,
            test=test,
            signature=zoo.Signature(features=8, labels=tuple("0123456789"), input_scale=zoo.standardisation(train.x)),
            description=(
                "Handwritten digits of 8 x 8 pixels from 0 to 16, read row by row (E. Alpaydin and C. Kaynak, UCI "
                "Machine Learning Repository, 1998; as distributed with scikit-learn). A fixed random split, "
                "stratified by digit, into about 60 % training, 20 % validation and 20 % test."
            ),
        )


@zoo.hookimpl
def zoo_register_data() -> list[type[zoo.DataSource]]:
    """Register `Digits` as the data source ``digits``."""
    return [Digits]
