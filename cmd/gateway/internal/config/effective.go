package config

// Setting is what counts for one setting, and who says so. It is for people: no password is in it.
type Setting struct {
	Name  string // its key in the file
	Value string // as the file would have it; "": there is none, and no default
	From  string // "default", FILE:LINE, "environment NAME" or "flag --NAME"
}

func environmentOf(variable string) string { return "environment " + variable }

func flagOf(name string) string { return "flag --" + name }

// Settings lists what the last Load, which answered c, has found, in the order of the manual. sizes tells by key what the sizes that are auto
// come to, in bytes.
func (l *Loader) Settings(c Config, sizes map[string]int64) []Setting {
	var out []Setting
	if l.named.text != "" {
		out = append(out, Setting{Name: configFlag, Value: l.named.text, From: l.named.from})
	}
	for i := range settings {
		s := &settings[i]
		now := Setting{Name: s.key, Value: s.standard, From: "default"}
		for _, from := range l.layers {
			if g, ok := from[s.key]; ok {
				now.Value, now.From = g.text, g.from
			}
		}
		switch {
		case s.key == "store":
			now.Value = c.Store.Redacted()
			if c.StoreFile != "" {
				now.From = "file " + c.StoreFile
			}
		case s.key == "storeFile" && c.StoreFile == "":
			now.Value, now.From = "", "default" // what a weaker source says of it does not count
		case now.Value == auto:
			if size, ok := sizes[s.key]; ok {
				now.Value += " (" + formatSize(size) + ")"
			}
		}
		out = append(out, now)
	}
	return out
}
