package config

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A setter reads the text of one setting. Its error says what is allowed and, but for settings that may hold a password,
// what was given.
type setter func(c *Config, text string) error

func path(field func(*Config) *string) setter {
	return func(c *Config, text string) error {
		if text == "" || strings.ContainsRune(text, 0) {
			return fmt.Errorf("want the name of a file, got %s", shown(text))
		}
		*field(c) = text
		return nil
	}
}

// paths takes names of files and folders, separated by commas.
func paths(field func(*Config) *[]string) setter {
	return func(c *Config, text string) error {
		var all []string
		for part := range strings.SplitSeq(text, listSeparator) {
			name := strings.TrimSpace(part)
			if name == "" || strings.ContainsRune(name, 0) {
				return fmt.Errorf("want the name of a file or of a folder, or several separated by commas, got %s", shown(text))
			}
			all = append(all, name)
		}
		*field(c) = all
		return nil
	}
}

// listSeparator is between the values of a setting that is a list; none of them can hold it.
const listSeparator = ","

// hostPort takes an address to listen on.
func hostPort(field func(*Config) *string) setter {
	return func(c *Config, text string) error {
		const want = "want HOST:PORT, such as 127.0.0.1:8080, [::1]:8080, or :8080 for every interface"
		host, port, err := net.SplitHostPort(text)
		if err != nil {
			return fmt.Errorf("%s; got %s", want, shown(text))
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
			return fmt.Errorf("port %s is not a number from 0 to 65535 (0: one that is free); %s", shown(port), want)
		}
		if strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r == '/' || r == '@' || r > '~' }) {
			return fmt.Errorf("%s is not a host; %s", shown(host), want)
		}
		*field(c) = text
		return nil
	}
}

// reachable takes an address that others can connect to.
func reachable(field func(*Config) *string) setter {
	return func(c *Config, text string) error {
		var checked Config
		if err := hostPort(func(c *Config) *string { return &c.Advertise })(&checked, text); err != nil {
			return err
		}
		if host, port, _ := net.SplitHostPort(text); host == "" || port == "0" {
			return fmt.Errorf("want HOST:PORT that others can connect to, such as 10.0.0.7:8080, got %s", shown(text))
		}
		*field(c) = text
		return nil
	}
}

// duration takes Go's durations, with spaces where people write some.
func duration(least, most time.Duration, field func(*Config) *time.Duration) setter {
	return func(c *Config, text string) error {
		d, err := time.ParseDuration(strings.ReplaceAll(strings.ReplaceAll(text, " ", ""), "min", "m"))
		if err != nil {
			return fmt.Errorf("want a duration with its unit, such as 500ms, 10s or 2m; got %s", shown(text))
		}
		if d < least || d > most {
			return fmt.Errorf("want from %s to %s, got %s", brief(least), brief(most), shown(text))
		}
		*field(c) = d
		return nil
	}
}

// brief is a duration as people write it.
func brief(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func boolean(field func(*Config) *bool) setter {
	return func(c *Config, text string) error {
		switch text {
		case "true":
			*field(c) = true
		case "false":
			*field(c) = false
		default:
			return fmt.Errorf("want true or false, got %s", shown(text))
		}
		return nil
	}
}

// ratio takes a part of a whole.
func ratio(field func(*Config) *float64) setter {
	return func(c *Config, text string) error {
		r, err := strconv.ParseFloat(text, 64)
		if err != nil || !(r >= 0 && r <= 1) { // NaN is neither
			return fmt.Errorf("want a number from 0 to 1, such as 0.01, got %s", shown(text))
		}
		*field(c) = r
		return nil
	}
}

// setTraceEndpoint takes a collector's URL. It shows nothing of one that it refuses: it may hold a password.
func setTraceEndpoint(c *Config, text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "", u.Opaque != "":
		return errors.New("want the URL of a collector, such as http://127.0.0.1:4318")
	case u.User != nil, u.RawQuery != "", u.ForceQuery, u.Fragment != "":
		return errors.New("want an URL without a user, a query or a fragment; keys go into OTEL_EXPORTER_OTLP_HEADERS")
	}
	c.TraceEndpoint = text
	return nil
}

// count takes a number of things.
func count(least, most int, field func(*Config) *int) setter {
	return func(c *Config, text string) error {
		n, err := strconv.Atoi(text)
		if err != nil || n < least || n > most {
			return fmt.Errorf("want a number from %d to %d, got %s", least, most, shown(text))
		}
		*field(c) = n
		return nil
	}
}

// size takes a number of bytes.
func size[T int | int64](least, most int64, field func(*Config) *T) setter {
	return func(c *Config, text string) error {
		n, err := parseSize(text)
		if err != nil {
			return fmt.Errorf("%w, got %s", err, shown(text))
		}
		if n < least || n > most {
			return fmt.Errorf("want from %s to %s, got %s", formatSize(least), formatSize(most), shown(text))
		}
		*field(c) = T(n)
		return nil
	}
}

// automatic takes what size takes, or "auto", which leaves 0: it follows from others.
func automatic[T int | int64](least int64, field func(*Config) *T) setter {
	exactly := size(least, anySize, field)
	return func(c *Config, text string) error {
		if text == auto {
			*field(c) = 0
			return nil
		}
		if err := exactly(c, text); err != nil {
			return fmt.Errorf("%w; or %s", err, auto)
		}
		return nil
	}
}

// units are the only ones: a letter alone, or kB, leaves open whether 1,000 or 1,024 is meant.
var units = []struct {
	name  string
	bytes int64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

func parseSize(text string) (int64, error) {
	for _, u := range units {
		number, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/u.bytes {
			break
		}
		return n * u.bytes, nil
	}
	return 0, errors.New("want a whole number of B, KiB, MiB, GiB or TiB, such as 64MiB")
}

func formatSize(n int64) string {
	for _, u := range units {
		if n >= u.bytes && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10) + "B"
}

func setLogFormat(c *Config, text string) error {
	switch f := LogFormat(text); f {
	case LogAuto, LogText, LogJSON:
		c.LogFormat = f
		return nil
	}
	return fmt.Errorf("want %s, %s or %s, got %s", LogAuto, LogText, LogJSON, shown(text))
}

func setLogLevel(c *Config, text string) error {
	level, ok := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}[text]
	if !ok {
		return fmt.Errorf("want debug, info, warn or error, got %s", shown(text))
	}
	c.LogLevel = level
	return nil
}

func setStore(c *Config, text string) (err error) {
	c.Store, err = ParseStoreURL(text)
	return err
}

// shown quotes what was given, cut where it is long.
func shown(text string) string {
	const most = 80
	if len(text) > most {
		text = text[:most] + "..."
	}
	return strconv.Quote(text)
}
