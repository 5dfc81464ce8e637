package endpoint

import (
	"io"
	"testing"
)

// TestLoanEndsWhenRead: bytes that are lent can be given back when the last try has read them to the end, and not before.
func TestLoanEndsWhenRead(t *testing.T) {
	l := &loan{data: []byte("bytes")}
	first := l.reader(nil)
	if _, err := io.ReadFull(first, make([]byte, 5)); err != nil || l.endIfRead() {
		t.Fatalf("it has ended before its end was read (%v)", err)
	}
	if _, err := io.ReadAll(first); err != nil {
		t.Fatal(err)
	}
	second := l.reader(nil) // the first try met a dead connection
	if l.endIfRead() {
		t.Fatal("it has ended with a try that has not read it")
	}
	if got, err := io.ReadAll(second); err != nil || string(got) != "bytes" {
		t.Fatalf("got %q, %v", got, err)
	}
	for range 2 {
		if !l.endIfRead() || l.data != nil {
			t.Fatal("it has not ended")
		}
	}
	if _, err := l.reader(nil).Read(make([]byte, 1)); err != errLoanEnded {
		t.Errorf("got %v from what was given back", err)
	}
}
