"""Files of lower precision: weights in half of the bits, or in a quarter."""
