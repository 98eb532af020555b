"""The volume of Prometheus can hold the samples of its retention."""

import math
from pathlib import Path

from stacks import sizing
from stacks.plan import Plan
from stacks.sizing import LEAST_SAMPLE_BYTES, SAMPLES_SHARE
from stacks.units import rounded, size_text


def check(plan: Plan, _tree: Path) -> list[str]:
    """Judged by the least that samples can take, so that only what cannot be right is refused."""
    # A rehearsal asks more often than it ever will, and is over in an hour.
    if plan.settings.fast_forward > 1:
        return []
    wanted, load = plan.settings.prometheus, sizing.of_jobs(plan.settings, plan.jobs)
    least, room = sizing.kept(load, LEAST_SAMPLE_BYTES), sizing.room(wanted.volume)
    if least <= room:
        return []
    enough = size_text(math.ceil(least / SAMPLES_SHARE / 2**30) * 2**30)
    each = wanted.series_per_target
    take = f"{wanted.retention} of {load.samples:,.0f} samples a second take {rounded(least)} at least"
    may = f"samples may fill {rounded(room)} of watchstack:prometheus.volume"
    remedy = f"give it {enough} or more, or keep less"
    fewer = f"if the {load.series // each} targets have fewer than {each} series each"
    say = "say so in watchstack:prometheus.series_per_target"
    return [f"watchstack:prometheus.retention: {take}, and {may}: {remedy}; or {fewer}, {say}"]
