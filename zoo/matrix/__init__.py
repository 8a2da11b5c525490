"""The matrix: a cell proven in every setting, at every shape and opset."""
