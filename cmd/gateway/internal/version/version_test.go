package version

import (
	"runtime/debug"
	"strings"
	"testing"
)

func TestOf(t *testing.T) {
	vcs := func(revision, modified string) []debug.BuildSetting {
		return []debug.BuildSetting{{Key: "vcs.revision", Value: revision}, {Key: "vcs.modified", Value: modified}}
	}
	for _, c := range []struct {
		build debug.BuildInfo
		want  Info
	}{
		{debug.BuildInfo{GoVersion: "go1.26.0"}, Info{"devel", "unknown", "go1.26.0"}},
		{debug.BuildInfo{GoVersion: "go1.26.0", Main: debug.Module{Version: "(devel)"}, Settings: vcs("abc", "true")}, Info{"devel", "abc+changes", "go1.26.0"}},
		{debug.BuildInfo{GoVersion: "go1.26.0", Main: debug.Module{Version: "v1.2.3"}, Settings: vcs("abc", "false")}, Info{"v1.2.3", "abc", "go1.26.0"}},
	} {
		if got := of(&c.build); got != c.want {
			t.Errorf("got %+v, want %+v", got, c.want)
		}
	}
}

func TestRead(t *testing.T) {
	if got := Read(); !strings.HasPrefix(got.Go, "go") || got.Version == "" || got.Commit == "" {
		t.Errorf("got %+v", got)
	}
}
