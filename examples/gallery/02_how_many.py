"""
How many groups, of which shape?
================================

145 patients, three blood measurements: are there groups in it? Clinicians said three: healthy, chemical diabetes and
overt diabetes. The criterion does not know that. It sees 84 candidates: one to six components, in each of the fourteen
families of covariance matrices.
"""

import mixtura
from mixtura import plot

result = mixtura.select("../diabetes.csv", range(1, 7), random_state=0)
choice = plot.ChoiceDisplay.from_estimator(result)

# %%
# The ring is the chosen one; what lies in the grey band is as good. The best five in numbers:

result.to_frame().nsmallest(5, "bic")[["n_components", "mclust", "n_parameters", "loglik", "bic", "behind"]].round(1)

# %%
# And what was found, along the two directions that tell the components apart:

projection = plot.ProjectionDisplay.from_estimator(result)
