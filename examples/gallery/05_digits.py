"""
Digits that nobody wrote
========================

A mixture is a distribution, and a distribution can be drawn from. Here it learns 1797 handwritten digits of 8 × 8
pixels, in the twenty directions in which they vary most, and writes some of its own.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

import mixtura

digits = load_digits()
pca = PCA(20, random_state=0).fit(digits.data)
rows = pca.transform(digits.data)
model = mixtura.fit(rows, 15, "full", n_init=1, random_state=0).model


def sheet(images, title, ax):
    """Forty images side by side."""
    framed = np.pad(images.reshape(4, 10, 8, 8), [(0, 0), (0, 0), (1, 1), (1, 1)])
    ax.imshow(framed.transpose(0, 2, 1, 3).reshape(40, 100), cmap="gray_r", vmin=0, vmax=16)
    ax.set_title(title, loc="left")
    ax.set_axis_off()


figure, axes = plt.subplots(2, figsize=(6.4, 5.6), layout="constrained")
sheet(digits.data[:40], "Written by people", axes[0])
sheet(pca.inverse_transform(model.sample(40, rng=7)), "Drawn from the mixture", axes[1])

# %%
# The density says how usual a digit is. The least probable ones are odd indeed:

order = np.argsort(model.logpdf(rows))
figure, axes = plt.subplots(2, figsize=(6.4, 5.6), layout="constrained")
sheet(digits.data[order[:40]], "The least probable", axes[0])
sheet(digits.data[order[-40:]], "The most probable", axes[1])
