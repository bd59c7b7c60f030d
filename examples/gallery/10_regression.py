"""
Regression without a formula
============================

Given how long the eruption lasted, how long must one wait? The conditional distribution of a mixture is a mixture
again. Its mean is a regression curve that nobody had to choose, and its quantiles are a band as wide as the data are
uncertain there.
"""

import matplotlib.pyplot as plt
import numpy as np
import pyarrow.csv

import mixtura

table = pyarrow.csv.read_csv("../faithful.csv")
model = mixtura.fit(table, random_state=0).model
durations = np.linspace(1.5, 5.2, 120)
given = [model.condition({"eruptions": minutes}) for minutes in durations]
expected = np.array([each.mean[0] for each in given])
low, high = np.array([[each.ppf(p) for p in (0.05, 0.95)] for each in given]).reshape(-1, 2).T

figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
ax.fill_between(durations, low, high, color="#56B4E9", alpha=0.35, lw=0, label="nine in ten")
ax.plot(durations, expected, color="#0072B2", lw=2, label="expected wait")
ax.scatter(table["eruptions"], table["waiting"], s=12, color="black", alpha=0.5, lw=0)
ax.set(xlabel="eruption (minutes)", ylabel="wait until the next (minutes)")
ax.spines[["top", "right"]].set_visible(False)
_ = ax.legend(frameon=False, loc="upper left")

# %%
# Just before three minutes it may be either kind, and the conditional distribution says so: it is broad and lopsided.

waits = np.linspace(40, 100, 300)
figure, ax = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
for minutes, colour in [(2.0, "#0072B2"), (2.9, "#D55E00"), (4.3, "#009E73")]:
    ax.plot(waits, model.condition({"eruptions": minutes}).pdf(waits), color=colour, label=f"after {minutes:g} minutes")
ax.set(xlabel="wait until the next (minutes)", ylabel="density a minute", ylim=(0, None))
ax.spines[["top", "right"]].set_visible(False)
_ = ax.legend(frameon=False)
