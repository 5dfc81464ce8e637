package client

import (
	"net/url"
	"strings"

	"github.com/stategate/stategate/api"
)

// Path makes a path of parts, each escaped: Path("v1", "functions", "shop", "a/b") is /v1/functions/shop/a%2Fb.
func Path(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(p))
	}
	return b.String()
}

// AddressPath is where an address is asked for, or with more parts something of it. An id that a proxy would take for a step in a path, or
// for none, goes into the query.
func AddressPath(a api.Address, of ...string) (path string, query url.Values) {
	parts := []string{"v1", "addresses", a.Type.Namespace, a.Type.Name}
	switch a.ID {
	case "", ".", "..":
		return Path(append(parts, of...)...), url.Values{"id": {a.ID}}
	}
	return Path(append(append(parts, a.ID), of...)...), nil
}
