"""The matrix: a cell proven in every direction, depth, shape, opset and kind of states, lengths and weights.

Imports `zoo.proof` and the rooms below it; imported by `zoo.cli`.
"""
