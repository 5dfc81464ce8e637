package kafkaproperty

import (
	"errors"
	"slices"
	"strings"
)

// Complaint is what is to be said of one property.
type Complaint struct {
	Property string // the one whose line it belongs to
	Wrong    bool   // it cannot be used; else a warning
	Text     string // names the property, never a secret
}

// Warnings are the texts of those that are no errors.
func Warnings(complaints []Complaint) []string {
	var texts []string
	for _, c := range complaints {
		if !c.Wrong {
			texts = append(texts, c.Text)
		}
	}
	return texts
}

// Errors are those that are, joined; nil: there is none.
func Errors(complaints []Complaint) error {
	var errs []error
	for _, c := range complaints {
		if c.Wrong {
			errs = append(errs, errors.New(c.Text))
		}
	}
	return errors.Join(errs...)
}

// inOrder sorts complaints by their property; what is said of one stays in order.
func inOrder(complaints []Complaint) []Complaint {
	slices.SortStableFunc(complaints, func(a, b Complaint) int { return strings.Compare(a.Property, b.Property) })
	return complaints
}
