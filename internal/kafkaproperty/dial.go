package kafkaproperty

import (
	"cmp"
	"context"
	"net"
	"time"
)

// ConnectTimeoutDefault is how long a connection may take to open where no property says it; Java's own.
const ConnectTimeoutDefault = 10 * time.Second

// Dial opens a connection to a broker, safe where the properties ask for it: then the handshake is over and the broker is known. raw
// is the connection below; closing that ends all use of conn at once, where closing conn first says goodbye to a broker that may not
// listen any more.
func (s *Settings) Dial(ctx context.Context, network, address string) (conn, raw net.Conn, err error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(s.ConnectTimeout, ConnectTimeoutDefault))
	defer cancel()
	raw, err = new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, nil, err
	}
	if tcp, ok := raw.(*net.TCPConn); ok {
		// A size that the system does not like is not worth a connection.
		if s.SendBuffer > 0 {
			_ = tcp.SetWriteBuffer(s.SendBuffer)
		}
		if s.ReceiveBuffer > 0 {
			_ = tcp.SetReadBuffer(s.ReceiveBuffer)
		}
	}
	if s.TLS == nil {
		return raw, raw, nil
	}
	conn, err = s.TLS.client(ctx, raw, address)
	if err != nil {
		_ = raw.Close()
		return nil, nil, err
	}
	return conn, raw, nil
}
