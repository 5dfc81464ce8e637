//go:build unix

package testgateway

// Admin is where the admin side is asked.
func (g *Gateway) Admin() string { return "http://" + g.admin }
