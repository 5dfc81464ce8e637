//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// reportVersion is raised when a report can no longer be compared with those before.
const reportVersion = 1

// report is what a run of the benchmark leaves behind.
type report struct {
	Version int       `json:"version"`
	Began   time.Time `json:"began"`
	Took    string    `json:"took"`
	Commit  string    `json:"commit"`
	Command []string  `json:"command"`
	Machine machine   `json:"machine"`
	Cells   []*cell   `json:"cells"`
	// Judgement is what must be known to read the figures: what was found out about the floors, what was not what it was meant to be,
	// what was left out.
	Judgement string `json:"judgement,omitempty"`
}

// machine says where it was measured: absolute figures of two machines cannot be compared.
type machine struct {
	CPU    string  `json:"cpu"`
	CPUs   int     `json:"cpus"`
	MiB    int     `json:"mib"`
	Kernel string  `json:"kernel"`
	Go     string  `json:"go"`
	Load   float64 `json:"load"` // of the last minute, when the run began
}

func newReport() *report {
	return &report{Version: reportVersion, Began: time.Now().UTC().Truncate(time.Second), Commit: commit(), Command: os.Args[1:], Machine: here()}
}

// cell answers the report's cell of that identity.
func (r *report) cell(like cell) *cell {
	i := slices.IndexFunc(r.Cells, func(c *cell) bool { return c.id() == like.id() })
	if i < 0 {
		like.Measures = map[string][]float64{}
		r.Cells, i = append(r.Cells, &like), len(r.Cells)
	}
	return r.Cells[i]
}

// add keeps the values of one run.
func (r *report) add(like cell, values map[string]float64) {
	c := r.cell(like)
	for name, v := range values {
		c.Measures[name] = append(c.Measures[name], v)
	}
}

// note adds a line to the judgement.
func (r *report) note(format string, args ...any) {
	if r.Judgement != "" {
		r.Judgement += "\n"
	}
	r.Judgement += fmt.Sprintf(format, args...)
}

// find answers the median of a measure, and whether there is one.
func (r *report) find(like cell, name string) (float64, bool) {
	for _, c := range r.Cells {
		if c.id() == like.id() && len(c.Measures[name]) > 0 {
			return c.median(name), true
		}
	}
	return 0, false
}

func (r *report) write(path string) error {
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

func readReport(path string) (*report, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := &report{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if r.Version != reportVersion {
		return nil, fmt.Errorf("read %s: %w: version %d, this program writes %d", path, errors.ErrUnsupported, r.Version, reportVersion)
	}
	return r, nil
}

// commit is what was measured, "" outside of a repository.
func commit() string {
	text, err := exec.Command("git", "describe", "--always", "--dirty").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

func here() machine {
	m := machine{CPUs: runtime.NumCPU(), Go: runtime.Version()}
	m.CPU = lineOf("/proc/cpuinfo", "model name\t: ")
	if kernel, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(kernel))
	}
	var kib int
	if _, err := fmt.Sscan(lineOf("/proc/meminfo", "MemTotal:"), &kib); err == nil {
		m.MiB = kib / 1024
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		_, _ = fmt.Sscan(string(text), &m.Load)
	}
	return m
}

// lineOf answers what follows a text at the beginning of a line.
func lineOf(path, begin string) string {
	text, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, begin); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}
