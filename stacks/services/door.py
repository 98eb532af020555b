"""The front door: Caddy before a page, with TLS and a password, for a machine that others can reach."""

from stacks.service import Endpoint, File, Ground, Host, Port, SecretFile, Service, Volume
from stacks.settings import Door

NAME = "door"
HTTP = 8080
HTTPS = 8443
_USERS = "secrets/users"


def service(ground: Ground, wanted: Door, behind: str) -> Service:
    """`behind` is the host:port of the page."""
    return Service(
        name=NAME,
        product="caddy",
        program="caddy",
        args=("run", "--config", "etc/Caddyfile", "--adapter", "caddyfile"),
        # Where it would look for a home.
        environment=(("HOME", "/tmp"),),  # noqa: S108 - the container's own
        ports=(Port(name="http", number=HTTP), Port(name="https", number=HTTPS)),
        files=(File(path="etc/Caddyfile", text=_caddyfile(ground, wanted, behind), on_change="restart"),),
        secrets=(SecretFile(path=_USERS, secret=wanted.users),),
        volumes=(Volume(path="data", size=64 * 2**20),),
        ready=Endpoint(port="http", path="/ready"),
        page=Endpoint(port="https", path="/"),
        outbound=True,
        # The file of the program in its image has this capability, and starts nowhere without it.
        host=Host(capabilities=("NET_BIND_SERVICE",)),
    )


def _caddyfile(ground: Ground, wanted: Door, behind: str) -> str:
    """Certificates by Let's Encrypt, for whoever gives an address to write to, or else by Caddy itself."""
    return f"""\
{{
	admin off
	auto_https disable_redirects
	http_port {ground.bind(HTTP)}
	https_port {ground.bind(HTTPS)}
	log {{
		format json
	}}
	persist_config off
	storage file_system data
}}

http://:{ground.bind(HTTP)} {{
	respond /ready 200
}}

{wanted.domain} {{
	tls {wanted.email or "internal"}
	basic_auth {{
		import ../{_USERS}
	}}
	reverse_proxy {behind} {{
		# The page would take it for a login of its own.
		header_up -Authorization
	}}
}}
"""
