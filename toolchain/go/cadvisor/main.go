// Command cadvisor is cAdvisor's own packages with a main: the module of the
// official one is not on the Go module proxy. It has Docker alone, the
// metrics and the health check, the flags of those, and no web pages.
package main

import (
	"flag"
	"net"
	"net/http"
	"strings"
	"time"

	_ "github.com/google/cadvisor/container/docker/install"
	"github.com/google/cadvisor/lib/cache/memory"
	"github.com/google/cadvisor/lib/container"
	_ "github.com/google/cadvisor/lib/fs/btrfs/install"
	_ "github.com/google/cadvisor/lib/fs/overlay/install"
	_ "github.com/google/cadvisor/lib/fs/tmpfs/install"
	_ "github.com/google/cadvisor/lib/fs/vfs/install"
	"github.com/google/cadvisor/lib/manager"
	"github.com/google/cadvisor/lib/metrics"
	"github.com/google/cadvisor/lib/model"
	"github.com/google/cadvisor/lib/utils/sysfs"
	"github.com/google/cadvisor/lib/version"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

var (
	listenIP    = flag.String("listen_ip", "", "IP to listen on, all of them by default")
	port        = flag.String("port", "8080", "port to listen on")
	endpoint    = flag.String("prometheus_endpoint", "/metrics", "where the metrics are")
	duration    = flag.Duration("storage_duration", 2*time.Minute, "how long to keep data")
	storeLabels = flag.Bool("store_container_labels", true, "make labels of all labels and variables of a container")
	labels      = flag.String("whitelisted_container_labels", "", "labels to keep, where store_container_labels is false")
	prefixes    = flag.String("raw_cgroup_prefix_whitelist", "", "prefixes of cgroups to report despite docker_only")
	variables   = flag.String("env_metadata_whitelist", "", "environment variables of containers to keep")
	asked       = flag.Bool("version", false, "print the version and exit")

	enabled  = container.MetricSet{}
	disabled = container.MetricSet{
		container.MemoryNumaMetrics:              {},
		container.NetworkTcpUsageMetrics:         {},
		container.NetworkUdpUsageMetrics:         {},
		container.NetworkAdvancedTcpUsageMetrics: {},
		container.ProcessSchedulerMetrics:        {},
		container.ProcessMetrics:                 {},
		container.HugetlbUsageMetrics:            {},
		container.ReferencedMemoryMetrics:        {},
		container.CPUTopologyMetrics:             {},
		container.ResctrlMetrics:                 {},
		container.CPUSetMetrics:                  {},
	}
)

func main() {
	flag.Var(&disabled, "disable_metrics", "kinds of metrics to leave out")
	flag.Var(&enabled, "enable_metrics", "the kinds of metrics; overrides disable_metrics")
	klog.InitFlags(nil)
	flag.Parse()
	if *asked {
		println("cAdvisor version " + version.Version)
		return
	}
	included := container.AllMetrics.Difference(disabled)
	if len(enabled) > 0 {
		included = enabled
	}
	machine, err := manager.New(memory.New(*duration, nil), sysfs.NewRealSysFs(), manager.HousekeepingConfigFlags,
		included, strings.Split(*prefixes, ","), strings.Split(*variables, ","), "", 0)
	if err != nil {
		klog.Fatalf("no manager: %v", err)
	}
	if err := machine.Start(); err != nil {
		klog.Fatalf("the manager does not start: %v", err)
	}
	http.Handle(*endpoint, exposition(machine, included))
	http.HandleFunc("/healthz", func(answer http.ResponseWriter, _ *http.Request) { answer.Write([]byte("ok")) })
	klog.Fatal(http.ListenAndServe(net.JoinHostPort(*listenIP, *port), nil))
}

func exposition(machine manager.Manager, included container.MetricSet) http.Handler {
	named := metrics.DefaultContainerLabels
	if !*storeLabels {
		named = metrics.BaseContainerLabels(strings.Split(*labels, ","))
	}
	always := time.Duration(0)
	options := model.RequestOptions{IdType: model.TypeName, Count: 1, Recursive: true, MaxAge: &always}
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		metrics.NewPrometheusCollector(machine, named, included, clock.RealClock{}, options),
		metrics.NewPrometheusMachineCollector(machine, included),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}
