// Command alertroutes asks Alertmanager's own packages what a configuration
// does with alerts, many at once: which routes take each, to which receivers,
// what mutes it at a time, and which of the firing alerts inhibit it.
//
// It reads a JSON list of questions on standard input and writes one answer
// for each on standard output. `amtool config routes test` takes one alert at
// a time, and knows neither time nor inhibition.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"log/slog"
	"os"
	"time"
	_ "time/tzdata" // a time interval may be in any zone, and not every machine has a database of them

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"

	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/alertmanager/inhibit"
	"github.com/prometheus/alertmanager/matcher/compat"
	"github.com/prometheus/alertmanager/provider"
	"github.com/prometheus/alertmanager/timeinterval"
	"github.com/prometheus/alertmanager/types"
)

// question: where does an alert with these labels go, at a time, while others fire?
type question struct {
	Labels model.LabelSet   `json:"labels"`
	At     *time.Time       `json:"at"`
	Firing []model.LabelSet `json:"firing"`
}

// hop is a route that takes the alert: its position in the tree, and what mutes it.
type hop struct {
	Path     []int    `json:"path"`
	Receiver string   `json:"receiver"`
	MutedBy  []string `json:"muted_by"`
}

// inhibition names the rule that mutes the alert, and the firing alert by its position in the question.
type inhibition struct {
	Rule  string `json:"rule"`
	Alert int    `json:"alert"`
}

type answer struct {
	Routes      []hop        `json:"routes"`
	InhibitedBy []inhibition `json:"inhibited_by"`
}

type oracle struct {
	root      *dispatch.Route
	paths     map[*dispatch.Route][]int
	intervals *timeinterval.Intervener
	rules     []config.InhibitRule
}

func newOracle(conf *config.Config) *oracle {
	intervals := map[string][]timeinterval.TimeInterval{}
	for _, each := range conf.TimeIntervals {
		intervals[each.Name] = each.TimeIntervals
	}
	root := dispatch.NewRoute(conf.Route, nil)
	made := &oracle{root, map[*dispatch.Route][]int{}, timeinterval.NewIntervener(intervals), conf.InhibitRules}
	made.number(root, []int{})
	return made
}

func (o *oracle) number(route *dispatch.Route, path []int) {
	o.paths[route] = path
	for i, child := range route.Routes {
		o.number(child, append(append([]int{}, path...), i))
	}
}

func (o *oracle) answer(q question) (answer, error) {
	found := answer{Routes: []hop{}, InhibitedBy: o.inhibitedBy(q)}
	for _, route := range o.root.Match(q.Labels) {
		muted, err := o.mutedBy(route.RouteOpts, q.At)
		if err != nil {
			return found, err
		}
		found.Routes = append(found.Routes, hop{o.paths[route], route.RouteOpts.Receiver, muted})
	}
	return found, nil
}

// mutedBy names the intervals in which the route is silent at the time, or outside all of which it is.
func (o *oracle) mutedBy(route dispatch.RouteOpts, at *time.Time) ([]string, error) {
	if at == nil {
		return []string{}, nil
	}
	muted, names, err := o.intervals.Mutes(route.MuteTimeIntervals, *at)
	if muted || err != nil {
		return names, err
	}
	active, _, err := o.intervals.Mutes(route.ActiveTimeIntervals, *at)
	if active || err != nil || len(route.ActiveTimeIntervals) == 0 {
		return []string{}, err
	}
	return route.ActiveTimeIntervals, nil
}

// firing is the part of a provider that an inhibitor reads: what fires from the beginning, and nothing after.
type firing struct {
	provider.Alerts
	alerts []*types.Alert
}

func (f firing) SlurpAndSubscribe(string) ([]*types.Alert, provider.AlertIterator) {
	return f.alerts, provider.NewAlertIterator(make(chan *provider.Alert), make(chan struct{}), nil)
}

// inhibitedBy asks an inhibitor for each rule: one for all would not say which it was.
func (o *oracle) inhibitedBy(q question) []inhibition {
	found := []inhibition{}
	if len(q.Firing) == 0 {
		return found
	}
	alerts, position := []*types.Alert{}, map[string]int{}
	for i, labels := range q.Firing {
		alert := &types.Alert{Alert: model.Alert{Labels: labels, EndsAt: time.Now().Add(time.Hour)}}
		alerts, position[alert.Fingerprint().String()] = append(alerts, alert), i
	}
	for _, rule := range o.rules {
		marker := types.NewMarker(prometheus.NewRegistry())
		inhibitor := inhibit.NewInhibitor(firing{alerts: alerts}, []config.InhibitRule{rule}, marker, slog.Default())
		go inhibitor.Run()
		inhibitor.WaitForLoading()
		if inhibitor.Mutes(context.Background(), q.Labels) {
			ids, _ := marker.Inhibited(q.Labels.Fingerprint())
			found = append(found, inhibition{rule.Name, position[ids[0]]})
		}
		inhibitor.Stop()
	}
	return found
}

func run(file string) error {
	// Matchers are read as by the Alertmanager that Watchstack runs.
	flags, err := featurecontrol.NewFlags(slog.Default(), featurecontrol.FeatureUTF8StrictMode)
	if err != nil {
		return err
	}
	compat.InitFromFlags(slog.Default(), flags)
	conf, err := config.LoadFile(file)
	if err != nil {
		return err
	}
	var questions []question
	if err := json.NewDecoder(os.Stdin).Decode(&questions); err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	made, answers := newOracle(conf), []answer{}
	for _, each := range questions {
		found, err := made.answer(each)
		if err != nil {
			return err
		}
		answers = append(answers, found)
	}
	return json.NewEncoder(os.Stdout).Encode(answers)
}

func main() {
	log.SetFlags(0)
	slog.SetLogLoggerLevel(slog.LevelError)
	if len(os.Args) != 2 {
		log.Fatal("usage: alertroutes ALERTMANAGER.YML < QUESTIONS.JSON")
	}
	if err := run(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}
