"""The GraphMemory system, simulated: a collaborative graph memory for IDEs, and its alert bridge."""
