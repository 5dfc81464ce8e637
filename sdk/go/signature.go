package stategate

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	signatureHeader    = "Stategate-Signature"
	signatureChallenge = "Stategate-Signature"

	// signatureAgeMax is how far the clocks of gateway and function may be apart, with the way between them.
	signatureAgeMax   = 5 * time.Minute
	signatureKeyMin   = 32 // bytes
	signaturePartsMax = 16
)

// signatures checks that requests come from who has one of the keys.
type signatures struct{ keys [][]byte }

func newSignatures(keys []string) (*signatures, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	s := &signatures{}
	for i, key := range keys {
		if len(key) < signatureKeyMin { // not shown: it is a secret still
			return nil, fmt.Errorf("SigningKeys[%d] has %d characters: want at least %d, as openssl rand -hex 32 makes them", i, len(key), signatureKeyMin)
		}
		s.keys = append(s.keys, []byte(key))
	}
	return s, nil
}

// CheckSignature checks the header Stategate-Signature of an ordinary request, for fronts that are no HTTP server: body is what they hand
// to Call. Answer 401, with the header WWW-Authenticate: Stategate-Signature, where there is an error. Without Config.SigningKeys there is none.
func (h *Handler) CheckSignature(header string, body []byte) error {
	return h.signatures.check([]string{header}, contentType, body, time.Now())
}

// check reads all that is there before it says anything, and compares so that time tells nothing.
func (s *signatures) check(headers []string, media string, body []byte, now time.Time) error {
	if s == nil {
		return nil
	}
	header := strings.Join(headers, ",")
	if strings.TrimSpace(header) == "" {
		return errors.New("the request is not signed")
	}
	seconds, proofs, err := parseSignature(header)
	if err != nil {
		return fmt.Errorf("parse %s: %w", signatureHeader, err)
	}
	at, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return fmt.Errorf("parse %s: its time is no number of seconds", signatureHeader)
	}
	if apart := now.Unix() - at; apart > int64(signatureAgeMax/time.Second) || apart < -int64(signatureAgeMax/time.Second) {
		return fmt.Errorf("the request was signed %d s ago by its clock: at most %s apart are allowed", apart, signatureAgeMax)
	}
	found := false
	for _, key := range s.keys {
		mac := hmac.New(sha256.New, key)
		_, _ = mac.Write([]byte("v1\n" + seconds + "\n" + media + "\n"))
		_, _ = mac.Write(body)
		want := mac.Sum(nil)
		for _, proof := range proofs {
			found = hmac.Equal(proof, want) || found
		}
	}
	if !found {
		return errors.New("the request is signed with another key, or was changed")
	}
	return nil
}

// parseSignature takes "t=SECONDS, v1=HEX, v1=HEX" apart. Parts that are not known are for later versions.
func parseSignature(header string) (seconds string, proofs [][]byte, err error) {
	parts := strings.SplitN(header, ",", signaturePartsMax+1)
	if len(parts) > signaturePartsMax {
		return "", nil, fmt.Errorf("it has more than %d parts", signaturePartsMax)
	}
	for _, part := range parts {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "t":
			if seconds != "" || !isNumber(value) {
				return "", nil, errors.New("want one time in seconds")
			}
			seconds = value
		case "v1":
			proof, err := hex.DecodeString(value)
			if err != nil || len(proof) != sha256.Size {
				return "", nil, fmt.Errorf("want v1 as %d hexadecimal digits", 2*sha256.Size)
			}
			proofs = append(proofs, proof)
		}
	}
	switch {
	case seconds == "":
		return "", nil, errors.New("it has no time")
	case len(proofs) == 0:
		return "", nil, errors.New("it has no signature of version 1")
	}
	return seconds, proofs, nil
}

// isNumber: digits and nothing else, and not so many that they are none.
func isNumber(text string) bool {
	return text != "" && len(text) <= 15 && strings.Trim(text, "0123456789") == ""
}
