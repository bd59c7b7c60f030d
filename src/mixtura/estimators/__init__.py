"""scikit-learn estimators: parameters, checks and messages; the fitting is done in mixtura.choice."""
