package module

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Change is a setting that is not what it was.
type Change struct {
	Kind, ID string
	Path     string // "": the component itself came or went
	Was, Is  string // as Setting.Value has it; "": it was not there, or is there no more
}

// Snapshot is what is kept of a module to tell later what has changed.
type Snapshot struct {
	items []keptItem
}

type keptItem struct {
	Kind     string        `json:"kind"`
	ID       string        `json:"id"`
	Settings []keptSetting `json:"settings"`
}

type keptSetting struct {
	Path   string `json:"path"`
	Value  string `json:"value"`
	Digest string `json:"digest,omitempty"` // of what the value does not show
}

// digestBits are too few to tell a secret by: one of 4,096 texts has the same. So one of 4,096 changes of a secret goes unseen, and whoever
// reads the store, or a copy of it, learns no password, also not a weak one by trying all that there are: as many of them fit.
const digestBits = 12

// digest is that of a secret, other in each store and for each setting.
func digest(salt, kind, id, path, secret string) string {
	mac := hmac.New(sha256.New, []byte(salt))
	for _, part := range []string{kind, id, path, secret} {
		_, _ = fmt.Fprintf(mac, "%d:%s", len(part), part)
	}
	sum := mac.Sum(nil)
	return hex.EncodeToString(sum[:2])[:digestBits/4]
}

// Snapshot takes one of what counts now. salt is the store's own, and the same at each start.
func (m *Module) Snapshot(salt string) Snapshot {
	s := Snapshot{items: make([]keptItem, 0, len(m.items))}
	for _, item := range m.items {
		kept := keptItem{Kind: item.Kind, ID: item.ID, Settings: make([]keptSetting, 0, len(item.Settings))}
		for _, set := range item.Settings {
			k := keptSetting{Path: set.Path, Value: set.Value}
			if set.hidden != "" {
				k.Digest = digest(salt, item.Kind, item.ID, set.Path, set.hidden)
			}
			kept.Settings = append(kept.Settings, k)
		}
		s.items = append(s.items, kept)
	}
	return s
}

// Since lists what is not as it was in a former snapshot with the same salt, in the order of s; what is there no more comes last.
func (s Snapshot) Since(former Snapshot) []Change {
	type name struct{ kind, id string }
	before := map[name]*keptItem{}
	for i := range former.items {
		before[name{former.items[i].Kind, former.items[i].ID}] = &former.items[i]
	}
	var out []Change
	for i := range s.items {
		item := &s.items[i]
		was, there := before[name{item.Kind, item.ID}]
		delete(before, name{item.Kind, item.ID})
		if !there {
			out = append(out, Change{Kind: item.Kind, ID: item.ID, Is: "declared"})
			continue
		}
		out = append(out, item.since(was)...)
	}
	for i := range former.items {
		if item := &former.items[i]; before[name{item.Kind, item.ID}] == item {
			out = append(out, Change{Kind: item.Kind, ID: item.ID, Was: "declared"})
		}
	}
	return out
}

func (item *keptItem) since(former *keptItem) (out []Change) {
	before := map[string]keptSetting{}
	for _, set := range former.Settings {
		before[set.Path] = set
	}
	for _, set := range item.Settings {
		was := before[set.Path]
		delete(before, set.Path)
		if was == set {
			continue
		}
		c := Change{Kind: item.Kind, ID: item.ID, Path: set.Path, Was: was.Value, Is: set.Value}
		if was.Value == set.Value {
			if set.Value == "" {
				continue // a setting that one program knows and another does not
			}
			c.Is += " (changed)"
		}
		out = append(out, c)
	}
	for _, set := range former.Settings {
		if was, ok := before[set.Path]; ok && was == set && set.Value != "" {
			out = append(out, Change{Kind: item.Kind, ID: item.ID, Path: set.Path, Was: set.Value})
		}
	}
	return out
}

// MarshalJSON is the form in which it is kept.
func (s Snapshot) MarshalJSON() ([]byte, error) { return json.Marshal(s.items) }

// UnmarshalJSON reads it.
func (s *Snapshot) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &s.items) }
