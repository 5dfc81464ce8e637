package machine

import "github.com/stategate/stategate/api"

// Edit is what an operator makes of one state of an address.
type Edit struct {
	State  string
	Delete bool
	Value  api.TypedValue // when it is not deleted
	If     *string        // nil: whatever is there; "": only if it is not set; else only if what is set has this version (statestore.Version)
}
