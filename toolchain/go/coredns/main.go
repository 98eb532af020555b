// Command coredns is CoreDNS with the plugins that a cluster's names need, and
// none that asks another server: a quarter of the official program's build.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/metrics"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/reload"
)

func main() {
	// Their order is the order in which a question passes them.
	dnsserver.Directives = []string{"reload", "ready", "health", "prometheus", "errors", "cache", "kubernetes"}
	coremain.Run()
}
