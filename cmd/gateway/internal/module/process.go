package module

import (
	"math"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	yaml "go.yaml.in/yaml/v3"
)

// Process is a program that gateway dev runs beside the application: functions, mostly. Nothing else starts it.
type Process struct {
	Place       Place
	Name        string   // before each line of its output
	Command     []string // with its arguments; no shell
	Directory   string   // where it runs: the module's, or as the module says, from there
	Environment map[string]string
	// FreePort is a variable that gets the number of a free port, in this module's placeholders and in the process; "": none. What is
	// in the environment already stays.
	FreePort string
	Ready    Ready
	// RestartAfter is the first pause before it is started again when it has ended; it doubles up to RestartAtMost.
	RestartAfter, RestartAtMost time.Duration
}

// Ready says when a process can be used; one of them is set, or none: at once.
type Ready struct {
	URL  string // that answers 2xx
	Line string // text in a line of its output
	Port int    // of this machine that takes connections
}

const (
	restartAfter  = 500 * time.Millisecond
	restartAtMost = 10 * time.Second
)

var processName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$`)

func (p *parser) process(spec *object) {
	r := Process{Place: p.place(spec.node), RestartAfter: restartAfter, RestartAtMost: restartAtMost, Directory: filepath.Dir(p.file)}
	r.Name = spec.needText("name")
	if n := spec.take("name"); n != nil && r.Name != "" && !processName.MatchString(r.Name) {
		p.complain(n, Error, "name: want up to 40 letters, digits, dots, dashes and underscores, got %s", p.describe(n))
	}
	r.Command = p.command(spec)
	if directory := spec.text("directory", ""); filepath.IsAbs(directory) {
		r.Directory = directory
	} else {
		r.Directory = filepath.Join(r.Directory, directory)
	}
	r.Environment = p.environment(spec)
	r.FreePort = spec.text("freePort", "")
	if n := spec.take("freePort"); n != nil && !isVariable(r.FreePort) {
		p.complain(n, Error, "freePort: want the name of a variable, got %s", p.describe(n))
	}
	if n := spec.take("ready"); n != nil {
		r.Ready = p.ready(n)
	}
	if n := spec.take("restart"); n != nil {
		if o := p.object(n, "restart", Error); o != nil {
			o.ours = true
			r.RestartAfter = o.duration("after", restartAfter, false)
			r.RestartAtMost = max(o.duration("atMost", restartAtMost, false), r.RestartAfter)
			o.close()
		}
	}
	if p.bind("process", r.Name, r.Place) && len(r.Command) > 0 {
		p.module.Processes = append(p.module.Processes, r)
	}
}

func (p *parser) command(spec *object) (words []string) {
	items, ok := spec.list("command", true)
	for _, item := range items {
		if text, ok := p.textOf(item, "command", Error); ok {
			words = append(words, text)
		}
	}
	if ok && (len(items) == 0 || len(words) > 0 && words[0] == "") {
		p.complain(spec.take("command"), Error, "command: want a program and its arguments, as in [go, run, .]")
	}
	return words
}

func (p *parser) environment(spec *object) map[string]string {
	n := spec.take("environment")
	if n == nil {
		return nil
	}
	o := p.object(n, "environment", Error)
	if o == nil {
		return nil
	}
	o.ours = true
	vars := map[string]string{}
	for _, f := range o.keys {
		if !isVariable(f.name) {
			p.complain(f.key, Error, "environment: the key%s is no name of a variable", o.shown(f))
		} else if isNull(f.value) {
			vars[f.name] = ""
		} else if text, ok := p.textOf(f.value, f.name, Error); ok {
			vars[f.name] = text
		}
		o.knows(f.name)
	}
	o.close() // of names given twice
	return vars
}

func (p *parser) ready(n *yaml.Node) (r Ready) {
	o := p.object(n, "ready", Error)
	if o == nil {
		return r
	}
	o.ours = true
	r.URL, r.Line = o.text("url", ""), o.text("line", "")
	r.Port = int(o.number("port", 0, 1, math.MaxUint16))
	if at := o.take("url"); at != nil {
		if u, err := url.Parse(r.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			p.complain(at, Error, "url: want http://HOST:PORT/PATH, got %s", p.describe(at))
		}
	}
	if at := o.take("line"); at != nil && strings.TrimSpace(r.Line) == "" {
		p.complain(at, Error, "line: want text that a line of the output holds, got %s", p.describe(at))
	}
	given := 0
	for _, name := range []string{"url", "line", "port"} {
		if o.has(name) {
			given++
		}
	}
	if given != 1 {
		p.complain(n, Error, "ready: want one of url, line and port, got %d of them", given)
	}
	o.close()
	return r
}
