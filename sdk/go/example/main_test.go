package main

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

// serve runs the program until the test ends and answers the URL that it listens on.
func serve(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	urls, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- run(ctx, "127.0.0.1:0", slog.New(slog.DiscardHandler), func(url string) { urls <- url })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("ended with %v, want nil", err)
		}
	})
	select {
	case url := <-urls:
		return url
	case err := <-ended:
		ended <- err
		t.Fatalf("ended before it listened: %v", err)
		return ""
	}
}

// field is a length-delimited protobuf field; the test writes its requests by hand, as a gateway in another language would.
func field(number uint64, parts ...string) string {
	b := strings.Join(parts, "")
	head := binary.AppendUvarint(binary.AppendUvarint(nil, number<<3|2), uint64(len(b)))
	return string(head) + b
}

func call(t *testing.T, url, function, id, state, typename, value string) string {
	t.Helper()
	request := field(1, field(1, "example"), field(2, function), field(3, id)) + state +
		field(3, field(2, field(1, typename), "\x10\x01", field(3, value)))
	response, err := http.Post(url+"/statefun", "application/octet-stream", strings.NewReader(field(100, request)))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	reply, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("got %s %q, %v", response.Status, reply, err)
	}
	return string(reply)
}

func TestSample(t *testing.T) {
	url := serve(t)
	check := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", what, hex.EncodeToString([]byte(got)), hex.EncodeToString([]byte(want)))
		}
	}
	const visitType, intType, greetingType = "example.types/visit", "io.statefun.types/int", "example.types/greeting"
	seenMissing := field(1, field(1, "seen"), field(3, intType))
	check("no state yet", call(t, url, "visits", "ann", "", visitType, "/a"), field(101, seenMissing))

	state := func(n string) string { return field(2, field(1, "seen"), field(2, field(1, intType), "\x10\x01", n)) }
	result := field(1, "\x08\x01", field(2, "seen"), field(3, field(1, intType), "\x10\x01", field(3, "\x0d\x03\x00\x00\x00"))) +
		field(2, field(1, field(1, "example"), field(2, "greeter"), field(3, "ann")),
			field(2, field(1, greetingType), "\x10\x01", field(3, `{"visit":3,"page":"/a"}`)))
	check("third visit", call(t, url, "visits", "ann", state(field(3, "\x0d\x02\x00\x00\x00")), visitType, "/a"), field(100, result))

	record := field(1, "ann") + field(2, "Welcome back, ann! Visit 3: /a") + field(3, "greetings")
	result = field(4, field(1, "example"), field(2, "greetings"),
		field(3, field(1, "type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord"), "\x10\x01", field(3, record)))
	check("greeting", call(t, url, "greeter", "ann", "", greetingType, `{"visit":3,"page":"/a"}`), field(100, result))
}

func TestPortInUse(t *testing.T) {
	url := serve(t)
	err := run(context.Background(), url[len("http://"):], slog.New(slog.DiscardHandler), func(string) { t.Error("listens") })
	if err == nil {
		t.Error("got no error on a port in use")
	}
}

func TestGreeting(t *testing.T) {
	for want, g := range map[string]Greeting{
		"Welcome, ann! Visit 1: /a":      {Visit: 1, Page: "/a"},
		"Welcome back, ann! Visit 2: /b": {Visit: 2, Page: "/b"},
	} {
		if got := g.text("ann"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
