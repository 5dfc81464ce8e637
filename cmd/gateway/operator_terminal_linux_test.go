package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// terminal is a pair of ends: what a person sees and types at, and what a program has.
type terminal struct {
	t       *testing.T
	person  *os.File
	program *os.File
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("NOT RUN: no terminal can be made: %v", err)
	}
	t.Cleanup(func() { person.Close() })
	var locked, number int32
	for request, value := range map[uintptr]*int32{syscall.TIOCSPTLCK: &locked, syscall.TIOCGPTN: &number} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, person.Fd(), request, uintptr(unsafe.Pointer(value))); errno != 0 {
			t.Skipf("NOT RUN: no terminal can be made: %v", errno)
		}
	}
	program, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("NOT RUN: no terminal can be made: %v", err)
	}
	t.Cleanup(func() { program.Close() })
	return &terminal{t, person, program}
}

// call runs a command line at the terminal, where a person types.
func (x *terminal) call(typed string, args ...string) (code int, stdout, seen string) {
	x.t.Helper()
	if _, err := x.person.WriteString(typed); err != nil {
		x.t.Fatal(err)
	}
	const end = "\x04end of the test\x04"
	screen := make(chan string)
	go func() {
		var all bytes.Buffer
		chunk := make([]byte, 4096)
		for !strings.Contains(all.String(), end) {
			n, err := x.person.Read(chunk)
			if err != nil {
				break
			}
			all.Write(chunk[:n])
		}
		text, _, _ := strings.Cut(all.String(), end)
		screen <- strings.ReplaceAll(text, "\r\n", "\n")
	}()
	var out bytes.Buffer
	root := newRoot()
	root.SetIn(x.program)
	code = executeRoot(x.t.Context(), root, args, &out, x.program)
	if _, err := x.program.WriteString(end); err != nil {
		x.t.Fatal(err)
	}
	return code, out.String(), <-screen
}

// What cannot be taken back is asked for on a terminal, and only yes is yes.
func TestOperatorIsAsked(t *testing.T) {
	f := newFakeAdmin(t)
	x := newTerminal(t)
	f.says("POST /v1/egresses/shop/out/lanes/0/decide", "")
	f.says("GET /v1/egresses/shop/out", `{"egress":"shop/out","declared":true,"lanes":[{"slot":0,"next":3,"halted":"cursor lost"}]}`)
	for _, no := range []string{"no\n", "\n", "y\n", "\x04"} {
		code, stdout, seen := x.call(no, "egresses", "decide", "shop/out", "--deliver", "new")
		if got := f.changes(); code != exitFailed || len(got) > 0 || stdout != "" || !strings.Contains(seen, "What is stored of lane 0 of shop/out is never delivered: some may be missing. Type yes: ") || !strings.Contains(seen, "gateway: nothing is done") {
			t.Errorf("%q: exit %d, asked %q, stdout %q, seen %q", no, code, got, stdout, seen)
		}
	}
	code, stdout, _ := x.call("yes\n", "egresses", "decide", "shop/out", "--deliver", "new")
	if got := f.changes(); code != exitDone || len(got) != 1 || stdout != "lane 0 of shop/out goes on\n" {
		t.Errorf("exit %d, asked %q, stdout %q", code, got, stdout)
	}
}

// Without a number skip shows the message at the front, and skips that one.
func TestOperatorSkipsWhatItShows(t *testing.T) {
	f := newFakeAdmin(t)
	x := newTerminal(t)
	f.says("GET /v1/addresses/shop/cart/ada", `{"address":{"namespace":"shop","name":"cart","id":"ada"},"mailbox":{"messages":3,"stored":0,"front":{"number":17,"caller":null,"typeName":"x/y\u001b[2J","bytes":12}}}`)
	f.says("POST /v1/addresses/shop/cart/ada/skip", "")
	code, stdout, seen := x.call("yes\n", "addresses", "skip", "shop/cart", "ada")
	if got := f.changes(); code != exitDone || !slices.Equal(got, []string{`POST /v1/addresses/shop/cart/ada/skip {"message":17}`}) || !strings.Contains(seen, `message 17: $'x/y\033[2J' of 12B`) || !strings.Contains(stdout, "message 17 of shop/cart ada is set aside") {
		t.Errorf("exit %d, asked %q, stdout %q, seen %q", code, got, stdout, seen)
	}
	f.says("GET /v1/addresses/shop/cart/ada", `{"address":{"namespace":"shop","name":"cart","id":"ada"},"mailbox":{"messages":0,"stored":0,"front":null}}`)
	code, _, seen = x.call("", "addresses", "skip", "shop/cart", "ada")
	if got := f.changes(); code != exitFailed || len(got) > 0 || !strings.Contains(seen, "no message is known to be at the front of shop/cart ada") {
		t.Errorf("exit %d, asked %q, seen %q", code, got, seen)
	}
}

// What is set aside while the question stands unanswered is not what it was about: it stays.
func TestOperatorBulkIsOfWhatWasThere(t *testing.T) {
	f := newFakeAdmin(t)
	x := newTerminal(t)
	newest := 17
	f.handles("GET "+newestPath, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"number":%d}`, newest) })
	f.handles("GET "+totalsPath, func(w http.ResponseWriter, _ *http.Request) {
		newest++ // one more is set aside, as soon as the question is about to be asked
		fmt.Fprint(w, fewTotals)
	})
	for verb, answer := range map[string]string{"discard": `{"done":750,"refused":[],"next":null,"through":17}`, "replay": `{"done":750,"refused":[],"next":null,"through":17}`} {
		newest = 17
		f.says("POST /v1/deadletters/"+verb, answer)
		code, stdout, seen := x.call("yes\n", "deadletters", verb, "--all")
		if got, want := f.changes(), []string{"POST /v1/deadletters/" + verb + ` {"all":true,"limit":100,"through":17}`}; code != exitDone || !slices.Equal(got, want) || newest != 18 {
			t.Errorf("exit %d, asked %q, want %q, stdout %q, seen %q", code, got, want, stdout, seen)
		}
	}
	newest = 0
	code, _, seen := x.call("", "deadletters", "discard", "--all")
	if got := f.changes(); code != exitDone || len(got) > 0 || !strings.Contains(seen, noSuchLetters) {
		t.Errorf("exit %d, asked %q, seen %q", code, got, seen)
	}
}

// Many are counted on a terminal while they are done.
func TestOperatorProgressIsSeen(t *testing.T) {
	f := newFakeAdmin(t)
	x := newTerminal(t)
	bulkServer(f, "POST /v1/deadletters/replay", 171)
	code, stdout, seen := x.call("yes\n", "deadletters", "replay", "--all")
	if code != exitFailed || !strings.Contains(seen, "Replay 750 dead letters of every origin. Type yes: ") || !strings.Contains(seen, "\r\x1b[Kreplayed 100 of 750, ") || !strings.HasPrefix(stdout, "replayed 170 dead letters") {
		t.Errorf("exit %d, stdout %q, seen %q", code, stdout, seen)
	}
}
