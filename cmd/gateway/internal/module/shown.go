package module

// Shown is the URL template for people, without secrets.
func (e *Endpoint) Shown() string { return e.shown() }
