package report

import "time"

// Module is what counts of the module, and what has changed. No secret is in it.
type Module struct {
	Files      []string
	Components []Component
	// Compared says whether it is known what has changed: the store was asked, and kept what the module was.
	Compared bool
	// Changes are from the module that was before to this one, which other starts may have had already; More is how many there are beyond.
	Changes []Change
	More    int
	// Since is the last start with the module that was before, and Changed the first one with this; zero: there was no other.
	Since, Changed time.Time
}

// Component is an endpoint, an ingress or an egress of the module.
type Component struct {
	Kind, ID string
	At       string // FILE:LINE
	Settings []Setting
}

// Setting is what counts for one thing that can be set, and who says so.
type Setting struct{ Name, Value, From string }

// Change is a setting of a component that is not what it was; Name is "" where the component itself came or went.
type Change struct{ Kind, ID, Name, Was, Is string }
