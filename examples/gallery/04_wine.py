"""
Thirteen columns, one picture
=============================

178 Italian wines of three growers, thirteen chemical measurements each. No pair of columns shows the groups; the
directions in which the components differ most do. The family is VVE: all components have the same axes, and each has
lengths of its own along them, so that thirteen columns do not ask for 91 numbers a component.
"""

import pandas as pd
from sklearn.datasets import load_wine

import mixtura
from mixtura import plot

wine = load_wine(as_frame=True)
columns = wine.data.rename(columns={"od280/od315_of_diluted_wines": "od280/od315"})
result = mixtura.fit(columns, range(2, 6), "vve", random_state=0)
projection = plot.ProjectionDisplay.from_estimator(result)

# %%
# Three of the four components are the growers'. The fourth holds what is left of Grignolino, which varies most:

growers = pd.Series(wine.target).map(dict(enumerate(["Barolo", "Grignolino", "Barbera"])))
result.compare(columns, growers)

# %%
# What each column contributes:

profile = plot.ProfileDisplay.from_estimator(result)
