"""Files of lower precision: weights in 16 bits (half.py) or 8 bits (int8.py)."""
