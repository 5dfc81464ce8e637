package admin

import "net/http"

type jsonVersion struct {
	Program   string  `json:"program"`
	Version   string  `json:"version"`
	Commit    string  `json:"commit"`
	GoVersion string  `json:"goVersion"`
	Role      string  `json:"role" about:"active, standby, or starting"`
	Member    string  `json:"member,omitempty"`
	Host      string  `json:"host,omitempty"`
	PID       int     `json:"pid,omitempty"`
	Started   *string `json:"started,omitempty"`
	Store     string  `json:"store,omitempty" about:"without a password"`
	StoreID   string  `json:"storeId,omitempty" about:"drawn when it was created"`
}

// version is answered also before the store is open.
func (h *handler) version(w http.ResponseWriter, _ *http.Request) {
	out := jsonVersion{Program: "gateway", Version: h.Version.Version, Commit: h.Version.Commit, GoVersion: h.Version.Go, Role: "starting"}
	if app, err := h.Gateway.Application(); err == nil {
		about := app.About()
		out.Role, out.Member, out.Host, out.PID = role(about.Active), about.Member.ID, about.Member.Host, about.Member.PID
		out.Started, out.Store, out.StoreID = timestamp(about.Member.Started.UnixMilli()), withoutSecrets(about.Store), about.StoreID
	}
	writeJSON(w, http.StatusOK, out)
}
