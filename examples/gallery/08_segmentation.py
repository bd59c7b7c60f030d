"""
A palette for a photograph
==========================

The pixels of a picture are rows of three numbers. Equal ones need not be fitted twice: a row weight says how often a
colour occurs, and gives the same fit as all the pixels.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

import mixtura

photograph = load_sample_image("china.jpg")[::2, ::2]
pixels = photograph.reshape(-1, 3)
colours, back, counts = np.unique(pixels // 4 * 4 + 2, axis=0, return_inverse=True, return_counts=True)
print(f"{len(pixels):,} pixels of {len(colours):,} colours")

result = mixtura.fit(colours, 12, "vei", sample_weight=counts, n_init=1, random_state=0)
model = result.model

# %%
# Every pixel gets the mean colour of its component: a picture in twelve colours, each of which is a region.

labels = model.predict(colours)[back.ravel()].reshape(photograph.shape[:2])
figure, axes = plt.subplots(1, 2, figsize=(9.6, 3.4), layout="constrained")
axes[0].imshow(photograph)
axes[1].imshow(np.clip(model.means[labels] / 255, 0, 1))
for ax, title in zip(axes, ["The photograph", "Twelve colours"], strict=True):
    ax.set_title(title, loc="left")
    ax.set_axis_off()

# %%
# How sure is it? Where two colours meet it is not:

figure, ax = plt.subplots(figsize=(5.6, 3.6), layout="constrained")
shown = ax.imshow(model.uncertainty(pixels).reshape(labels.shape), cmap="magma", vmin=0, vmax=0.6)
figure.colorbar(shown, label="probability that the label is wrong", shrink=0.85)
ax.set_axis_off()
