"""
A file that need not fit in memory
==================================

All that a step of EM takes from the rows is a small record of sums, and records add. So a table can be read in pieces,
from a Parquet file here, and the fit is that of all rows together.
"""

import tempfile
from functools import reduce
from operator import add
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.datasets import load_sample_image

import mixtura

pixels = load_sample_image("flower.jpg").reshape(-1, 3)
path = Path(tempfile.mkdtemp()) / "pixels.parquet"
pq.write_table(pa.table(dict(zip("rgb", pixels.T, strict=True))), path, row_group_size=20_000)
file = pq.ParquetFile(path)
print(f"{file.metadata.num_rows:,} rows in {file.num_row_groups} groups")


# %%
# Five components, and a start from a few rows. Then fifteen steps, each of which reads the file once, one group of
# rows at a time. ``e_step`` makes a record of a group, ``+`` adds two records, ``m_step`` makes the next mixture.


def groups():
    """The groups of rows, one after another."""
    for number in range(file.num_row_groups):
        group = file.read_row_group(number)
        yield np.column_stack([group[name] for name in "rgb"]).astype(np.float64)


model = mixtura.fit(pixels[::500], 5, "full", random_state=0).model
loglik = []
for _ in range(15):
    statistics = reduce(add, (mixtura.e_step(model, rows) for rows in groups()))
    loglik.append(statistics.loglik / statistics.weight)
    model = mixtura.m_step(model, statistics)

# %%
# The log-likelihood rises at every step, as it must.

figure, ax = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
ax.plot(range(1, 16), loglik, "o-", color="#0072B2")
ax.set(xlabel="pass over the file", ylabel="log-likelihood (nats a row)")
ax.spines[["top", "right"]].set_visible(False)

# %%
# The means are the colours of the picture, and the weights how much of it they fill:

figure, ax = plt.subplots(figsize=(6.4, 1.2), layout="constrained")
order = np.argsort(model.means.sum(1))
left = np.r_[0, np.cumsum(model.weights[order])[:-1]]
ax.barh(0, model.weights[order], left=left, color=np.clip(model.means[order] / 255, 0, 1), height=1)
ax.set_axis_off()
