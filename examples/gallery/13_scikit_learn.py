"""
Beside scikit-learn
===================

The same data, the same model, twelve seeds: how high does each get? Both are called with their defaults.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler

import mixtura
from mixtura.bridges import to_sklearn

warnings.simplefilter("ignore", ConvergenceWarning)
rows = StandardScaler().fit_transform(load_wine().data)[:, [0, 6, 9, 10, 12]]
seeds = range(12)
theirs = [GaussianMixture(4, random_state=seed).fit(rows).score(rows) for seed in seeds]
ours = [mixtura.GaussianMixture(4, random_state=seed).fit(rows).score(rows) for seed in seeds]

figure, ax = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
for place, (scores, colour) in enumerate([(theirs, "#D55E00"), (ours, "#0072B2")]):
    jitter = np.linspace(-0.2, 0.2, len(scores))
    ax.scatter(scores, place + jitter, s=28, color=colour, alpha=0.75, lw=0)
ax.set(yticks=[0, 1], yticklabels=["scikit-learn", "Mixtura"], ylim=(-0.6, 1.6))
ax.set_xlabel("mean log-likelihood (nats a row)")
ax.spines[["top", "right", "left"]].set_visible(False)

# %%
# What was found here can be taken there, with the same numbers, if something else expects scikit-learn's class:

model = mixtura.GaussianMixture(4, random_state=0).fit(rows)
taken = to_sklearn(model)
print(f"largest difference {np.abs(taken.score_samples(rows) - model.score_samples(rows)).max():.0e} nats")
