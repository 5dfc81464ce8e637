package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"

	"github.com/stategate/stategate/cmd/gateway/internal/app"
	"github.com/stategate/stategate/cmd/gateway/internal/config"
	"github.com/stategate/stategate/cmd/gateway/internal/credential"
	"github.com/stategate/stategate/cmd/gateway/internal/module"
)

// listenHTTP opens --listen for a module that needs it. Whoever reaches it may send to functions, so what others can reach has a token or
// TLS, or somebody has said that it need not.
func listenHTTP(cfg config.Config, m *module.Module, files *credential.Files) (h app.HTTP, err error) {
	if len(m.HTTPIngresses) == 0 {
		return h, nil
	}
	if cfg.ListenTokenFile != "" {
		tokens, err := files.Tokens("--listen-token-file", cfg.ListenTokenFile)
		if err != nil {
			return h, err
		}
		h.Allow = tokens.Known
	}
	pair, err := pairOf(files, "--listen-tls-cert", cfg.ListenTLSCert, "--listen-tls-key", cfg.ListenTLSKey)
	if err != nil {
		return h, err
	}
	if pair == nil && h.Allow == nil && !cfg.ListenInsecure && !loopback(cfg.Listen) {
		return h, fmt.Errorf("--listen %s can be reached by others, who may then send to functions: give --listen-token-file or --listen-tls-cert and --listen-tls-key, "+
			"or --listen-insecure when something else decides who comes", cfg.Listen)
	}
	if h.Listener, err = listen(cfg.Listen, "--listen"); err != nil {
		return h, err
	}
	h.Advertise = advertised(cfg.Advertise, h.Listener.Addr())
	if pair != nil {
		h.Listener, h.Onward = tls.NewListener(h.Listener, pair.Server()), pair.Member()
	}
	return h, nil
}

// pairOf reads a certificate and its key, if they are given.
func pairOf(files *credential.Files, certSetting, cert, keySetting, key string) (*credential.Pair, error) {
	if (cert == "") != (key == "") {
		return nil, usage("%s and %s: one of them is given, want both or none", certSetting, keySetting)
	}
	if cert == "" {
		return nil, nil
	}
	return files.Pair(certSetting+" and "+keySetting, cert, key)
}

// loopback reports whether nobody else reaches an address: of a name only localhost is known to be so.
func loopback(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// advertised is by what other members reach this one.
func advertised(said string, at net.Addr) string {
	tcp, ok := at.(*net.TCPAddr)
	if said != "" || !ok {
		return said
	}
	if name, err := os.Hostname(); tcp.IP.IsUnspecified() && err == nil {
		return net.JoinHostPort(name, fmt.Sprint(tcp.Port))
	}
	return at.String()
}
