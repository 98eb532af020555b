"""Phase 5, simulated: an event-driven task service of three processes, and the exporters of its cluster."""
