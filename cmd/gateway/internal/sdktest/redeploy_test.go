//go:build unix

package sdktest

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestRedeployedWithAnotherExpiration: states without an expiration get one with a new version of the application, and what the old one
// has written is gone when its time is over. The SDKs ask for states by name only, so they would never tell; StateFun itself cannot
// switch expiration on or off.
func TestRedeployedWithAnotherExpiration(t *testing.T) {
	for _, language := range []string{"python", "javascript"} {
		t.Run(language, func(t *testing.T) {
			w := newWorld(t, language, "sqlite:"+filepath.Join(t.TempDir(), "stategate.db"))
			w.deploy("EXPIRATION=0", func() {}) // before it was called for the first time
			w.send(t, "expiring", "a", "set 1")
			w.out.expect(t, "out-expiring", "a", "1 written=x called=x")

			restart := func() { w.gateway.Stop(); w.gateway.Start() }
			w.deploy("EXPIRATION=0", restart)
			w.send(t, "expiring", "a", "show 2")
			w.out.expect(t, "out-expiring", "a", "1 written=x called=x", "2 written=x called=x")

			w.deploy("EXPIRATION=1", restart)
			w.send(t, "expiring", "a", "show 3")
			w.out.expect(t, "out-expiring", "a", "1 written=x called=x", "2 written=x called=x", "3 written=- called=-")
			w.finish(t)
		})
	}
}

// deploy starts the application anew with another setting; meanwhile something is done.
func (w *world) deploy(setting string, meanwhile func()) {
	w.app.t.Helper()
	w.app.kill()
	meanwhile()
	name, _, _ := strings.Cut(setting, "=")
	w.app.env = append(slices.DeleteFunc(w.app.env, func(s string) bool { return strings.HasPrefix(s, name+"=") }), setting)
	w.app.start()
}
