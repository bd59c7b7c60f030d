"""Fit a mixture to the Old Faithful data, and ask it three questions."""

from pathlib import Path

from pyarrow import csv

import mixtura

result = mixtura.fit(csv.read_csv(Path(__file__).with_name("faithful.csv")), random_state=0)
print(result)  # which model was chosen, among which, and whether it converged
print("an eruption of 2 minutes, a wait of 55:", result.model.predict([[2.0, 55.0]]))
print("expected wait after 2 minutes:", result.model.condition({"eruptions": 2.0}).mean)
print("five new observations:", result.model.sample(5, rng=0), sep="\n")
