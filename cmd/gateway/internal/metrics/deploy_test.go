package metrics

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	yaml "go.yaml.in/yaml/v3"

	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

const deploy = "../../../../deploy/"

// rules is what a file of alert rules holds.
type rules struct {
	Groups []group `yaml:"groups"`
}

type group struct {
	Name  string `yaml:"name"`
	Rules []rule `yaml:"rules"`
}

type rule struct {
	Alert       string            `yaml:"alert,omitempty"`
	Record      string            `yaml:"record,omitempty"`
	Expr        string            `yaml:"expr"`
	Labels      map[string]string `yaml:"labels,omitempty"`
	Annotations map[string]string `yaml:"annotations,omitempty"`
}

func alerts(t *testing.T) (all []rule) {
	t.Helper()
	text, err := os.ReadFile(deploy + "prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file rules
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) < 10 {
		t.Fatalf("only %d alerts", len(all))
	}
	return all
}

// panel is one of a dashboard, and what its targets ask for; a legend names labels between two braces.
type panel struct {
	Title   string
	Type    string
	Panels  []panel
	Targets []struct{ Expr, LegendFormat string }
}

func dashboard(t *testing.T) (queries, legends map[string][]string) {
	t.Helper()
	text, err := os.ReadFile(deploy + "grafana/stategate.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		UID    string
		Panels []panel
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	queries, legends = map[string][]string{}, map[string][]string{}
	for _, p := range file.Panels {
		if p.Type == "row" {
			continue
		}
		if len(p.Targets) == 0 {
			t.Errorf("panel %q asks for nothing", p.Title)
		}
		for _, target := range p.Targets {
			queries[p.Title] = append(queries[p.Title], target.Expr)
			legends[p.Title] = append(legends[p.Title], target.LegendFormat)
		}
	}
	if file.UID == "" || len(queries) < 20 {
		t.Fatalf("uid %q, and %d panels of different names", file.UID, len(queries))
	}
	return queries, legends
}

var (
	quoted      = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	matchers    = regexp.MustCompile(`([a-z_][a-z0-9_]*)\s*\{([^}]*)\}`)
	matcher     = regexp.MustCompile(`([a-z_]+)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*")`)
	grouping    = regexp.MustCompile(`\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)`)
	ranges      = regexp.MustCompile(`\[[^]]*\]`)
	identifier  = regexp.MustCompile(`[a-z_][a-z0-9_]*\s*\(?`)
	words       = []string{"and", "or", "unless", "by", "on", "without", "ignoring", "bool", "offset", "group_left", "group_right"}
	legendLabel = regexp.MustCompile(`\{\{\s*([a-z_]+)\s*\}\}`)
)

// asked is what an expression names: metrics, and labels that some metric must have.
type asked struct {
	metrics []string
	labels  map[string][]string // of one metric, as "name=value"; of "", of any: only the name
}

func ask(expr string) asked {
	a := asked{labels: map[string][]string{}}
	for _, m := range matchers.FindAllStringSubmatch(expr, -1) {
		for _, l := range matcher.FindAllStringSubmatch(m[2], -1) {
			a.labels[m[1]] = append(a.labels[m[1]], l[1]+l[2]+strings.Trim(l[3], `"`))
		}
	}
	for _, g := range grouping.FindAllStringSubmatch(expr, -1) {
		for name := range strings.SplitSeq(g[1], ",") {
			if name = strings.TrimSpace(name); name != "" {
				a.labels[""] = append(a.labels[""], name)
			}
		}
	}
	rest := ranges.ReplaceAllString(grouping.ReplaceAllString(quoted.ReplaceAllString(expr, ""), ""), "")
	rest = regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(rest, "")
	rest = regexp.MustCompile(`\boffset\s+\w+`).ReplaceAllString(rest, "")
	rest = regexp.MustCompile(`\b[0-9][0-9a-z.]*`).ReplaceAllString(rest, "")
	for _, found := range identifier.FindAllString(rest, -1) {
		name := strings.TrimSpace(found)
		if strings.HasSuffix(name, "(") || slices.Contains(words, name) {
			continue
		}
		a.metrics = append(a.metrics, name)
	}
	return a
}

// exported are the samples' names of everything, each with its labels and their values.
func exported(t *testing.T) map[string]map[string][]string {
	t.Helper()
	families, err := everything().registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string][]string{}
	for _, f := range families {
		suffixes := map[dto.MetricType][]string{dto.MetricType_HISTOGRAM: {"_bucket", "_sum", "_count"}, dto.MetricType_SUMMARY: {"", "_sum", "_count"}}[f.GetType()]
		if suffixes == nil {
			suffixes = []string{""}
		}
		for _, suffix := range suffixes {
			labels := map[string][]string{"job": nil, "instance": nil} // Prometheus adds them
			if suffix == "_bucket" {
				labels["le"] = nil
			}
			for _, m := range f.GetMetric() {
				for _, l := range m.GetLabel() {
					labels[l.GetName()] = append(labels[l.GetName()], l.GetValue())
				}
			}
			out[f.GetName()+suffix] = labels
		}
	}
	return out
}

// check says what an expression names that is not exported.
func check(expr string, legend string, known map[string]map[string][]string) (problems []string) {
	a := ask(expr)
	if len(a.metrics) == 0 {
		problems = append(problems, "it names no metric")
	}
	for _, name := range a.metrics {
		if known[name] == nil {
			problems = append(problems, "there is no metric "+name)
		}
	}
	has := func(label string) bool {
		return slices.ContainsFunc(a.metrics, func(m string) bool { _, ok := known[m][label]; return ok })
	}
	for metric, labels := range a.labels {
		for _, l := range labels {
			name := strings.FieldsFunc(l, func(r rune) bool { return r == '=' || r == '!' || r == '~' })[0]
			if _, ok := known[metric][name]; metric != "" && !ok || metric == "" && !has(name) {
				problems = append(problems, fmt.Sprintf("%s has no label %s", metric, name))
			}
		}
	}
	for _, l := range legendLabel.FindAllStringSubmatch(legend, -1) {
		if !has(l[1]) {
			problems = append(problems, "its legend names the label "+l[1])
		}
	}
	return problems
}

// TestChecker: what is wrong in an expression is found, so that the tests below can fail.
func TestChecker(t *testing.T) {
	known := exported(t)
	for expr, want := range map[string]string{
		`stategate_readdy == 0`:                              "there is no metric stategate_readdy",
		`sum by (fnction) (rate(stategate_calls_total[5m]))`: " has no label fnction",
		`stategate_calls_total{reslt!~"ok|x"} > 0.1`:         "stategate_calls_total has no label reslt",
		`rate(stategate_call_duration_seconds[5m])`:          "there is no metric stategate_call_duration_seconds",
		`1 + vector(0)`: "it names no metric",
		`histogram_quantile(0.9, sum by (le) (stategate_call_duration_seconds_bucket))`:   "",
		`stategate_ready{job=~"$job"} and on (job, instance) process_cpu_seconds_total`:   "",
		`max_over_time(stategate_dead_letters[15m] offset 15m) or stategate_ready * 1e3 `: "",
	} {
		if got := strings.Join(check(expr, "", known), "; "); got != want {
			t.Errorf("%s: %q, want %q", expr, got, want)
		}
	}
	if got := check(`stategate_ready`, "{{instance}} {{topic}}", known); len(got) != 1 {
		t.Errorf("of a legend: %q", got)
	}
}

// TestDashboard: every panel asks for what a gateway tells, and what it tells of its own is on a panel.
func TestDashboard(t *testing.T) {
	known := exported(t)
	queries, legends := dashboard(t)
	shown := map[string]bool{}
	for title, exprs := range queries {
		for i, expr := range exprs {
			for _, problem := range check(expr, legends[title][i], known) {
				t.Errorf("panel %q: %s: %s", title, expr, problem)
			}
			for _, name := range ask(expr).metrics {
				shown[regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")] = true
			}
		}
	}
	for name := range known {
		if name = regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, ""); strings.HasPrefix(name, namespace+"_") && !shown[name] && !strings.HasSuffix(name, "_dead_letter_bytes") {
			t.Errorf("no panel shows %s", name)
		}
	}
}

// TestAlerts: every rule asks for what a gateway tells, has a section in the runbook, and a case in which it fires.
func TestAlerts(t *testing.T) {
	known := exported(t)
	runbook, err := os.ReadFile("../../../../docs/OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(deploy + "prometheus/alerts_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	var cases struct {
		Tests []struct {
			Checks []struct {
				Name string      `yaml:"alertname"`
				Want []yaml.Node `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		} `yaml:"tests"`
	}
	if err := yaml.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, c := range cases.Tests {
		for _, check := range c.Checks {
			fires[check.Name] = fires[check.Name] || len(check.Want) > 0
			silent[check.Name] = silent[check.Name] || len(check.Want) == 0
		}
	}
	names := map[string]bool{}
	for _, r := range alerts(t) {
		names[r.Alert] = true
		for _, problem := range check(r.Expr, r.Annotations["summary"], known) {
			t.Errorf("%s: %s", r.Alert, problem)
		}
		if want := "docs/OPERATIONS.md#" + strings.ToLower(r.Alert); r.Annotations["runbook"] != want || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s: its annotations are %v; want a summary, a description and the runbook %s", r.Alert, r.Annotations, want)
		}
		if !strings.Contains(string(runbook), "\n### "+r.Alert+"\n") {
			t.Errorf("docs/OPERATIONS.md has no section ### %s", r.Alert)
		}
		if !fires[r.Alert] || !silent[r.Alert] {
			t.Errorf("%s: no case in which it fires, or none in which it is silent", r.Alert)
		}
		if s := r.Labels["severity"]; s != "warning" && s != "critical" {
			t.Errorf("%s: its severity is %q", r.Alert, s)
		}
	}
	for _, section := range regexp.MustCompile(`(?m)^### (Stategate\w+)$`).FindAllStringSubmatch(string(runbook), -1) {
		if !names[section[1]] {
			t.Errorf("docs/OPERATIONS.md has a section for %s, of which there is no alert", section[1])
		}
	}
}

// TestValues: what a rule or a panel compares labels with is a value that they can have. A word that never comes would be an alert that
// never fires.
func TestValues(t *testing.T) {
	possible := map[string][]string{"role": {"active", "standby"}, "level": {"debug", "info", "warn", "error"}, "job": {"$job"}}
	for _, b := range machine.New(machine.Config{}, &statestore.Claim{}, 1).Overview().Bounds {
		possible["bound"] = append(possible["bound"], b.Name)
	}
	manual, err := os.ReadFile("../../../../docs/OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	possible["reason"] = slices.Clone(machine.Pauses)
	for _, kind := range regexp.MustCompile("(?m)^\\| `([a-z]+)` \\|").FindAllSubmatch(manual, -1) {
		possible["reason"] = append(possible["reason"], string(kind[1]))
	}
	hooks, err := os.ReadFile("../../../../dispatcher/hooks.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, result := range regexp.MustCompile(`"([a-z_]+)"`).FindAllSubmatch(hooks, -1) {
		possible["result"] = append(possible["result"], string(result[1]))
	}
	exprs := []string{}
	for _, r := range alerts(t) {
		exprs = append(exprs, r.Expr)
	}
	queries, _ := dashboard(t)
	for _, all := range queries {
		exprs = append(exprs, all...)
	}
	compared := 0
	for _, expr := range exprs {
		for _, l := range matcher.FindAllStringSubmatch(expr, -1) {
			for value := range strings.SplitSeq(strings.Trim(l[3], `"`), "|") {
				compared++
				if !slices.Contains(possible[l[1]], value) {
					t.Errorf("%s: %s is never %q, only %q", expr, l[1], value, possible[l[1]])
				}
			}
		}
	}
	if compared < 50 {
		t.Errorf("only %d values are compared", compared)
	}
}

// TestPromtool has the rules, their cases, and the dashboard's expressions read by Prometheus' own program.
func TestPromtool(t *testing.T) {
	promtool := promtool(t)
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	run("check", "rules", deploy+"prometheus/alerts.yml")
	run("test", "rules", deploy+"prometheus/alerts_test.yml")

	g := group{Name: "dashboard"}
	queries, _ := dashboard(t)
	for _, title := range slices.Sorted(maps.Keys(queries)) {
		for _, expr := range queries[title] {
			g.Rules = append(g.Rules, rule{Record: fmt.Sprintf("r%d", len(g.Rules)), Expr: strings.ReplaceAll(expr, "$__rate_interval", "5m")})
		}
	}
	text, err := yaml.Marshal(rules{Groups: []group{g}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "dashboard.yml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	run("check", "rules", file)
}

// promtool is where scripts/prometheus.sh puts it or finds it.
func promtool(t *testing.T) string {
	t.Helper()
	cache := os.Getenv("STATEGATE_TEST_CACHE")
	if cache == "" {
		cache = "../../../../.cache"
	}
	for _, name := range []string{os.Getenv("STATEGATE_TEST_PROMTOOL"), "promtool", filepath.Join(cache, "promtool", "promtool")} {
		if path, err := exec.LookPath(name); name != "" && err == nil {
			return path
		}
	}
	t.Skip("there is no promtool: run scripts/prometheus.sh")
	return ""
}
