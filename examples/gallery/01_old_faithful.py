"""
When does the geyser blow?
==========================

Old Faithful erupts for two minutes or for four, and the longer it does, the longer is the wait. How many kinds of
eruption are there?
"""

import mixtura
from mixtura import plot

result = mixtura.fit("../faithful.csv", random_state=0)
display = plot.MixtureDisplay.from_estimator(result)

# %%
# Three: the short ones, and long ones in two parts which share their shape. Every number of components from one to
# nine was tried in fourteen families of covariances, and this is the one with the smallest BIC. All of it is in
# the summary, together with what was noticed in the data and how the fit ended.

print(result)
