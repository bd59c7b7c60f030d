"""
Learn what is normal, find what is not
======================================

Cells from 569 breast tumours, thirty measurements each. Suppose that only benign ones were known: a mixture learns
what these look like, and whatever is improbable under it is suspect.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

import mixtura

data = load_breast_cancer()
sizes = np.log(data.data[:, 20:] + 0.01)  # the largest values of ten measurements, which are skewed
benign, malignant = sizes[data.target == 1], sizes[data.target == 0]
known, new = train_test_split(benign, test_size=0.4, random_state=0)

model = mixtura.fit(known, range(1, 5), random_state=0).model
usual, suspect = model.logpdf(new), model.logpdf(malignant)
truth = np.r_[np.zeros(len(usual)), np.ones(len(suspect))]
area = roc_auc_score(truth, -np.r_[usual, suspect])
round(float(area), 3)

# %%
# No malignant tumour was ever shown to the model. A threshold that one in twenty benign ones exceeds finds most of
# them:

threshold = np.quantile(model.logpdf(known), 0.05)
print(f"{(suspect < threshold).mean():.0%} of the malignant, {(usual < threshold).mean():.0%} of the new benign ones")

# %%

bins = np.linspace(-60, 25, 60)
figure, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
ax.hist(np.clip(usual, bins[0], None), bins, color="#0072B2", alpha=0.8, label="benign, not seen before")
ax.hist(np.clip(suspect, bins[0], None), bins, color="#D55E00", alpha=0.6, label="malignant")
ax.axvline(threshold, color="black", lw=1, ls="--", label="1 in 20 of the known ones")
ax.set(xlabel="log density (nats); what is lower is counted at the left end", ylabel="tumours")
ax.spines[["top", "right"]].set_visible(False)
_ = ax.legend(frameon=False, loc="upper left")
