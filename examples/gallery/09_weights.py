"""
A sample that is too young
==========================

442 patients with diabetes, and what one would expect of the body mass index of others. If those others are older, the
rows of older patients must count for more. Row weights do that, in the fit, in the criteria and in the picture.
"""

import numpy as np
from sklearn.datasets import load_diabetes

import mixtura
from mixtura import plot

patients = load_diabetes(as_frame=True, scaled=False).data
columns = patients[["age", "bmi"]]
as_sampled = mixtura.fit(columns, range(1, 5), "tied", random_state=0)

# %%
# Suppose that the patients to come are 60 on average, with a standard deviation of 10 years. The weight of a row is how
# much more frequent its age is among them than in the sample; weights are scaled to sum to the number of rows.

age = mixtura.Gaussian(60, 10.0**2)
weights = age.pdf(patients["age"]) / as_sampled.model.marginal(["age"]).pdf(patients["age"])
weights *= len(weights) / weights.sum()
to_come = mixtura.fit(columns, range(1, 5), "tied", sample_weight=weights, random_state=0)

one = plot.MixtureDisplay.from_estimator(as_sampled)

# %%

other = plot.MixtureDisplay.from_estimator(to_come)

# %%
# The area of a marker is its weight. What is to be expected of the body mass index, before and after:

for name, found in {"as sampled": as_sampled, "to come": to_come}.items():
    bmi = found.model.marginal(["bmi"])
    print(f"{name}: mean {bmi.mean[0]:.1f}, {1 - bmi.cdf([30.0])[0]:.0%} above 30")

# %%
# Weights of such a range cost precision: in effect there are fewer rows.

effective = weights.sum() ** 2 / np.square(weights).sum()
round(effective)
