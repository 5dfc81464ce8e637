package admin

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/stategate/stategate/cmd/gateway/internal/report"
)

// effective are the routes that tell what the gateway was given.
func (h *handler) effective() []route {
	after, limit := parameter{Name: "after", About: "next of the page before"}, parameter{Name: "limit", About: "at most so many", Number: true}
	return []route{
		{Method: http.MethodGet, Path: "/v1/module", About: "the module as it counts: each setting with its value and where that comes from, and what has changed",
			Query: []parameter{after, limit}, Answer: jsonModule{}, Serve: h.ask(askModule)},
		{Method: http.MethodGet, Path: "/v1/settings", About: "the settings of the deployment as they count, and which flag, variable or file says so",
			Query: []parameter{after, limit}, Answer: list[jsonSetting]{}, Serve: h.bounded(h.settings)},
	}
}

type jsonModule struct {
	Files []string        `json:"files" about:"that were read, in this order"`
	Items []jsonComponent `json:"items" about:"its endpoints, ingresses and egresses"`
	Next  *string         `json:"next" about:"what to give as after for more; null at the end"`
	// Compared is false until the store has been asked what the module was before.
	Compared bool         `json:"compared" about:"whether it is known what has changed"`
	Changes  []jsonChange `json:"changes" about:"what is not as it was in the module before this"`
	More     int          `json:"moreChanges" about:"how many changes are not listed"`
	Since    *string      `json:"since" about:"the last start with the module before; null: there was none"`
	Changed  *string      `json:"changed" about:"the first start with this module; null: there was no other before"`
}

type jsonComponent struct {
	Kind     string            `json:"kind" about:"endpoint, ingress or egress"`
	ID       string            `json:"id" about:"namespace/name; of an endpoint, the functions that it serves"`
	At       string            `json:"at" about:"FILE:LINE"`
	Settings []jsonModuleValue `json:"settings" about:"all that counts for it, the defaults too"`
}

type jsonModuleValue struct {
	Path  string `json:"path" about:"where it stands in the spec of the component, as in transport.timeouts.call"`
	Value string `json:"value" about:"*** stands for what may be a secret"`
	From  string `json:"from" about:"default, or FILE:LINE with the placeholders there"`
}

type jsonChange struct {
	Kind string  `json:"kind" about:"endpoint, ingress or egress"`
	ID   string  `json:"id" about:"namespace/name; of an endpoint, the functions that it serves"`
	Path string  `json:"path" about:"empty where the component itself came or went"`
	Was  *string `json:"was" about:"null: it was not there"`
	Is   *string `json:"is" about:"null: it is there no more"`
}

type jsonSetting struct {
	Name  string `json:"name" about:"as in the file of settings"`
	Value string `json:"value" about:"*** stands for what may be a secret"`
	From  string `json:"from" about:"default, FILE:LINE, environment NAME or flag --NAME"`
}

// moduleBytesMax bounds the settings of one page, about; one component is always there.
const moduleBytesMax = 8 << 20

func askModule(_ context.Context, app Application, r *http.Request) (any, error) {
	m := app.Module()
	from, limit, err := askedPart(r, len(m.Components), len(m.Components))
	if err != nil {
		return nil, problem{http.StatusBadRequest, err.Error(), "want ?after=NEXT&limit=NUMBER, both optional"}
	}
	out := jsonModule{Files: append([]string{}, m.Files...), Items: []jsonComponent{}, Compared: m.Compared, Changes: []jsonChange{}, More: m.More, Since: timeOrNull(m.Since), Changed: timeOrNull(m.Changed)}
	left := moduleBytesMax
	for i := from; i < len(m.Components); i++ {
		if len(out.Items) == limit || left <= 0 {
			out.Next = nextNumber(uint64(i))
			break
		}
		item := componentOf(&m.Components[i])
		for _, s := range item.Settings {
			left -= len(s.Path) + len(s.Value) + len(s.From) + settingOverhead
		}
		out.Items = append(out.Items, item)
	}
	for _, c := range m.Changes {
		change := jsonChange{Kind: c.Kind, ID: c.ID, Path: c.Name, Was: &c.Was, Is: &c.Is}
		if c.Was == "" {
			change.Was = nil
		}
		if c.Is == "" {
			change.Is = nil
		}
		out.Changes = append(out.Changes, change)
	}
	return out, nil
}

const settingOverhead = 100 // bytes of the form of a setting, about

func componentOf(c *report.Component) jsonComponent {
	out := jsonComponent{Kind: c.Kind, ID: c.ID, At: c.At, Settings: make([]jsonModuleValue, 0, len(c.Settings))}
	for _, s := range c.Settings {
		out.Settings = append(out.Settings, jsonModuleValue{Path: s.Name, Value: s.Value, From: s.From})
	}
	return out
}

// settings are known before the store is open.
func (h *handler) settings(w http.ResponseWriter, r *http.Request) {
	var all []report.Setting
	if h.Settings != nil {
		all = h.Settings()
	}
	from, limit, err := askedPart(r, len(all), pageMax)
	if err != nil {
		write(w, problem{http.StatusBadRequest, err.Error(), fmt.Sprintf("want ?after=NEXT&limit=NUMBER, both optional; limit is at most %d", pageMax)})
		return
	}
	out := list[jsonSetting]{Items: []jsonSetting{}}
	for _, s := range all[from:min(len(all), from+limit)] {
		out.Items = append(out.Items, jsonSetting(s))
	}
	if from+limit < len(all) {
		out.Next = nextNumber(uint64(from + limit))
	}
	writeJSON(w, http.StatusOK, out)
}

// askedPart reads which part of a list is asked for; without a limit it is standard.
func askedPart(r *http.Request, length, standard int) (from, limit int, err error) {
	query, err := strictQuery(r, "after", "limit")
	if err != nil {
		return 0, 0, err
	}
	if text, ok := query["after"]; ok {
		if from, err = strconv.Atoi(text); err != nil || from < 0 || from > length {
			return 0, 0, fmt.Errorf("after is not the next of a page before")
		}
	}
	limit = cmp.Or(standard, 1)
	if _, ok := query["limit"]; ok {
		if limit, err = limitOf(query); err != nil {
			return 0, 0, err
		}
	}
	return from, limit, nil
}

func timeOrNull(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return timestamp(t.UnixMilli())
}
