package endpoint

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseLocation(t *testing.T) {
	type parts struct{ Network, Socket, Host, URI string }
	for url, want := range map[string]parts{
		"http://fn":                         {"tcp", "", "fn", "/"},
		"http://fn:80/x":                    {"tcp", "", "fn", "/x"},
		"http://fn:443/x":                   {"tcp", "", "fn:443", "/x"},
		"https://fn:443/x":                  {"tcp", "", "fn", "/x"},
		"http://[::1]:8000/x?q=1#frag":      {"tcp", "", "[::1]:8000", "/x?q=1"},
		"HTTP://fn/%2e%2E/a%20b":            {"tcp", "", "fn", "/%2e%2E/a%20b"},
		"http+unix:///run/x.sock/fn":        {"unix", "/run/x.sock", "localhost", "/%2Ffn"},
		"https+unix:///run/x.sock/a/b":      {"unix", "/run/x.sock", "localhost", "/%2Fa%2Fb"},
		"http+unix:///a.sock/b.sock/c":      {"unix", "/a.sock", "localhost", "/%2Fb.sock%2Fc"},
		"http+unix:///run/x.sock":           {"unix", "/run/x.sock", "localhost", "/"},
		"http+unix:///run/x.sock/":          {"unix", "/run/x.sock", "localhost", "/"},
		"http+unix:///run/my%20x.sock/a%3F": {"unix", "/run/my x.sock", "localhost", "/%2Fa%3F"},
	} {
		got, err := parseLocation(url)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		if diff := cmp.Diff(want, parts{got.network, got.socket, got.url.Host, got.url.RequestURI()}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", url, diff)
		}
	}
	for url, want := range map[string]string{
		"":                                "scheme",
		"fn:8000/x":                       "must be followed by //",
		"ftp://fn/":                       `scheme "ftp"`,
		"http:///x":                       "the host is missing",
		"http://:80/x":                    "the host is missing",
		"http:fn":                         "must be followed by //",
		"http+unix://run/x.sock/fn":       "three slashes",
		"http+unix:///run/x/fn":           "no segment of the path ends in .sock",
		"http://u:secret@fn:port/":        "invalid port",
		"http://u:secret@fn/\x00":         "control character",
		"http://u:sec\x7fret@fn/":         "control character",
		"http://u:secret@fn /":            "invalid character",
		"http://u:secret@fn/%zz":          "invalid URL escape",
		"http://u:%zzsecret@fn/":          "",
		"http://u:secret#x@fn/":           "written %XX",
		"http://u:secret/x@fn/":           "written %XX",
		"http+unix:///%zzrun/x.sock":      "invalid URL escape",
		"http://[::1/":                    "missing ']'",
		"http://u:secret@[fe80::1%25/x]/": "",
	} {
		_, err := New(Spec{URL: url})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", url, err, want)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error shows the password: %v", url, err)
		}
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fn.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			good(w, []byte(r.RequestURI+" "+string(body)))
		})}}
	server.Start()
	defer server.Close()
	for _, scheme := range []string{"http+unix", "https+unix"} {
		c := client(t, scheme+"://"+path+"/greet/er")
		reply, _, fail := c.Call(within(t, 5*time.Second), []byte("x"))
		if fail != nil || string(reply) != "/%2Fgreet%2Fer x" {
			t.Errorf("%s: got %q, %v", scheme, reply, fail)
		}
	}
	reply, _, fail := client(t, "http+unix:///nowhere/x.sock/fn").Call(within(t, 5*time.Second), []byte("x"))
	wantFailure(t, reply, fail, Unreachable, 0, "no such file")
}

func FuzzParseLocation(f *testing.F) {
	f.Add("http://u:p@fn:80/x?y#z")
	f.Add("http+unix:///run/x.sock/fn/%2F")
	f.Add("http://u:a#b@h/")
	f.Fuzz(func(t *testing.T, raw string) {
		const secret = "hunter2hunter2"
		for _, hidden := range []string{"http://u:" + secret + raw + "@h/", "http://u:" + raw + secret + "@h/x", "http+unix://u:" + secret + "@" + raw, "http://u:" + secret + "@" + raw} {
			if _, err := parseLocation(hidden); err != nil && !strings.Contains(raw, "hunter") && strings.Contains(err.Error(), secret) {
				t.Errorf("%q: the password is told: %v", hidden, err)
			}
		}
		where, err := parseLocation(raw)
		if err != nil {
			return
		}
		if where.url.User != nil || where.url.Host == "" || (where.network == "unix") != (where.socket != "") {
			t.Errorf("%q: got %+v", raw, where)
		}
		if uri := where.url.RequestURI(); strings.ContainsAny(uri, " \r\n\x00") {
			t.Errorf("%q: request line holds %q", raw, uri)
		}
	})
}
