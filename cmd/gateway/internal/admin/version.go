package admin

import "net/http"

type jsonVersion struct {
	Program   string  `json:"program" about:"gateway"`
	Version   string  `json:"version" about:"of the program, or devel"`
	Commit    string  `json:"commit" about:"that it was built of, with +changes where its copy had some; unknown where nobody wrote it down"`
	GoVersion string  `json:"goVersion" about:"that it was built with"`
	Role      string  `json:"role" about:"active, standby, or starting"`
	Member    string  `json:"member,omitempty" about:"which member this is, drawn at its start; left out, as all that follow, while the store is not open"`
	Host      string  `json:"host,omitempty" about:"name of the machine"`
	PID       int     `json:"pid,omitempty" about:"of its process"`
	Started   *string `json:"started,omitempty" about:"when it was started"`
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
