package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/stategate/stategate/cmd/gateway/internal/app"
	"github.com/stategate/stategate/cmd/gateway/internal/config"
	"github.com/stategate/stategate/cmd/gateway/internal/module"
)

// listenHTTP opens --listen for a module that needs it. Whoever reaches it may send to functions, so what others can reach has a token or
// TLS, or somebody has said that it need not.
func listenHTTP(cfg config.Config, m *module.Module) (h app.HTTP, err error) {
	if len(m.HTTPIngresses) == 0 {
		return h, nil
	}
	if cfg.ListenTokenFile != "" {
		if h.Tokens, err = readTokens(cfg.ListenTokenFile); err != nil {
			return h, fmt.Errorf("--listen-token-file: %w", err)
		}
	}
	var secured *tls.Config
	if (cfg.ListenTLSCert == "") != (cfg.ListenTLSKey == "") {
		return h, usage("--listen-tls-cert and --listen-tls-key: one of them is given, want both or none")
	}
	if cfg.ListenTLSCert != "" {
		pair, err := tls.LoadX509KeyPair(cfg.ListenTLSCert, cfg.ListenTLSKey)
		if err != nil {
			return h, fmt.Errorf("--listen-tls-cert %s and --listen-tls-key %s: %w", cfg.ListenTLSCert, cfg.ListenTLSKey, err)
		}
		secured = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
		h.Onward = ownCertificate(pair)
	}
	if secured == nil && len(h.Tokens) == 0 && !cfg.ListenInsecure && !loopback(cfg.Listen) {
		return h, fmt.Errorf("--listen %s can be reached by others, who may then send to functions: give --listen-token-file or --listen-tls-cert and --listen-tls-key, "+
			"or --listen-insecure when something else decides who comes", cfg.Listen)
	}
	if h.Listener, err = listen(cfg.Listen, "--listen"); err != nil {
		return h, err
	}
	h.Advertise = advertised(cfg.Advertise, h.Listener.Addr())
	if secured != nil {
		h.Listener = tls.NewListener(h.Listener, secured)
	}
	return h, nil
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

// ownCertificate trusts whoever has this member's certificate, and nobody else: members are found by addresses for which certificates are
// seldom made.
func ownCertificate(own tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, // the names and issuers; what is checked instead is below
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 || !bytes.Equal(s.PeerCertificates[0].Raw, own.Certificate[0]) {
				return errors.New("the other gateway has another certificate than this one")
			}
			return nil
		},
	}
}

const tokensBytesMax = 1 << 20

// readTokens reads a file of tokens, one a line. Errors show none.
func readTokens(name string) (tokens []string, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, tokensBytesMax+1))
	if err != nil {
		return nil, err
	}
	if len(data) > tokensBytesMax {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, tokensBytesMax)
	}
	for i, line := range strings.Split(string(data), "\n") {
		token := strings.TrimSpace(line)
		if token == "" {
			continue
		}
		if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return nil, fmt.Errorf("%s:%d: a token is letters, digits and signs of ASCII without spaces, one a line", name, i+1)
		}
		tokens = append(tokens, token)
	}
	if len(tokens) == 0 {
		return nil, fmt.Errorf("%s holds no token: want one a line", name)
	}
	return tokens, nil
}
