"""Draw the Old Faithful eruptions and the mixture that BIC chooses for them (needs `pip install "mixtura[plots]"`)."""

import sys

import matplotlib.pyplot as plt
import numpy as np
from pyarrow import csv

import mixtura

table = csv.read_csv("examples/faithful.csv")
result = mixtura.fit(table, random_state=0)
model = result.model
rows = np.column_stack([table["eruptions"], table["waiting"]])
labels = model.predict(rows)

margin = np.array([0.4, 6])
low, high = rows.min(0) - margin, rows.max(0) + margin
x, y = np.meshgrid(np.linspace(low[0], high[0], 300), np.linspace(low[1], high[1], 300))
density = model.pdf(np.column_stack([x.ravel(), y.ravel()])).reshape(x.shape)

figure, axes = plt.subplots(figsize=(7.2, 4.4), layout="constrained")
axes.contourf(x, y, density**0.5, levels=12, cmap="Greys", alpha=0.45)
circle = np.stack([np.cos(t := np.linspace(0, 2 * np.pi, 200)), np.sin(t)])
for k, (colour, marker) in enumerate(zip(["#0072B2", "#E69F00", "#009E73"], "os^", strict=True)):
    mine = labels == k
    axes.scatter(*rows[mine].T, s=16, c=colour, marker=marker, linewidths=0, label=f"component {k}")
    for radius in (1, 2):
        outline = model.means[k][:, None] + radius * model.structure.factor(k) @ circle
        axes.plot(*outline, c=colour, lw=1.6 if radius == 1 else 0.9)
axes.set(xlabel="eruption (minutes)", ylabel="wait until the next (minutes)")
axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
found = f"{result.best.n_components} components, {result.best.covariance} covariance"
axes.set_title(f"{len(rows)} eruptions: {found}", loc="left")
axes.legend(loc="upper left", frameon=False)
figure.savefig(sys.argv[1] if len(sys.argv) > 1 else "faithful.png", dpi=150)
