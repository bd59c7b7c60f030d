"""asv suites: time and peak memory of Mixtura from commit to commit."""
