package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"

	"github.com/stategate/stategate/cmd/gateway/internal/admin"
	"github.com/stategate/stategate/cmd/gateway/internal/config"
	"github.com/stategate/stategate/cmd/gateway/internal/credential"
)

// adminDoor is where operators come in, and what they may do.
type adminDoor struct {
	net.Listener
	secure *tls.Config // nil: no TLS is spoken
	access admin.Access
}

// listenAdmin opens --admin. Whoever reaches it sees state and may change it, so what others can reach has tokens or TLS, or somebody has
// said that it need not.
func listenAdmin(cfg config.Config, files *credential.Files, log *slog.Logger) (d adminDoor, err error) {
	var operators, readers *credential.Tokens
	if cfg.AdminTokenFile != "" {
		if operators, err = files.Tokens("--admin-token-file", cfg.AdminTokenFile); err != nil {
			return d, err
		}
	}
	if cfg.AdminReadTokenFile != "" {
		if readers, err = files.Tokens("--admin-read-token-file", cfg.AdminReadTokenFile); err != nil {
			return d, err
		}
	}
	pair, err := pairOf(files, "--admin-tls-cert", cfg.AdminTLSCert, "--admin-tls-key", cfg.AdminTLSKey)
	if err != nil {
		return d, err
	}
	asks, open := operators != nil || readers != nil, !loopback(cfg.Admin)
	switch {
	case !open:
	case !asks && pair == nil && !cfg.AdminInsecure:
		return d, fmt.Errorf("--admin %s can be reached by others, who may then read state and change it: give --admin-token-file (and --admin-read-token-file), with --admin-tls-cert and "+
			"--admin-tls-key where the network can be listened to, or --admin-insecure when something else decides who comes", cfg.Admin)
	case !asks:
		log.Warn("admin: whoever reaches it may read state and change it; --admin-token-file asks for a token", "address", cfg.Admin)
	case pair == nil:
		log.Warn("admin: tokens are sent in the clear, unless something before it speaks TLS; --admin-tls-cert and --admin-tls-key are for that", "address", cfg.Admin)
	}
	if d.Listener, err = listen(cfg.Admin, "--admin"); err != nil {
		return d, err
	}
	d.access = accessOf(d.Listener, asks, operators, readers)
	if pair != nil {
		d.access.TLS = true
		d.secure = pair.Server()
	}
	return d, nil
}

// accessOf says what whoever comes by a listener may do.
func accessOf(l net.Listener, asks bool, operators, readers *credential.Tokens) admin.Access {
	access := admin.Access{Local: loopback(l.Addr().String())}
	if !asks {
		return access
	}
	access.Role = func(authorization string) admin.Role {
		operator, reader := operators.Known(authorization), readers.Known(authorization) // both, always: time tells nothing
		switch {
		case operator:
			return admin.Operator
		case reader:
			return admin.Reader
		}
		return admin.Stranger
	}
	return access
}
