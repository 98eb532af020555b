"""LMMC, simulated: a task memory server, the Qdrant that it searches in, and the command line program of its users."""
