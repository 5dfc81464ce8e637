//go:build unix

package deploytest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	yaml "go.yaml.in/yaml/v3"

	"github.com/stategate/stategate/cmd/gateway/internal/config"
	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

const kubernetes = deploy + "kubernetes/"

// object is what of Kubernetes' objects is looked at here.
type object struct {
	Kind     string
	Metadata metadata
	Spec     struct {
		Replicas int
		Selector yaml.Node
		Strategy struct {
			RollingUpdate struct {
				MaxSurge       int `yaml:"maxSurge"`
				MaxUnavailable int `yaml:"maxUnavailable"`
			} `yaml:"rollingUpdate"`
		}
		Template template
		Ports    []servicePort
	}
}

type metadata struct {
	Name   string
	Labels map[string]string
}

type servicePort struct {
	Name       string
	Port       int
	TargetPort string `yaml:"targetPort"`
}

type template struct {
	Metadata metadata
	Spec     struct {
		Grace      int `yaml:"terminationGracePeriodSeconds"`
		Containers []container
		Volumes    []volume
	}
}

type container struct {
	Name, Image string
	Args        []string
	Env         []struct{ Name string }
	Ports       []struct {
		Name          string
		ContainerPort int `yaml:"containerPort"`
	}
	Liveness  probe `yaml:"livenessProbe"`
	Readiness probe `yaml:"readinessProbe"`
	Lifecycle struct {
		PreStop struct{ Sleep struct{ Seconds int } } `yaml:"preStop"`
	}
	Mounts []struct {
		Name      string
		MountPath string `yaml:"mountPath"`
		ReadOnly  bool   `yaml:"readOnly"`
	} `yaml:"volumeMounts"`
}

type probe struct {
	HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
}

type volume struct {
	Name      string
	ConfigMap *struct{ Name string } `yaml:"configMap"`
	Secret    *struct {
		SecretName string `yaml:"secretName"`
	}
}

func decodeAll(text string) (out []object, err error) {
	d := yaml.NewDecoder(strings.NewReader(text))
	for {
		var o object
		switch err := d.Decode(&o); {
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, err
		}
		out = append(out, o)
	}
}

// manifest is everything of the folder.
type manifest struct {
	customization struct {
		Resources []string
		Images    []struct{ Name string }
		Maps      []struct {
			Name  string
			Files []string
		} `yaml:"configMapGenerator"`
	}
	objects []object
}

func readManifest(folder string) (m manifest, err error) {
	text, err := os.ReadFile(filepath.Join(folder, "kustomization.yaml"))
	if err != nil {
		return m, err
	}
	if err := yaml.Unmarshal(text, &m.customization); err != nil {
		return m, err
	}
	for _, name := range m.customization.Resources {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return m, err
		}
		objects, err := decodeAll(string(text))
		if err != nil {
			return m, fmt.Errorf("%s: %w", name, err)
		}
		m.objects = append(m.objects, objects...)
	}
	return m, nil
}

func (m *manifest) of(kind string) (out []*object) {
	for i := range m.objects {
		if m.objects[i].Kind == kind {
			out = append(out, &m.objects[i])
		}
	}
	return out
}

// selects reports whether a selector, of a Service or of anything else, takes exactly pods with these labels.
func selects(o *object, labels map[string]string) bool {
	var plain map[string]string
	var match struct {
		Labels map[string]string `yaml:"matchLabels"`
	}
	if o.Kind == "Service" {
		return o.Spec.Selector.Decode(&plain) == nil && len(plain) > 0 && maps.Equal(plain, labels)
	}
	return o.Spec.Selector.Decode(&match) == nil && len(match.Labels) > 0 && maps.Equal(match.Labels, labels)
}

// manifestProblems says in what the objects do not fit the program, its settings and one another. settings are those of gateway.yaml.
func manifestProblems(t *testing.T, folder string) (problems []string) {
	t.Helper()
	m, err := readManifest(folder)
	if err != nil {
		return []string{err.Error()}
	}
	deployments := m.of("Deployment")
	if len(deployments) != 1 || len(deployments[0].Spec.Template.Spec.Containers) != 1 {
		return []string{"there is not one Deployment with one container"}
	}
	d := deployments[0]
	pod, c := &d.Spec.Template.Spec, &d.Spec.Template.Spec.Containers[0]
	problems = append(problems, commandProblems(t, c.Args)...)
	say := func(wrong bool, format string, args ...any) {
		if wrong {
			problems = append(problems, fmt.Sprintf(format, args...))
		}
	}
	var names []string
	for _, e := range c.Env {
		names = append(names, e.Name)
	}
	problems = append(problems, variableProblems(names)...)
	settings, problem := settingsOf(folder)
	say(problem != "", "%s", problem)
	grace := time.Duration(pod.Grace-c.Lifecycle.PreStop.Sleep.Seconds) * time.Second
	say(grace < settings.DrainTimeout+5*time.Second, "terminationGracePeriodSeconds leaves %s, and drainTimeout is %s", grace, settings.DrainTimeout)
	say(d.Spec.Replicas < 2, "nobody waits: %d replicas", d.Spec.Replicas)
	say(d.Spec.Strategy.RollingUpdate.MaxUnavailable != 0 || d.Spec.Strategy.RollingUpdate.MaxSurge < 1, "an update stops one before the new one is ready")
	ports := map[string]int{}
	for _, p := range c.Ports {
		ports[p.Name] = p.ContainerPort
	}
	for name, address := range map[string]string{"events": settings.Listen, "admin": settings.Admin} {
		_, port, _ := net.SplitHostPort(address)
		say(strconv.Itoa(ports[name]) != port, "port %s of the container is %d, and the gateway listens at %s", name, ports[name], address)
	}
	say(c.Liveness.HTTPGet.Path != "/healthz" || c.Readiness.HTTPGet.Path != "/readyz" || c.Liveness.HTTPGet.Port != "admin" || c.Readiness.HTTPGet.Port != "admin", "the probes ask elsewhere: %+v, %+v", c.Liveness, c.Readiness)
	for _, o := range append(m.of("Service"), append(m.of("PodDisruptionBudget"), d)...) {
		say(!selects(o, d.Spec.Template.Metadata.Labels), "%s %s does not select the pods", o.Kind, o.Metadata.Name)
		for _, p := range o.Spec.Ports {
			say(ports[p.TargetPort] == 0 || ports[p.TargetPort] != p.Port, "port %s of service %s leads to none of the container", p.Name, o.Metadata.Name)
		}
	}
	say(len(m.of("Service")) != 2 || len(m.of("PodDisruptionBudget")) != 1, "there are other objects than two services and a budget")
	say(len(m.customization.Images) != 1 || m.customization.Images[0].Name != c.Image, "the image %s is not the one that kustomization.yaml names", c.Image)
	return append(problems, volumeProblems(&m, folder, settings)...)
}

// settingsOf are those of gateway.yaml.
func settingsOf(folder string) (c config.Config, problem string) {
	text, err := os.ReadFile(filepath.Join(folder, "gateway.yaml"))
	if err != nil {
		return c, err.Error()
	}
	// The secret of the store is not here: its place is taken by an URL.
	own := filepath.Join(folder, "settings-of-the-test.yaml")
	if err := os.WriteFile(own, storeFile.ReplaceAll(text, []byte("store: postgres://gateway@db/app")), 0o600); err != nil {
		return c, err.Error()
	}
	defer os.Remove(own)
	flags := pflag.NewFlagSet("gateway", pflag.ContinueOnError)
	l := config.Register(flags)
	if err := flags.Parse([]string{"--config", own}); err != nil {
		return c, err.Error()
	}
	c, warnings, err := l.Load(nil)
	if err != nil || len(warnings) > 0 {
		return c, fmt.Sprintf("gateway.yaml: %v %v", err, warnings)
	}
	if found := storeFile.FindSubmatch(text); found != nil {
		c.StoreFile = string(found[1])
	}
	return c, ""
}

var storeFile = regexp.MustCompile(`(?m)^storeFile: (\S+)$`)

// volumeProblems says which files the settings name that nothing brings, and which secrets nobody is told to make.
func volumeProblems(m *manifest, folder string, settings config.Config) (problems []string) {
	pod := &m.of("Deployment")[0].Spec.Template.Spec
	brought := map[string]bool{}
	head, _ := os.ReadFile(filepath.Join(folder, "kustomization.yaml"))
	for _, mount := range pod.Containers[0].Mounts {
		at := slices.IndexFunc(pod.Volumes, func(v volume) bool { return v.Name == mount.Name })
		switch {
		case at < 0:
			problems = append(problems, "there is no volume "+mount.Name)
		case pod.Volumes[at].ConfigMap != nil:
			for _, g := range m.customization.Maps {
				for _, f := range g.Files {
					brought[path.Join(mount.MountPath, f)] = g.Name == pod.Volumes[at].ConfigMap.Name
				}
			}
		case pod.Volumes[at].Secret != nil:
			for _, f := range regexp.MustCompile(`--from-file=(\S+)`).FindAllSubmatch(head, -1) {
				brought[path.Join(mount.MountPath, string(f[1]))] = bytes.Contains(head, []byte("create secret generic "+pod.Volumes[at].Secret.SecretName+" "))
			}
		}
	}
	named := append([]string{settings.StoreFile, settings.ListenTokenFile, settings.AdminTokenFile, settings.AdminReadTokenFile}, settings.Module...)
	args := pod.Containers[0].Args
	named = append(named, args[len(args)-1])
	for _, name := range named {
		if !brought[name] {
			problems = append(problems, "nothing brings the file "+strconv.Quote(name))
		}
		delete(brought, name)
	}
	for name := range brought {
		problems = append(problems, "no setting names the file "+name)
	}
	return problems
}

func copyOf(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	files, err := os.ReadDir(kubernetes)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		write(t, filepath.Join(folder, f.Name()), read(t, kubernetes+f.Name()))
	}
	return folder
}

// TestKubernetes: the objects fit the program, its settings and one another, and the checker finds what does not.
func TestKubernetes(t *testing.T) {
	if problems := manifestProblems(t, copyOf(t)); len(problems) > 0 {
		t.Error(strings.Join(problems, "\n"))
	}
	for name, c := range map[string]struct{ file, old, now string }{
		"a flag": {"deployment.yaml", "--config", "--confg"}, "a probe": {"deployment.yaml", "/healthz", "/health"}, "the time to stop": {"deployment.yaml", "PeriodSeconds: 30", "PeriodSeconds: 10"},
		"a long drain": {"gateway.yaml", "drainTimeout: 10s", "drainTimeout: 1m"}, "a port": {"gateway.yaml", ":8081", ":9090"}, "the port of a service": {"service.yaml", "targetPort: events", "targetPort: http"},
		"a selector": {"service.yaml", "selector: {app.kubernetes.io/name: stategate}", "selector: {app: stategate}"}, "a variable": {"deployment.yaml", "STATEGATE_ADVERTISE", "STATEGATE_ADVERTISED"},
		"a setting": {"gateway.yaml", "adminTokenFile", "adminTokensFile"}, "a secret": {"kustomization.yaml", "--from-file=operators ", ""}, "a file": {"kustomization.yaml", "- gateway.yaml", "- settings.yaml"},
		"a map": {"deployment.yaml", "configMap: {name: stategate}", "configMap: {name: other}"}, "one replica": {"deployment.yaml", "replicas: 2", "replicas: 1"}, "no YAML": {"service.yaml", "spec:", "spec: ]"},
		"an update": {"deployment.yaml", "maxUnavailable: 0", "maxUnavailable: 1"}, "the image": {"kustomization.yaml", "name: stategate # build", "name: gateway # build"},
	} {
		folder := copyOf(t)
		write(t, filepath.Join(folder, c.file), without(t, read(t, filepath.Join(folder, c.file)), c.old, c.now))
		if problems := manifestProblems(t, folder); len(problems) == 0 {
			t.Errorf("%s that is wrong is not found", name)
		}
	}
}

// TestKubernetesModule: the module is one without a warning, and its probes are answered by a gateway that runs.
func TestKubernetesModule(t *testing.T) {
	cmd := exec.Command(testgateway.Binary(t), "check", "--strict", absolute(t, kubernetes+"module.yaml"))
	cmd.Env = testgateway.CleanEnviron("KAFKA=kafka:9092")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
	g := testgateway.New(t, t.TempDir(), "pod", nil, "--store", "memory:", "--module", write(t, filepath.Join(t.TempDir(), "module.yaml"),
		"kind: io.statefun.endpoints.v2/http\nspec: {functions: shop/*, urlPathTemplate: \"http://127.0.0.1:1/\"}\n---\nkind: io.stategate.http.v1/ingress\nspec: {id: shop/api, functions: [shop/*]}\n"))
	g.Open()
	m, err := readManifest(kubernetes)
	if err != nil {
		t.Fatal(err)
	}
	c := m.of("Deployment")[0].Spec.Template.Spec.Containers[0]
	for _, p := range []string{c.Liveness.HTTPGet.Path, c.Readiness.HTTPGet.Path} {
		if status, body, err := g.Get(p); err != nil || status != 200 {
			t.Errorf("%s: %d %s %v", p, status, body, err)
		}
	}
	g.Stop()
}

// TestKustomize makes what kubectl would send, where it is there.
func TestKustomize(t *testing.T) {
	if _, err := exec.LookPath("kubectl"); err != nil {
		t.Skip("NOT RUN: there is no kubectl")
	}
	text, err := exec.Command("kubectl", "kustomize", absolute(t, kubernetes)).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	made := regexp.MustCompile(`(?m)^  name: (stategate-[a-z0-9]{10})$`).FindSubmatch(text)
	if made == nil || !bytes.Contains(text, []byte("configMap:\n          name: "+string(made[1]))) {
		t.Errorf("the Deployment does not name the map that is made:\n%s", text)
	}
}
