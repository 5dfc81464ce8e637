package admin

import (
	"fmt"
	"strconv"
)

// list is one page of a list.
type list[T any] struct {
	Items []T     `json:"items"`
	Next  *string `json:"next"` // what to give as after for more; null at the end
}

// Bounds of a page.
const (
	pageDefault = 100
	pageMax     = 1000
)

// limitOf reads how many are asked for.
func limitOf(query map[string]string) (int, error) {
	text, ok := query["limit"]
	if !ok {
		return pageDefault, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 || limit > pageMax {
		return 0, fmt.Errorf("limit is not a number from 1 to %d", pageMax)
	}
	return limit, nil
}

// nextNumber is a number as a place in a list.
func nextNumber(n uint64) *string {
	text := strconv.FormatUint(n, 10)
	return &text
}
