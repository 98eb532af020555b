"""Simulated applications, one a monitored system, and the receiver that shows what was sent."""
