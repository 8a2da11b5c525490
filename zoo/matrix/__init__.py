"""The matrix: a cell proven in every direction, depth, shape, opset and kind of states, lengths and weights."""
