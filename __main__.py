"""One environment, by `pulumi up`: settings -> plan -> checks -> target -> outputs."""

import gc

gc.disable()  # a program of half a second makes no garbage: the collector would only walk the imports

import pulumi
from pulumi.runtime import config

import checks
from stacks import plan, settings, targets
from stacks.strict import Refused
from stacks.targets import home
from toolchain.programs import ProgramMissing


def main() -> None:
    wanted = settings.from_pulumi(config.CONFIG.get(), config.get_config_secret_keys_env(), pulumi.get_stack())
    made = plan.make(wanted, home.missing(wanted.target))
    checks.demand(made, preview=pulumi.runtime.is_dry_run())
    for warning in checks.warnings(made):
        pulumi.warn(warning)
    targets.deploy(made)
    pulumi.export("urls", made.pages)
    pulumi.export("lifetime", {"lifecycle": wanted.lifecycle, "target": wanted.target, "ttl": wanted.ttl or ""})
    pulumi.export("left_out", {left_out.what: left_out.because for left_out in made.left_out})


try:
    main()
except (Refused, ProgramMissing) as refused:
    raise pulumi.RunError(settings.placed(str(refused), settings.stack_file(pulumi.get_stack()))) from None
gc.freeze()
