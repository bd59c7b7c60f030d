"""Other libraries beside Mixtura: the same rows, the same start, the same number of EM iterations."""
