package endpoint

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// ProxyFromEnvironment is the Proxy of a spec that follows HTTP_PROXY, HTTPS_PROXY and NO_PROXY, as they were when the program first
// asked for them. A function on this machine is never behind them.
const ProxyFromEnvironment = "environment"

type proxyFunc = func(*http.Request) (*url.URL, error)

// proxyOf reads the Proxy of a spec. Its errors never quote it, for it may hold a password.
func proxyOf(setting string) (proxyFunc, error) {
	switch setting {
	case "":
		return nil, nil
	case ProxyFromEnvironment:
		return fromEnvironment, nil
	}
	u, err := url.Parse(setting)
	if err != nil || u.Hostname() == "" {
		return nil, errors.New("the proxy is no URL; special characters in a user or a password are written %XX")
	}
	if u.Scheme != "http" && u.Scheme != "socks5" {
		return nil, fmt.Errorf("proxy scheme %q is neither http nor socks5", u.Scheme)
	}
	return http.ProxyURL(u), nil
}

func fromEnvironment(r *http.Request) (*url.URL, error) {
	u, err := http.ProxyFromEnvironment(r)
	if err != nil {
		return nil, errors.New("the proxy that the environment names is no URL")
	}
	return u, nil
}
