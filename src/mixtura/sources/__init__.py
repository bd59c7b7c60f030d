"""Where rows live: tables in memory and on disk. Nothing here knows what a Gaussian is."""
