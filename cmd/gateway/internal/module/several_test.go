package module

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestSeveral reads each folder of testdata/module/several as one application, as StateFun's image reads /opt/statefun/modules, and
// compares what TestFixtures compares.
func TestSeveral(t *testing.T) {
	const several = fixtures + "/several"
	entries, err := os.ReadDir(several)
	if err != nil {
		t.Fatal(err)
	}
	folders := 0
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		folders++
		t.Run(e.Name(), func(t *testing.T) {
			m, complaints := Load(several+"/"+e.Name(), environment)
			got := complaints.String()
			if m != nil {
				for _, file := range m.Files() {
					got += "file " + file + "\n"
				}
				got += "\n" + m.Summary() + "\n" + render(m)
			}
			if complaints.HasErrors() == (m != nil) {
				t.Errorf("module %v with errors %v", m != nil, complaints.HasErrors())
			}
			compare(t, filepath.Join(several, e.Name()+".txt"), strings.ReplaceAll(got, several+"/", ""))
		})
	}
	if folders < 5 {
		t.Errorf("%d folders", folders)
	}
}

func put(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	anEndpoint = "kind: io.statefun.endpoints.v2/http\nspec: {functions: a/*, urlPathTemplate: 'http://h/'}\n"
	anIngress  = hostileHead + "  topics: [{topic: t, valueType: v, targets: [a/f]}]\n"
)

// TestLocations: what StateFun's settings write before a path is left out, several paths are one application, and a file that is
// named twice is read once.
func TestLocations(t *testing.T) {
	folder := t.TempDir()
	endpoints, ingresses := put(t, filepath.Join(folder, "e ndpoints.yaml"), anEndpoint), put(t, filepath.Join(folder, "apps/in/module.yaml"), anIngress)
	if err := os.Symlink(endpoints, filepath.Join(folder, "apps/module.yaml")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(folder)
	link := filepath.Join("apps", "module.yaml")
	for _, c := range []struct{ locations, want []string }{
		{[]string{endpoints, ingresses}, []string{endpoints, ingresses}},
		{[]string{"file://" + strings.ReplaceAll(endpoints, " ", "%20"), "file:" + ingresses}, []string{endpoints, ingresses}},
		{[]string{"classpath:e ndpoints.yaml", "classpath:apps/in"}, []string{"e ndpoints.yaml", "apps/in/module.yaml"}},
		{[]string{"apps"}, []string{link, "apps/in/module.yaml"}},
		{[]string{"apps/"}, []string{link, "apps/in/module.yaml"}},
		{[]string{"file://" + folder + "/apps"}, []string{filepath.Join(folder, link), ingresses}},
		{[]string{"apps/in", "apps", "./apps/in/module.yaml", "e ndpoints.yaml"}, []string{"apps/in/module.yaml", link}},
	} {
		m, complaints := LoadAll(c.locations, nil)
		if m == nil {
			t.Errorf("%q:\n%s", c.locations, complaints)
			continue
		}
		if diff := cmp.Diff(c.want, m.Files()); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.locations, diff)
		}
		if len(m.Endpoints) != 1 || len(m.KafkaIngresses) != 1 || len(complaints) > 0 {
			t.Errorf("%q: %s%s", c.locations, m.Summary(), complaints)
		}
	}
}

// TestLocationsThatAreNone: each is named, and what the rest has to say is said too.
func TestLocationsThatAreNone(t *testing.T) {
	folder := t.TempDir()
	in, bad := put(t, filepath.Join(folder, "in.yaml"), anIngress), put(t, filepath.Join(folder, "bad.yaml"), "kind: a/b\nspec: {}\n")
	empty := filepath.Join(folder, "empty")
	put(t, filepath.Join(empty, "sub/other.yaml"), "")
	put(t, filepath.Join(empty, ".hidden/module.yaml"), anEndpoint)
	if err := os.MkdirAll(filepath.Join(empty, "module.yaml"), 0o755); err != nil { // a folder of this name
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(empty, "broken")); err != nil {
		t.Fatal(err)
	}
	none := filepath.Join(folder, "none.yaml")
	m, complaints := LoadAll([]string{none, bad, "classpath:" + empty, in}, nil)
	want := bad + `:1:7: unknown kind "a/b": known are ` + strings.Join(kinds, ", ") + "\n" +
		empty + ":1:1: read the module: it is a folder with neither module.yaml nor */module.yaml\n" +
		none + ":1:1: read the module: no such file or directory\n"
	if diff := cmp.Diff(want, complaints.String()); diff != "" || m != nil {
		t.Errorf("module %v (-want +got):\n%s", m != nil, diff)
	}
	if m, complaints := LoadAll(nil, nil); m != nil || !strings.Contains(complaints.String(), "no ingress") {
		t.Errorf("nothing: %v, %s", m, complaints)
	}
}

// TestLocationsThatAreNoFiles: a pipe that nobody writes holds nobody up, and a file of another machine is not taken for one of this.
func TestLocationsThatAreNoFiles(t *testing.T) {
	folder := t.TempDir()
	pipe := filepath.Join(folder, "app", fileName)
	if err := os.Mkdir(filepath.Dir(pipe), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	in := put(t, filepath.Join(folder, "in.yaml"), anEndpoint+"---\n"+anIngress)
	for location, want := range map[string]string{
		pipe:                    pipe + ":1:1: read the module: it is no regular file\n",
		filepath.Dir(pipe):      pipe + ":1:1: read the module: it is no regular file\n",
		folder:                  pipe + ":1:1: read the module: it is no regular file\n",
		os.DevNull:              os.DevNull + ":1:1: read the module: it is no regular file\n",
		"file://host" + in:      "file://host" + in + ":1:1: read the module: what stands behind file:// is the name of a machine, and only files of this one are read: want file:///PATH\n",
		"file://in.yaml":        "file://in.yaml:1:1: read the module: what stands behind file:// is the name of a machine, and only files of this one are read: want file:///PATH\n",
		"file://localhost" + in: "",
		"file://" + in:          "",
	} {
		done := make(chan string)
		go func() {
			_, complaints := Load(location, nil)
			done <- complaints.String()
		}()
		select {
		case got := <-done:
			if got != want {
				t.Errorf("%s: got %s, want %s", location, got, want)
			}
		case <-time.After(90 * time.Second):
			t.Fatalf("%s holds the program up", location)
		}
	}
}

// TestSeveralAreBounded: not only each file.
func TestSeveralAreBounded(t *testing.T) {
	folder := t.TempDir()
	for i := range filesMax + 1 {
		put(t, filepath.Join(folder, fmt.Sprintf("m%04d", i), fileName), "")
	}
	if _, complaints := Load(folder, nil); !strings.Contains(complaints.String(), "more than 1000 files") {
		t.Errorf("many files: %s", complaints)
	}
	folder = t.TempDir()
	large := "#" + strings.Repeat("x", fileBytesMax-1)
	for i := range moduleBytesMax/fileBytesMax + 2 {
		put(t, filepath.Join(folder, fmt.Sprint(i), fileName), large)
	}
	_, complaints := Load(folder, nil)
	if said := complaints.Errors(); len(said) != 1 || said[0].File != filepath.Join(folder, "2", fileName) || !strings.Contains(said[0].Text, "together are larger") {
		t.Errorf("large files: %s", complaints)
	}
}

// TestOrderOfFiles: what follows from the order is the same each time.
func TestOrderOfFiles(t *testing.T) {
	folder := t.TempDir()
	put(t, filepath.Join(folder, "in", fileName), anIngress)
	for _, name := range []string{"c", "a", "b"} {
		put(t, filepath.Join(folder, name, fileName), strings.ReplaceAll(anEndpoint, "a/*", name+"/*"))
	}
	m, complaints := Load(folder, nil)
	if m == nil {
		t.Fatal(complaints)
	}
	var got []string
	for _, e := range m.Endpoints {
		got = append(got, e.Functions.Namespace)
	}
	if !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("got %v", got)
	}
}
