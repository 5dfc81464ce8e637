package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
)

// Problem is what the gateway has said instead of an answer.
type Problem struct {
	Status int
	Detail string // what is wrong
	Remedy string // what to do; "" where it has not said so
}

func (p *Problem) Error() string {
	text := p.Detail
	if p.Remedy != "" {
		text += "\n" + p.Remedy
	}
	return text
}

// problemTextMax bounds each text of a problem.
const problemTextMax = 4 << 10

// problemOf reads what came with a status that is none of success.
func (c *Client) problemOf(response *http.Response, body []byte) error {
	status := response.StatusCode
	if status >= 300 && status < 400 {
		return &Problem{status, c.base + " sends elsewhere", "give the URL of the gateway's admin side itself: no token is sent on"}
	}
	var said struct{ Detail, Remedy string }
	if err := json.Unmarshal(body, &said); err == nil && said.Detail != "" {
		return &Problem{status, cut(said.Detail), cut(said.Remedy)}
	}
	if strings.Contains(string(body[:min(len(body), 1<<10)]), "HTTP request to an HTTPS server") {
		return &Problem{status, c.base + " is asked by http and speaks https", "give --url https://... or STATEGATE_URL"}
	}
	return c.stranger(status)
}

func (c *Client) stranger(status int) error {
	return &Problem{status, fmt.Sprintf("what answers at %s is no admin side of a gateway (status %d %s)", c.base, status, http.StatusText(status)), remedyURL}
}

const remedyURL = "--url or STATEGATE_URL names another; a gateway's admin side is where its --admin says"

// remedySilent is for a gateway that has taken a connection, or would, and says nothing.
const remedySilent = "its process may be frozen, its machine overloaded, or something on the way silent: look for the process and its log; once it is ended, another gateway on the store takes over"

func cut(text string) string {
	if len(text) > problemTextMax {
		text = text[:problemTextMax] + "..."
	}
	return strings.ToValidUTF8(text, "?")
}

// ErrUnknown is wrapped where a change was asked for and no answer came: it may have been made.
var ErrUnknown = errors.New("it is not known whether it was done: look, then ask again")

// broken words an error of the connection. A change whose answer did not come may have been made, unless nobody was reached.
func (c *Client) broken(method string, err error) error {
	var wrong *url.Error
	if errors.As(err, &wrong) {
		err = wrong.Err // without the URL, which is said here and may be long
	}
	said := c.wordsOf(err)
	var dial *net.OpError
	notSent := errors.As(err, &dial) && dial.Op == "dial" || isHandshake(err)
	if method != "" && method != http.MethodGet && !notSent {
		return fmt.Errorf("%w\n%w", said, ErrUnknown)
	}
	return said
}

func (c *Client) wordsOf(err error) error {
	var lookup *net.DNSError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("interrupted: %w", err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nobody listens at %s: connection refused\nis the gateway running? %s", c.base, remedyURL)
	case errors.As(err, &lookup):
		return fmt.Errorf("%s: %w\n%s", c.base, err, remedyURL)
	case isHandshake(err):
		return fmt.Errorf("%s: %w\n--ca-file or STATEGATE_CA_FILE names a file of the certificate that has signed the gateway's", c.base, err)
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return fmt.Errorf("%s is asked by https and speaks http\n%s", c.base, remedyURL)
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("%s does not answer in time: %w\n%s", c.base, err, remedySilent)
	}
	return fmt.Errorf("%s: %w", c.base, err)
}

// isHandshake: the gateway's certificate is not one that is trusted, or TLS has failed before anything was asked.
func isHandshake(err error) bool {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verification *tls.CertificateVerificationError
	return errors.As(err, &verification) || errors.As(err, &unknown) || errors.As(err, &host) || errors.As(err, &invalid)
}
