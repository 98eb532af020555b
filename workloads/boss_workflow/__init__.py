"""The Boss Workflow application, simulated: a task service with a database, Redis, AI calls and Discord."""

from workloads.boss_workflow.app import FAULTS, BossWorkflow

__all__ = ["FAULTS", "BossWorkflow"]
