"""The mathematics: distributions, statistics, E-step, M-step and the loop. No files, no threads, no scikit-learn."""
