package trace

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
)

// Settings say where spans go. Only Read makes them.
type Settings struct {
	Endpoint string      // to which they are posted; "": nothing is traced
	Sample   float64     // of the traces that begin here, from 0 to 1
	Header   http.Header // of each request; it may hold keys, and is shown to nobody
	Roots    *x509.CertPool
	Resource [][2]string // what all spans are of, beside the service
	Service  string
}

// On reports whether anything is traced.
func (s *Settings) On() bool { return s.Endpoint != "" }

const (
	tracesPath      = "/v1/traces"
	headersBytesMax = 64 << 10
	rootsBytesMax   = 4 << 20
	serviceDefault  = "stategate"
)

// Read makes settings of what the deployment says (endpoint "": nothing) and of OpenTelemetry's own variables, which count where it says
// nothing. What is wrong with a variable is an error; none tells a value, for it may be a key.
func Read(endpoint string, sample float64, lookup func(string) (string, bool)) (Settings, error) {
	s := Settings{Sample: sample, Service: serviceDefault}
	get := func(names ...string) (name, value string) {
		for _, name := range names {
			if value, _ := lookup(name); strings.TrimSpace(value) != "" { // set to nothing is not set
				return name, strings.TrimSpace(value)
			}
		}
		return "", ""
	}
	var err error
	switch name, value := get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"); {
	case endpoint != "":
		s.Endpoint, err = Endpoint(endpoint)
		name = "--trace-endpoint"
		err = named(name, err)
	case disabled(get):
		return Settings{}, nil
	case value != "":
		var u *url.URL
		if u, err = parseURL(value); err == nil {
			s.Endpoint = u.String()
		}
		err = named(name, err)
	default:
		if name, value = get("OTEL_EXPORTER_OTLP_ENDPOINT"); value == "" {
			return Settings{}, nil
		}
		var u *url.URL
		if u, err = parseURL(value); err == nil {
			s.Endpoint = u.JoinPath(tracesPath).String()
		}
		err = named(name, err)
	}
	errs := []error{err}
	if name, value := get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"); value != "" && value != "http/protobuf" {
		errs = append(errs, named(name, errors.New(`want "http/protobuf": nothing else is spoken`)))
	}
	name, value := get("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
	s.Header, err = parseHeaders(value)
	errs = append(errs, named(name, err))
	name, value = get("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE")
	s.Roots, err = readRoots(value)
	errs = append(errs, named(name, err))
	name, value = get("OTEL_RESOURCE_ATTRIBUTES")
	s.Resource, err = parsePairs(value)
	errs = append(errs, named(name, err))
	s.Resource = slices.DeleteFunc(s.Resource, func(p [2]string) bool {
		if p[0] == "service.name" {
			s.Service = p[1]
		}
		return p[0] == "service.name"
	})
	if _, value := get("OTEL_SERVICE_NAME"); value != "" {
		s.Service = value
	}
	if err := errors.Join(errs...); err != nil {
		return Settings{}, err
	}
	return s, nil
}

// disabled reports whether OpenTelemetry's variables say that nothing is traced, whatever else they say.
func disabled(get func(...string) (string, string)) bool {
	_, off := get("OTEL_SDK_DISABLED")
	_, exporter := get("OTEL_TRACES_EXPORTER")
	return strings.EqualFold(off, "true") || exporter == "none"
}

func named(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", name, err)
}

// Endpoint is where to post spans: an URL without a path is a collector's, whose path is OTLP's own.
func Endpoint(text string) (string, error) {
	u, err := parseURL(text)
	if err != nil {
		return "", err
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = tracesPath
	}
	return u.String(), nil
}

// parseURL takes no URL that holds a secret: errors and logs show it.
func parseURL(text string) (*url.URL, error) {
	const want = "want the URL of a collector, such as http://127.0.0.1:4318"
	u, err := url.Parse(text)
	switch {
	case err != nil: // it would show the URL
		return nil, errors.New(want)
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New(want + ", without a user, a query or a fragment; keys go into OTEL_EXPORTER_OTLP_HEADERS")
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Opaque != "":
		return nil, errors.New(want)
	}
	return u, nil
}

// parsePairs reads name=value, percent-encoded, between commas.
func parsePairs(text string) (pairs [][2]string, err error) {
	if len(text) > headersBytesMax {
		return nil, fmt.Errorf("%d bytes: at most %d are allowed", len(text), headersBytesMax)
	}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		plain, err := url.PathUnescape(value)
		if !ok || name == "" || err != nil {
			return nil, errors.New("want name=value, several between commas, values percent-encoded")
		}
		pairs = append(pairs, [2]string{name, plain})
	}
	return pairs, nil
}

func parseHeaders(text string) (http.Header, error) {
	pairs, err := parsePairs(text)
	if err != nil {
		return nil, err
	}
	h := http.Header{}
	for _, p := range pairs {
		if strings.ContainsFunc(p[0], func(r rune) bool { return !isToken(r) }) || strings.ContainsFunc(p[1], func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return nil, errors.New("a name or a value that no header can have")
		}
		h.Add(p[0], p[1])
	}
	return h, nil
}

// isToken reports whether a header's name may hold the letter.
func isToken(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r < 0x7f && strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

// readRoots reads the certificates of who may have signed the collector's; "": those of the system.
func readRoots(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	if info, err := os.Stat(path); err == nil && info.Size() > rootsBytesMax {
		return nil, fmt.Errorf("read %s: %d bytes: at most %d are allowed", path, info.Size(), rootsBytesMax)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read %s: no certificate in it (PEM)", path)
	}
	return roots, nil
}
