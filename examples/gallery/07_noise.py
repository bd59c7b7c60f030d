"""
Galaxies that belong to no wall
===============================

Velocities of 82 galaxies in the Corona Borealis region. Most belong to the great wall in the middle, and a few are far
off. A Gaussian that must hold them all becomes much too wide; a noise component takes them.
"""

import numpy as np
import pyarrow.csv

import mixtura
from mixtura import plot

velocities = pyarrow.csv.read_csv("../galaxies.csv")
plain = mixtura.fit(velocities, 1, random_state=0)
noisy = mixtura.fit(velocities, 1, noise=True, random_state=0)
before = plot.DensityDisplay.from_estimator(plain)

# %%
# With noise the Gaussian describes the wall, and BIC is much better:

after = plot.DensityDisplay.from_estimator(noisy)

# %%

print(f"BIC {plain.best.bic:.0f} without noise, {noisy.best.bic:.0f} with; {noisy.model.noise.weight:.0%} are noise")

# %%
# Every galaxy has a probability of being noise, and the label of those that most probably are is −1:

labels = noisy.model.predict(velocities)
np.sort(np.asarray(velocities)[labels == -1].ravel())
