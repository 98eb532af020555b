"""Exports its only setting, and a secret so that the state needs the passphrase."""

import pulumi

pulumi.export("word", pulumi.Config("watchstack").require("word"))
pulumi.export("hidden", pulumi.Output.secret("nobody sees this"))
