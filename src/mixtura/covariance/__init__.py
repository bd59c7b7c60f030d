"""Covariance matrices: how they are stored, how each family estimates them, and the prior that keeps them regular."""
