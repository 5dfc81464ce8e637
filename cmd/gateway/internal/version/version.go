// Package version says which program this is, from what the Go tool wrote into it.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Info names a build.
type Info struct {
	Version string // of the module, "v1.2.3", or "devel" where it was built from a working copy
	Commit  string // the revision, with "+changes" behind it where the working copy had some; "unknown" where nobody wrote it down
	Go      string // of the toolchain, "go1.26.0"
}

// Read asks the running program.
func Read() Info {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		build = &debug.BuildInfo{GoVersion: runtime.Version()}
	}
	return of(build)
}

func of(build *debug.BuildInfo) Info {
	info := Info{Version: build.Main.Version, Commit: "unknown", Go: build.GoVersion}
	if info.Version == "" || info.Version == "(devel)" {
		info.Version = "devel"
	}
	changed := false
	for _, s := range build.Settings {
		switch s.Key {
		case "vcs.revision":
			info.Commit = s.Value
		case "vcs.modified":
			changed = s.Value == "true"
		}
	}
	if changed {
		info.Commit += "+changes"
	}
	return info
}

// String is one line for people.
func (i Info) String() string {
	return fmt.Sprintf("%s, commit %s, %s %s/%s", i.Version, i.Commit, i.Go, runtime.GOOS, runtime.GOARCH)
}
