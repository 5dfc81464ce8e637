package module

import "testing"

func TestRedact(t *testing.T) {
	for text, want := range map[string]string{
		"http://h:1/{function.name}": "http://h:1/{function.name}",
		"http://u:p@h/a@b":           "http://***@h/a@b",
		"http://u:p@h/x?k=v#f":       "http://***@h/x?***",
		"http://u:a/b@h/":            "http://***@h/",
		"u:p@h:80":                   "***@h:80",
		"http:u:p@h":                 "***@h",
		"//u:p@h/x":                  "***@h/x",
		"u:p@http://h/x":             "***@http://h/x",
		"h/x?token=1":                "h/x?***",
		"functions:8000/x":           "functions:8000/x",
		"io.statefun.kafka.v1/x":     "io.statefun.kafka.v1/x",
	} {
		if got := redact(text); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	for key, want := range map[string]string{
		"colour": `"colour"`, "password=x": `"password=***"`, "S3@p:1": `"***@p:1"`, "proxy=http://u:p@h": `"proxy=***"`, "u:p@h=x": `"***@h=***"`, "pw=a@b": `"pw=***"`,
	} {
		if got := quoteKey(key); got != want {
			t.Errorf("key %s: got %s, want %s", key, got, want)
		}
	}
	for text, want := range map[string]string{
		"a${B}c": "a${B}c", "${B:-x}": "${B...}", "${B:-${C}}y": "${B...}y", "$${B:-x}": "$${B:-x}", "${1x}": "${...}", "${B": "${...", "${A}${B-x}": "${A}${B...}",
	} {
		if got := withoutDefaults(text); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}
