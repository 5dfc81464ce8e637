// Package client asks the admin side of a gateway over HTTP, for the command line. It knows how requests and answers travel - where to, by whose
// right, page by page, and what an error says - and nothing of what they are about. What comes back is bounded and trusted with nothing.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// DefaultURL is where the admin side of a gateway listens that nobody has told anything else.
const DefaultURL = "http://127.0.0.1:8081"

// Bounds of what is read.
const (
	answerBytesMax = 64 << 20 // of one answer; the gateway's are a quarter of it at most
	tokenBytesMax  = 64 << 10 // of a file of tokens
	caBytesMax     = 4 << 20  // of a file of certificates
)

// timeoutStandard is longer than the gateway takes for any answer.
const timeoutStandard = 75 * time.Second

// operatorMax is how many characters of the name of whoever asks are sent.
const operatorMax = 100

// Config says whom to ask and by whose right. The zero value asks DefaultURL without a token.
type Config struct {
	URL       string        // http or https, of the admin side; "" is DefaultURL
	TokenFile string        // its first line is the token; "": none is sent
	CAFile    string        // certificates in PEM that may have signed the gateway's, beside those of the system
	Operator  string        // who asks, for the audit; not verified by anybody
	Timeout   time.Duration // of one request with its answer; default 75 s
}

// Client asks one gateway. Its methods may be called by many goroutines.
type Client struct {
	base     string // without a slash at its end
	token    string
	operator string
	http     *http.Client
}

// ConfigError is a setting that cannot be meant so. It does not repeat what may be a secret.
type ConfigError string

func (e ConfigError) Error() string { return string(e) }

// New reads the files that the settings name. It connects to nothing.
func New(cfg Config) (*Client, error) {
	base, err := checkURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	c := &Client{base: base, operator: headerText(cfg.Operator)}
	if cfg.TokenFile != "" {
		if c.token, err = readToken(cfg.TokenFile); err != nil {
			return nil, err
		}
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 10 * time.Second, MaxIdleConnsPerHost: 2, MaxResponseHeaderBytes: 1 << 20}
	if cfg.CAFile != "" {
		pool, err := readCertificates(cfg.CAFile)
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	timeout := cfg.Timeout
	if timeout <= 0 {
		timeout = timeoutStandard
	}
	c.http = &http.Client{
		Transport: transport, Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a token goes to nobody else
	}
	return c, nil
}

// URL is where it asks.
func (c *Client) URL() string { return c.base }

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func checkURL(text string) (string, error) {
	if text == "" {
		return DefaultURL, nil
	}
	if _, port, err := net.SplitHostPort(text); err == nil && port != "" && !strings.Contains(text, "/") { // as members tells it
		text = "http://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Hostname() == "":
		return "", ConfigError("the URL of the admin side is like " + DefaultURL + ", or https://HOST:PORT")
	case u.User != nil:
		return "", ConfigError("the URL of the admin side has no user and password in it: a token goes into the file that --token-file names")
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return "", ConfigError("the URL of the admin side ends before any ? and #")
	}
	return strings.TrimRight(u.Scheme+"://"+u.Host+u.EscapedPath(), "/"), nil
}

// readToken takes the first token of a file of tokens, such as the gateway's own.
func readToken(name string) (string, error) {
	data, err := readBounded(name, tokenBytesMax)
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		token := strings.TrimSpace(line)
		if token == "" {
			continue
		}
		if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return "", ConfigError(name + ": a token is letters, digits and signs of ASCII without spaces, one a line")
		}
		return token, nil
	}
	return "", ConfigError(name + " holds no token: want one a line; the first is used")
}

func readCertificates(name string) (*x509.CertPool, error) {
	data, err := readBounded(name, caBytesMax)
	if err != nil {
		return nil, fmt.Errorf("read the certificates: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // a system without any
	}
	if !pool.AppendCertsFromPEM(data) {
		return nil, ConfigError(name + " holds no certificate in PEM")
	}
	return pool, nil
}

func readBounded(name string, bytesMax int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, bytesMax+1))
	if err == nil && int64(len(data)) > bytesMax {
		return nil, ConfigError(fmt.Sprintf("%s is larger than %d bytes", name, bytesMax))
	}
	return data, err
}

// headerText is a name as a header may hold it.
func headerText(name string) string {
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, name)
	return strings.TrimSpace(name[:min(len(name), operatorMax)])
}

// Request is one question.
type Request struct {
	Method string // default GET
	Path   string // escaped, as Path makes it
	Query  url.Values
	Header http.Header
	Body   any // sent as JSON; nil: none
}

// Answer is what came back without an error.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte // JSON, or nothing
}

// Into reads the body.
func (a Answer) Into(v any) error {
	if err := json.Unmarshal(a.Body, v); err != nil {
		return fmt.Errorf("the answer is not what was asked for: %w", err)
	}
	return nil
}

// Do asks. Its error is a *Problem when the gateway has said no.
func (c *Client) Do(ctx context.Context, r Request) (Answer, error) {
	response, err := c.send(ctx, r)
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(bounded(response.Body))
	if err != nil {
		return Answer{}, c.broken(r.Method, err)
	}
	if response.StatusCode >= 300 {
		return Answer{Status: response.StatusCode, Header: response.Header, Body: body}, c.problemOf(response, body)
	}
	if len(body) > 0 && !json.Valid(body) {
		return Answer{}, c.stranger(response.StatusCode)
	}
	return Answer{response.StatusCode, response.Header, body}, nil
}

// Get asks for something and reads it.
func (c *Client) Get(ctx context.Context, path string, query url.Values, into any) error {
	a, err := c.Do(ctx, Request{Path: path, Query: query})
	if err != nil {
		return err
	}
	return a.Into(into)
}

func (c *Client) send(ctx context.Context, r Request) (*http.Response, error) {
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	address := c.base + r.Path
	if len(r.Query) > 0 {
		address += "?" + r.Query.Encode()
	}
	var body io.Reader
	if r.Body != nil {
		text, err := json.Marshal(r.Body)
		if err != nil {
			return nil, fmt.Errorf("write the request: %w", err)
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, r.Method, address, body)
	if err != nil {
		return nil, ConfigError("the URL of the admin side cannot be asked")
	}
	for name, values := range r.Header {
		request.Header[name] = values
	}
	request.Header.Set("Accept", "application/json, application/problem+json")
	if r.Body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	if c.operator != "" {
		request.Header.Set("Stategate-Operator", c.operator)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.broken(r.Method, err)
	}
	return response, nil
}

// errLarge: what came is more than any gateway answers.
var errLarge = errors.New("the answer is larger than any of a gateway")

// boundedReader ends with an error where an answer grows beyond all bounds, and not as though that were its end.
type boundedReader struct {
	from io.Reader
	left int64
}

func bounded(from io.Reader) io.Reader { return &boundedReader{from, answerBytesMax} }

func (b *boundedReader) Read(into []byte) (int, error) {
	if b.left <= 0 {
		return 0, errLarge
	}
	n, err := b.from.Read(into[:min(int64(len(into)), b.left)])
	b.left -= int64(n)
	return n, err
}
