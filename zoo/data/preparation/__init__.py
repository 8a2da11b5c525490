"""Rows of a table as sequences of a model: the same code in training and in prediction.

`form.TableForm` states how; it is fitted on the training part and kept in the signature. The steps, each a module:

1. `series.find_series`: the rows of each series in the order of time, on a regular grid where the form has one;
2. `columns.Columns`: columns as float64 over the steps of a series, `gaps.fill` fills their gaps;
3. `fit.fit_features`: categories, fills and offsets, from the training steps;
4. `features.features`: the features of each step of a series, float64;
5. `predicting.last_windows`: the sequences of a new table, float32.

Imports the tables, and no torch.
"""
